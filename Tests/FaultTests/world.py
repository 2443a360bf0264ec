"""A daemon in a folder of its own, its processes, and what can be done to them."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 90


class Violation(Exception):
    """An invariant that does not hold."""


class World:
    """One round: the daemon, its data, a client that follows its events."""

    def __init__(self, folder, programs, random):
        self.folder, self.programs, self.random = pathlib.Path(folder), pathlib.Path(programs), random
        self.data = self.folder / "data"
        self.ledger = self.folder / "ledger"
        self.clock = self.folder / "clock"
        self.accepted = {}
        self.process = None
        self.port = None
        self.environment = dict(os.environ)
        #: Numbers of the events that a client was told of, and the identifier that it goes on from.
        self.seen = []
        self.position = "0"
        self.following = True
        self.settled = threading.Event()

    def shift_clocks(self):
        """From the next start on, the daemon's clock can be shifted."""
        library = self.folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "clock.c", "-ldl"], check=True)
        self.clock.write_text("0")
        self.environment |= {"LD_PRELOAD": str(library), "FAULT_CLOCK": str(self.clock)}

    def start(self):
        if self.port is None:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        log = open(self.folder / "daemon.log", "ab")
        command = [self.programs / "anneald", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", *self.arguments]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)
        log.close()
        self.wait(lambda: self.get("/healthz", quiet=True) is not None, "the daemon's readiness")

    @property
    def arguments(self):
        """The daemon's further arguments."""
        return ["--gpus", "sim:4", "--cpus", "6"]

    def job(self, mode, number):
        """A job of a mode."""
        return {
            "kind": "command",
            "command": ["python3", "-B", str(HERE / "worker.py"), mode, str(self.ledger)],
            "cache": False,
            "grace": "1s",
            "resources": {"gpus": number % 2},
        }

    def wait(self, condition, what, patience=PATIENCE):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            self.settled.wait(0.05)
        raise Violation(f"{what} did not come about within {patience} s")

    def request(self, method, path, body=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def get(self, path, quiet=False):
        try:
            return json.loads(self.request("GET", path))
        except (OSError, http.client.HTTPException):
            if quiet:
                return None
            raise

    def submit(self, name, modes):
        """Submits jobs of these modes. A lost answer leaves the name to be looked for later."""
        jobs = {f"j{number}-{mode}": self.job(mode, number) for number, mode in enumerate(modes)}
        with contextlib.suppress(OSError, http.client.HTTPException), self.refusals_told():
            answer = json.loads(self.request("POST", "/v1/experiments", json.dumps({"name": name, "jobs": jobs}).encode()))
            for job in answer["jobs"]:
                self.accepted[job["id"]] = job["name"].split("-")[1]

    @contextlib.contextmanager
    def refusals_told(self):
        """A spec that is wrong would test nothing."""
        try:
            yield
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise Violation(f"a spec was refused: {error.read().decode(errors='replace')}") from error
            raise

    # What is alive.

    def attempts(self):
        """The folders of attempts with what is known of their processes."""
        found = []
        for folder in sorted((self.data / "attempts").glob("att_*")):
            with contextlib.suppress(OSError, ValueError):
                found.append((folder, json.loads((folder / "shim.json").read_text())))
        return found

    def live(self):
        return [(folder, who) for folder, who in self.attempts() if not (folder / "exit.json").exists()]

    @staticmethod
    def is_alive(pid, start=None):
        try:
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False
        fields = text[text.rindex(")") + 2 :].split()
        return fields[0] != "Z" and (start is None or int(fields[19]) == start)

    def processes_of(self, attempt):
        """Every live process that was started with the attempt's folder in its environment."""
        needle = f"ANNEAL_ATTEMPT_DIR={attempt}".encode()
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if needle in (entry / "environ").read_bytes().split(b"\0") and self.is_alive(int(entry.name)):
                        found.append(int(entry.name))
        return found

    # The faults.

    def kill_daemon(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.kill_daemon()
        self.start()

    def kill_shim(self):
        self.signal_one("shim_pid", signal.SIGKILL)

    def kill_worker(self):
        self.signal_one("child_pid", signal.SIGKILL)

    def signal_one(self, who, number):
        live = self.live()
        if live:
            with contextlib.suppress(OSError, KeyError):
                os.kill(self.random.choice(live)[1][who], number)

    def freeze(self):
        """Daemon, shim or worker stands still for a moment."""
        pids = [self.process.pid] + [who[key] for _, who in self.live() for key in ("shim_pid", "child_pid") if key in who]
        pid = self.random.choice(pids)
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGSTOP)
            self.settled.wait(self.random.uniform(0.05, 0.6))
            os.kill(pid, signal.SIGCONT)

    def jump(self):
        if self.clock.exists():
            self.clock.write_text(str(self.random.choice([-86_400, -60, 3_600, 400 * 86_400, 0])))

    def cancel_one(self):
        if self.accepted:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.request("POST", f"/v1/jobs/{self.random.choice(sorted(self.accepted))}/cancel", b"{}")

    def fill_disk(self, folder=None):
        """Nothing can be written for a moment; only on a file system of the round's own."""
        ballast = (folder or self.data) / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb") as file:
            while file.write(b"\0" * 65536):
                file.flush()
        self.settled.wait(self.random.uniform(0.1, 0.8))
        ballast.unlink(missing_ok=True)

    def cut_wal(self):
        """The end of the database's journal is lost, as by a disk that lied about what it had written."""
        self.kill_daemon()
        wal = self.data / "anneal.db-wal"
        if wal.exists():
            os.truncate(wal, self.random.randint(0, wal.stat().st_size))
        self.start()

    # The client.

    def follow(self):
        """Reads the events of all subjects, and takes up where it was whenever the daemon goes away."""
        while self.following:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                request = urllib.request.Request(
                    f"http://127.0.0.1:{self.port}/v1/stream?after=0",
                    headers={"Last-Event-ID": self.position, "Accept": "text/event-stream"},
                )
                with urllib.request.urlopen(request, timeout=5) as stream:
                    for line in stream:
                        if line.startswith(b"id: "):
                            self.position = line[4:].strip().decode()
                            # While curves are told as they are, the identifier is no event's.
                            if self.position.isdigit():
                                self.seen.append(int(self.position))
                        if not self.following:
                            return
            self.settled.wait(0.05)

    def close(self):
        self.following = False
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for folder, _ in self.attempts():
            for pid in self.processes_of(folder):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        for _, who in self.live():
            if self.is_alive(who.get("shim_pid", 0), who.get("shim_start_ticks")):
                with contextlib.suppress(OSError):
                    os.kill(who["shim_pid"], signal.SIGKILL)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
