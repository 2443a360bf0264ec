"""A real daemon for each test: its own data folder, its own port, and nothing of it left at the end."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("ANNEAL_PROGRAMS", ROOT / ".build" / "debug"))
#: Programs in Python that jobs run.
SCRIPTS = pathlib.Path(__file__).resolve().parent / "programs"
#: How long a test waits for something that must happen, in seconds. Generous: machines are busy.
PATIENCE = 60
#: Files whose tests take longest; they go first, so that processes that share the tests end at about the same time.
LONG = ["test_pipeline", "test_serve", "test_queue", "test_dashboard", "test_tracking"]


def pytest_collection_modifyitems(items):
    """Puts the files with long tests before the others."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


#: Never set: what waits for it between two looks at a condition waits for its time-out.
NEVER = threading.Event()


def wait_until(condition, what="the condition", patience=PATIENCE):
    """Returns the first true value of `condition()`; fails after `patience` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := condition():
            return value
        NEVER.wait(0.02)
    pytest.fail(f"{what} did not come about within {patience} s")


class Answer:
    """An HTTP answer: `status`, `headers`, `body` (bytes), `json`."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Daemon:
    """One `anneald` process and the folder it works on, which outlives it."""

    def __init__(self, folder, *flags, environment=None):
        self.folder, self.flags, self.process = pathlib.Path(folder), list(flags), None
        self.environment = environment or {}
        self.url = None
        self.token = None

    def start(self):
        self.log = open(self.folder.parent / f"{self.folder.name}.log", "ab")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [PROGRAMS / "anneald", "--data", self.folder, *self.flags]
        if "--listen" not in self.flags:
            command += ["--listen", f"127.0.0.1:{port}"]
        else:
            port = int(self.flags[self.flags.index("--listen") + 1].rsplit(":", 1)[1])
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)
        self.url = f"http://127.0.0.1:{port}"
        wait_until(self.is_ready, "the daemon's readiness")
        return self

    def is_ready(self):
        assert self.process.poll() is None, self.log_text()
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def log_text(self):
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait()

    def restart(self, number=signal.SIGKILL):
        self.kill(number)
        return self.start()

    def request(self, method, path, body=None, headers=None):
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers or {})
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE + 30) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def post(self, path, body=b"", **headers):
        return self.request("POST", path, body, headers)

    def submit(self, spec, query="", **headers):
        """Submits a spec given as text (YAML) or as an object (JSON)."""
        if isinstance(spec, str):
            return self.post(f"/v1/experiments{query}", spec.encode(), **{"Content-Type": "application/yaml", **headers})
        return self.post(f"/v1/experiments{query}", json.dumps(spec).encode(), **{"Content-Type": "application/json", **headers})

    def run(self, spec, query=""):
        """Submits, waits for the end, and returns the experiment with its jobs by name."""
        answer = self.submit(spec, query)
        assert answer.status == 201, answer.body
        return self.finished(answer.json["id"])

    def finished(self, experiment):
        """The experiment once it has ended, with `jobs` as a dictionary of whole jobs by name."""
        wait_until(lambda: self.get(f"/v1/experiments/{experiment}?wait=10").json["finished_at"], "the end of the experiment", 240)
        view = self.get(f"/v1/experiments/{experiment}").json
        view["jobs"] = {job["name"]: self.job(job["id"]) for job in view["jobs"]}
        return view

    def job(self, identifier):
        return self.get(f"/v1/jobs/{identifier}").json

    def job_of(self, experiment, name):
        jobs = self.get(f"/v1/experiments/{experiment}").json["jobs"]
        return self.job(next(job["id"] for job in jobs if job["name"] == name))

    def wait_for(self, job, state):
        """The job once it is in `state`; fails at once where it ends in another."""

        def look():
            view = self.job(job)
            ended = view["state"] in ("succeeded", "failed", "cancelled", "skipped", "lost")
            assert view["state"] == state or not ended, view
            return view if view["state"] == state else None

        return wait_until(look, f"state {state} of {job}")

    def shim(self, attempt):
        """What `shim.json` says of an attempt."""
        path = self.folder / "attempts" / attempt / "shim.json"
        return json.loads(wait_until(lambda: path.exists() and path.read_text(), "shim.json"))

    def logs(self, job, query=""):
        return self.get(f"/v1/jobs/{job}/logs{query}").body

    def curve(self, job, key):
        return self.get(f"/v1/jobs/{job}/metrics?key={urllib.parse.quote(key, safe='')}").json["points"]

    def clean_up(self):
        if self.process and self.process.poll() is None:
            self.kill(signal.SIGTERM)
        for record in self.folder.glob("attempts/*/shim.json"):
            if (record.parent / "exit.json").exists():
                continue
            shim = json.loads(record.read_text())
            for pid in (shim["shim_pid"], -shim["child_pid"]):
                try:
                    os.kill(pid, signal.SIGKILL) if pid > 0 else os.killpg(-pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


@pytest.fixture
def make_daemon(tmp_path):
    """Makes daemons on folders below the test's own; they are stopped at its end."""
    made = []

    def make(*flags, folder="data", **environment):
        daemon = Daemon(tmp_path / folder, *flags, environment=environment)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.clean_up()


@pytest.fixture
def daemon(make_daemon):
    """A running daemon with two CPUs and no GPU."""
    return make_daemon("--gpus", "none", "--cpus", "2").start()


def command(*argv, **more):
    """The body of a `command` job that is never answered from the cache."""
    return {"kind": "command", "command": list(argv), "cache": False, **more}


def shell(text, **more):
    """The same for a line of shell."""
    return command("sh", "-c", text, **more)


def python(text, *arguments, **more):
    """The same for Python code, run by the interpreter that the tests run on."""
    return command(sys.executable, "-c", text, *arguments, **more)


def script(name, *arguments, **more):
    """The same for a program of the folder `programs`."""
    return command(sys.executable, "-B", str(SCRIPTS / name), *arguments, **more)


def quick_training(tmp_path):
    """The environment of a daemon whose Python is a quick trainer, and the body of a job that it does."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -B {SCRIPTS / 'quick_trainer.py'}\n")
    program.chmod(0o755)
    (tmp_path / "base").mkdir(exist_ok=True)
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "train.jsonl").write_text('{"input": "1", "output": "2"}\n' * 4)
    job = {
        "kind": "train", "method": "sft", "model": str(tmp_path / "base"), "dataset": str(tmp_path / "train.jsonl"), "cache": False,
        "params": {"global_batch_size": 1, "max_steps": 4}, "env": {"FLAG": str(tmp_path / "go")},
    }  # fmt: skip
    return {"ANNEAL_PYTHON": str(program)}, job


#: Says what it was called with, and answers as a Slurm that has one node and starts nothing.
FAKE_SLURM = """#!/bin/sh
echo "$(basename "$0") $*" >> "$(dirname "$0")/calls"
case "$(basename "$0") $*" in
sbatch*) echo $((16 + $(grep -c ^sbatch "$(dirname "$0")/calls"))) ;;
sinfo*) echo "main|up|1|idle"; echo "closed|down|1|down*" ;;
srun*) while test "$1" != sh; do shift; done; exec "$@" ;;
esac
"""


def fake_slurm(folder, *absent):
    """A folder with programs that answer for Slurm's, but for those that are `absent`; the file `calls` in it has all calls."""
    programs = folder / "slurm"
    programs.mkdir()
    for name in {"sbatch", "squeue", "sinfo", "scancel", "scontrol", "sacct", "srun"} - set(absent):
        (programs / name).write_text(FAKE_SLURM)
        (programs / name).chmod(0o755)
    return programs


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory):
    """A daemon for all tests of a module that leave it as it was, with two CPUs and no GPU."""
    daemon = Daemon(tmp_path_factory.mktemp("shared") / "data", "--gpus", "none", "--cpus", "2").start()
    yield daemon
    daemon.clean_up()


@pytest.fixture
def trainer_python():
    """The Python that has PyTorch and TRL; the test is skipped by name where there is none."""
    python = os.environ.get("ANNEAL_PYTHON") or str(ROOT / ".venv" / "bin" / "python")
    if not os.access(python, os.X_OK):
        pytest.skip("no Python with PyTorch: set ANNEAL_PYTHON or run 'make test'")
    return python
