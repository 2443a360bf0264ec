"""A real Slurm on this machine: munged, slurmctld and two slurmd, each with two make-believe GPUs, in a folder of their own.

    Tests/harness/slurm.py COMMAND...    runs a command with SLURM_CONF naming such a cluster, and ends the cluster after it
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

#: Seconds that the cluster may take until both nodes are idle.
PATIENCE = 60
#: What is needed, as Debian's packages `slurm-wlm` and `munge` install it.
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "scontrol")
#: The same for accounts (`mariadb-server`, `slurmdbd`).
ACCOUNTING_PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd", "sacct")
NODES = ("n1", "n2")
GPUS_PER_NODE = 2

CONFIGURATION = """\
ClusterName=anneal
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
{tokens}
SlurmctldPort={controller_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmUser={user}
SlurmdUser={user}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
MpiDefault=none
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=30
InactiveLimit=0
KillWait=5
MinJobAge={minimum_age}
MaxJobCount=20000
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
GresTypes=gpu
{accounting}
JobCompType=jobcomp/none
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
PartitionName=closed Nodes=ALL MaxTime=INFINITE State=DOWN
"""


def missing() -> str | None:
    """Why no cluster can be started here; `None` where one can."""
    absent = [name for name in PROGRAMS if not _path(name)]
    if absent:
        return f"Slurm is not installed (no {', '.join(absent)}): apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "slurmd and its GPU devices need root"


def _path(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens on now, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def missing_rest() -> str | None:
    """Why no slurmrestd can be started here; `None` where one can."""
    if not _path("slurmrestd") or not any(pathlib.Path("/usr/lib").glob("*/slurm-wlm/auth_jwt.so")):
        return "no slurmrestd, or no tokens for it: apt-get install slurmrestd slurm-wlm-jwt-plugin"
    return missing()


def missing_accounting() -> str | None:
    """Why no accounts can be kept here; `None` where they can."""
    absent = [name for name in ACCOUNTING_PROGRAMS if not _path(name)]
    return f"no {', '.join(absent)}: apt-get install mariadb-server slurmdbd" if absent else missing()


class SlurmFailed(Exception):
    """The cluster did not come up."""


def run_program(configuration: pathlib.Path, *command: str, patience: float = 30) -> str:
    """Runs one of Slurm's programs on the cluster of a configuration and returns what it prints; a failure is an error."""
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=patience)
    if done.returncode:
        raise SlurmFailed(f"{' '.join(command)}: {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class SlurmCluster:
    """The daemons of one cluster and how to ask them.

    `minimum_age` is how long Slurm remembers jobs that have ended, in seconds; with `accounting` slurmdbd remembers them for good. With
    `rest` slurmrestd serves at `rest_url`; the folder must be one that anybody can enter then. `devices` are real GPUs, dealt out to the
    nodes in equal parts; without them every node has make-believe ones. `plugins` is the folder of Slurm's plugins where it is not the
    usual one.
    """

    def __init__(
        self, folder: pathlib.Path, minimum_age: int = 300, accounting: bool = False, rest: bool = False,
        devices: list[str] | None = None, plugins: str | None = None,
    ):
        self.folder = folder
        self.rest_port = _free_ports(1)[0] if rest else None
        self.accounts = Accounts(folder) if accounting else None
        self.minimum_age = minimum_age
        self.devices = devices
        self.plugins = plugins
        self.configuration = folder / "slurm.conf"
        self._processes: dict[str, subprocess.Popen] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Slurm's programs find this cluster."""
        return {**os.environ, "SLURM_CONF": str(self.configuration)}

    def start(self) -> SlurmCluster:
        """Starts every daemon and waits until both nodes are idle."""
        self._write()
        munge = self.folder / "munge"
        self._launch(
            "munged", "--foreground", f"--socket={munge}/socket", f"--key-file={munge}/key", f"--pid-file={munge}/pid",
            f"--seed-file={munge}/seed", f"--log-file={munge}/log", "--force",
        )
        self._await(lambda: (munge / "socket").exists(), "munged")
        if self.accounts:
            self._launch(*self.accounts.database)
            self._await(self.accounts.is_ready, "mariadbd")
            self.start_accounts()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self._await(self._is_idle, "the nodes")
        if self.rest_port:
            # It will not run as root; with tokens alone it needs no key of munge.
            self._launch(
                "slurmrestd", "-a", "rest_auth/jwt", "-s", "openapi/v0.0.38", "-u", "nobody", f"127.0.0.1:{self.rest_port}",
                SLURM_JWT="daemon")
            self._await(self._serves, "slurmrestd")
        return self

    @property
    def rest_url(self) -> str:
        """The address of slurmrestd."""
        return f"http://127.0.0.1:{self.rest_port}"

    def token(self) -> str:
        """A token of this user for slurmrestd."""
        return self.run("scontrol", "token", "lifespan=3600").strip().split("=", 1)[1]

    def _serves(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.rest_port)) == 0

    def stop(self) -> None:
        """Cancels what runs, and ends every daemon and every process that a job has left."""
        with contextlib.suppress(SlurmFailed, subprocess.TimeoutExpired):
            self.run("scancel", "--user=" + str(os.geteuid()), patience=5)
            self._await(lambda: not self.run("squeue", "--noheader", patience=5).strip(), "the end of the jobs", 10)
        for process in reversed(list(self._processes.values())):
            self._end(process)
        self._processes.clear()
        for pid in self._left_behind():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_controller(self) -> None:
        """Starts slurmctld, with the state that an earlier one has left."""
        self._launch("slurmctld", "-D", *([] if any((self.folder / "state").iterdir()) else ["-c"]))
        self._await(lambda: self._answers(), "slurmctld")

    def stop_controller(self, number: int = signal.SIGTERM) -> None:
        """Ends slurmctld; jobs run on."""
        process = self._processes.pop("slurmctld")
        process.send_signal(number)
        process.wait(30)

    def start_accounts(self) -> None:
        """Starts slurmdbd."""
        self._launch("slurmdbd", "-D")
        # It listens, which is all that slurmctld waits for.
        self._await(self.accounts.answers, "slurmdbd")

    def stop_accounts(self) -> None:
        """Ends slurmdbd; slurmctld keeps what it has to tell it."""
        process = self._processes.pop("slurmdbd")
        process.kill()
        process.wait(30)

    def start_node(self, node: str) -> None:
        """Starts the slurmd of a node."""
        self._launch("slurmd", "-D", "-N", node, name=node)

    def stop_node(self, node: str, number: int = signal.SIGKILL) -> None:
        """Ends the slurmd of a node; its jobs run on."""
        process = self._processes.pop(node)
        process.send_signal(number)
        process.wait(30)

    def await_idle(self) -> None:
        """Waits until nothing runs and both nodes can take jobs; nodes that failed meanwhile are put back into use."""

        def look() -> bool:
            with contextlib.suppress(SlurmFailed, subprocess.TimeoutExpired):
                if self._is_idle():
                    return True
                self.resume_nodes()
            return False

        self._await(look, "the nodes")

    def resume_nodes(self) -> None:
        """Puts nodes back into use that failed, or that Slurm has drained."""
        down = self.run("sinfo", "--noheader", "--Node", "--states=down,drain,fail", "--format=%N").split()
        for node in set(down):
            self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")

    def register_nodes(self) -> None:
        """Has the nodes tell slurmctld what runs on them, which they otherwise do only now and then."""
        self.run("scontrol", "reconfigure")

    def run(self, *command: str, patience: float = 30) -> str:
        """Runs one of Slurm's programs and returns what it prints; a failure is an error."""
        return run_program(self.configuration, *command, patience=patience)

    def jobs(self, name: str | None = None) -> list[dict[str, str]]:
        """What Slurm remembers of its jobs: `id`, `state`, `name`, `reason`, `nice`, `comment`."""
        text = self.run("squeue", "--noheader", "--states=all", "--format=%i|%T|%j|%r|%y|%k")
        keys = ("id", "state", "name", "reason", "nice", "comment")
        found = [dict(zip(keys, line.split("|", 5))) for line in text.splitlines() if line]
        return [job for job in found if name is None or job["name"] == name]

    def _answers(self) -> bool:
        with contextlib.suppress(SlurmFailed, subprocess.TimeoutExpired):
            self.run("scontrol", "ping", patience=5)
            self.run("squeue", "--noheader", patience=5)
            return True
        return False

    def _is_idle(self) -> bool:
        states = self.run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%T").split()
        return states == ["idle"] * len(NODES)

    def _write(self) -> None:
        """Writes the configuration, the key and the devices that stand for GPUs."""
        for name in ("munge", "spool", "state", "log"):
            (self.folder / name).mkdir(parents=True, mode=0o700)
        for node in NODES:
            (self.folder / "spool" / node).mkdir(mode=0o755)
        (self.folder / "munge" / "key").write_bytes(os.urandom(1024))
        (self.folder / "munge" / "key").chmod(0o600)
        (self.folder / "jwt.key").write_bytes(os.urandom(32))
        (self.folder / "jwt.key").chmod(0o600)
        held = self._devices()
        controller_port, *ports = _free_ports(1 + len(NODES))
        nodes = "\n".join(
            f"NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=4000 "
            + (f"Gres=gpu:{len(held[node])} " if held[node] else "") + "State=UNKNOWN"
            for node, port in zip(NODES, ports)
        )
        self.configuration.write_text(CONFIGURATION.format(
            host=socket.gethostname(), folder=self.folder, controller_port=controller_port, user="root", nodes=nodes,
            minimum_age=self.minimum_age,
            tokens=f"AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={self.folder}/jwt.key" if self.rest_port else "",
            accounting=self.accounts.write() if self.accounts else "AccountingStorageType=accounting_storage/none",
        ) + self._further_lines(held))
        # Nothing here is put into control groups. The plugin of the second version would want systemd's bus all the same.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        (self.folder / "gres.conf").write_text("".join(
            f"NodeName={node} Name=gpu File={path}\n" for node, paths in held.items() for path in paths))

    def _devices(self) -> dict[str, list[str]]:
        """The files of each node's GPUs."""
        if self.devices is not None:
            count = max(1, len(self.devices) // len(NODES))
            return {node: self.devices[index * count:(index + 1) * count] for index, node in enumerate(NODES)}
        paths = [self.folder / f"gpu{index}" for index in range(GPUS_PER_NODE)]
        for path in paths:
            # Like /dev/null: what matters to Slurm is that it is a device.
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        return {node: [str(path) for path in paths] for node in NODES}

    def _further_lines(self, held: dict[str, list[str]]) -> str:
        """Lines of the configuration for what differs from one machine to another."""
        lines = f"PluginDir={self.plugins}\n" if self.plugins else ""
        if self.devices is None:
            return lines
        # Every node counts its GPUs from 0. Here all are of one machine, where those of a node stand behind those before it.
        first = dict(zip(NODES, (0, len(held[NODES[0]]))))
        prolog = self.folder / "task-prolog"
        cases = "".join(f"{node}) first={number};; " for node, number in first.items())
        prolog.write_text(
            f'#!/bin/bash\n[ -n "$CUDA_VISIBLE_DEVICES" ] || exit 0\ncase "$SLURMD_NODENAME" in {cases}esac\n'
            'for index in ${CUDA_VISIBLE_DEVICES//,/ }; do all+=",$((index + first))"; done\n'
            'echo "export CUDA_VISIBLE_DEVICES=${all#,}"\n')
        prolog.chmod(0o755)
        return lines + f"TaskProlog={prolog}\n"

    def _launch(self, program: str, *arguments: str, name: str | None = None, **variables: str) -> None:
        log = self.folder / "log" / f"{name or program}.out"
        with log.open("ab") as output:
            self._processes[name or program] = subprocess.Popen(
                [_path(program) or program, *arguments], env={**self.environment, **variables}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )

    def _await(self, condition, what: str, patience: float = PATIENCE) -> None:
        """Waits until `condition` holds, and gives up at once where a daemon has ended."""
        end = time.monotonic() + patience
        while not condition():
            for name, process in self._processes.items():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
                    raise SlurmFailed(f"{name} ended with {process.returncode}:\n{self._log(name)}")
            if time.monotonic() > end:
                raise SlurmFailed(f"{what} did not come up within {patience:g} s:\n{self._log('slurmctld')}")

    def _log(self, name: str) -> str:
        files = [self.folder / "log" / f"{name}{ending}" for ending in (".out", ".log")]
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in files if path.exists())

    @staticmethod
    def _end(process: subprocess.Popen) -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _left_behind(self) -> list[int]:
        """Processes whose environment names this cluster: step daemons, and what jobs have left."""
        marker = f"SLURM_CONF={self.configuration}".encode()
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if marker in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found


class Accounts:
    """slurmdbd over a MariaDB of its own, in the cluster's folder."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.data = folder / "mariadb"
        self.database_port, self.port = _free_ports(2)

    @property
    def database(self) -> list[str]:
        """The command line of the database."""
        return [
            "mariadbd", "--no-defaults", f"--datadir={self.data}", f"--socket={self.data}/socket", f"--pid-file={self.data}/pid",
            f"--port={self.database_port}", "--bind-address=127.0.0.1", "--user=root", "--innodb-flush-log-at-trx-commit=0",
        ]

    def write(self) -> str:
        """Makes the database and slurmdbd's configuration; returns the lines of slurm.conf."""
        self.data.mkdir(mode=0o700)
        made = subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--user=root", "--skip-test-db"],
            capture_output=True, text=True, timeout=120)
        if made.returncode:
            raise SlurmFailed(f"mariadb-install-db: {made.stdout[-2000:]}{made.stderr[-2000:]}")
        configuration = self.folder / "slurmdbd.conf"
        configuration.write_text(f"""\
AuthType=auth/munge
AuthInfo=socket={self.folder}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={self.port}
SlurmUser=root
LogFile={self.folder}/log/slurmdbd.log
PidFile={self.folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={self.database_port}
StorageUser=slurm
StoragePass=slurm
""")
        configuration.chmod(0o600)
        return f"""\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={self.port}
AccountingStoragePass={self.folder}/munge/socket
JobAcctGatherType=jobacct_gather/none"""

    def is_ready(self) -> bool:
        """Whether the database can be used; makes its user once."""
        orders = "CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY 'slurm'; GRANT ALL ON slurm_acct_db.* TO slurm@'127.0.0.1';"
        done = subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self.data}/socket", "--user=root", f"--execute={orders}"], capture_output=True)
        return done.returncode == 0

    def answers(self) -> bool:
        """Whether slurmdbd listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextlib.contextmanager
def public_folder():
    """A folder that anybody can enter, for daemons that run as others."""
    with tempfile.TemporaryDirectory(prefix="anneal-slurm-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


@contextlib.contextmanager
def running(folder: pathlib.Path, **terms):
    """A cluster in `folder`, which is ended whatever happens."""
    cluster = SlurmCluster(folder, **terms)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


def main() -> int:
    """Runs the command of the command line beside a cluster; its exit status."""
    if reason := missing():
        print(reason, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="anneal-slurm-") as folder, running(pathlib.Path(folder) / "cluster") as cluster:
        return subprocess.run(sys.argv[1:], env=cluster.environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
