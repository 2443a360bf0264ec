"""Short jobs through Slurm: the daemon beside a shell loop of sbatch, on one real cluster of this machine.

The cluster is the one of the tests (two slurmd of this machine). Both sides run the same number of jobs, in turns.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import measure
from harness import daemon as harness
from harness import slurm

JOBS = int(os.environ.get("ANNEAL_SLURM_JOBS", "1000"))
WAITING = int(os.environ.get("ANNEAL_SLURM_WAITING", "10000"))
TURNS = int(os.environ.get("ANNEAL_SLURM_TURNS", "2"))
#: Seconds of calm in which the daemon's cost of a queue that does not move is measured.
CALM = 60
CONFIGURATION = os.environ.get("ANNEAL_BENCH_CONFIGURATION", "release")


def cpu_seconds(pid: int) -> tuple[float, float]:
    """CPU time of a process, and of its children that have ended: proc_pid_stat(5), utime + stime and cutime + cstime."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2 :].split()
    ticks = os.sysconf("SC_CLK_TCK")
    own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own / ticks, children / ticks


class Programs:
    """A folder of Slurm's programs in which squeue writes down when it is called."""

    def __init__(self, folder: pathlib.Path, cluster: slurm.SlurmCluster):
        self.folder = folder / "programs"
        self.calls = folder / "squeue-calls"
        self.folder.mkdir()
        self.calls.touch()
        for name in ("squeue", "sacct", "scancel", "scontrol", "sinfo", "sbatch"):
            real = cluster.run("sh", "-c", f"command -v {name}").strip()
            if name == "squeue":
                text = f'#!/bin/bash\nprintf "%s\\n" "$EPOCHREALTIME" >> {self.calls}\nexec {real} "$@"\n'
                (self.folder / name).write_text(text)
                (self.folder / name).chmod(0o755)
            else:
                (self.folder / name).symlink_to(real)

    def rate(self, since: float, until: float) -> tuple[float, int]:
        """Calls of squeue per second in a span, and the most that came within one second of each other."""
        moments = sorted(m for m in map(float, self.calls.read_text().split()) if since <= m <= until)
        most = max((sum(1 for other in moments if first <= other < first + 1) for first in moments), default=0)
        return len(moments) / (until - since), most


@contextlib.contextmanager
def daemon(folder: pathlib.Path, cluster: slurm.SlurmCluster, programs: Programs, **terms):
    """A daemon that has the cluster as `hpc`."""
    hpc = {"executor": "slurm", "partition": "main", "slurm_conf": str(cluster.configuration), "programs": str(programs.folder), **terms}
    (folder / "anneal.yaml").write_text(json.dumps({"clusters": {"hpc": hpc}}))
    with harness.running(folder / "data", CONFIGURATION, ["--gpus", "none", "--config", str(folder / "anneal.yaml")]) as ours:
        yield ours


def queue_is_empty(cluster: slurm.SlurmCluster) -> bool:
    return not cluster.run("squeue", "--noheader", "--states=PENDING,RUNNING,COMPLETING", "--format=%i").strip()


def await_empty(cluster: slurm.SlurmCluster, patience: float = 600) -> None:
    """Waits until the cluster has nothing to do."""
    end = time.monotonic() + patience
    while not queue_is_empty(cluster):
        if time.monotonic() > end:
            raise measure.CannotMeasure(f"the cluster did not become empty in {patience:g} s")
        threading.Event().wait(0.25)


def plain(folder: pathlib.Path, cluster: slurm.SlurmCluster) -> float:
    """Jobs per second of a shell loop that hands each job to sbatch, from the first submission to the last job's end."""
    (folder / "plain.sh").write_text("#!/bin/bash\nexec true\n")
    loop = f'for i in $(seq {JOBS}); do sbatch --parsable --no-requeue --output={folder}/plain-%j.log {folder}/plain.sh; done'
    started = time.monotonic()
    subprocess.run(["bash", "-c", loop], env=cluster.environment, check=True, stdout=subprocess.DEVNULL, timeout=900)
    await_empty(cluster)
    rate = JOBS / (time.monotonic() - started)
    for path in folder.glob("plain-*.log"):
        path.unlink()
    return rate


def ours(server: harness.Daemon, number: int) -> float:
    """The same through the daemon, from the request to the end of the experiment as the API tells it."""
    job = {"kind": "command", "command": ["true"], "cache": False}
    started = time.monotonic()
    experiment = server.submit({"name": f"short-{number}", "cluster": "hpc", "jobs": {f"j{index}": job for index in range(JOBS)}})
    ended = server.finish(experiment["id"], 900)
    rate = JOBS / (time.monotonic() - started)
    if ended["state"] != "succeeded":
        raise measure.CannotMeasure(f"the experiment ended as {ended['state']}")
    return rate


def cluster_or_not(folder: pathlib.Path):
    if reason := slurm.missing():
        raise measure.CannotMeasure(reason)
    return slurm.running(folder / "cluster")


def slurm_short_jobs(table, _cores, _daemon, _folder) -> None:
    """Jobs of /bin/true: the rate beside a shell loop, the daemon's own CPU for each, and how often squeue is called."""
    with tempfile.TemporaryDirectory(prefix="anneal-bench-") as name, cluster_or_not(pathlib.Path(name)) as cluster:
        folder = pathlib.Path(name)
        programs = Programs(folder, cluster)
        with daemon(folder, cluster, programs) as server:
            mine, theirs, spans = [], [], []
            own, children = cpu_seconds(server.process.pid)
            for number in range(TURNS):
                theirs.append(plain(folder, cluster))
                began = time.time()
                mine.append(ours(server, number))
                spans.append(programs.rate(began, time.time()))
                await_empty(cluster)
            own, children = (after - before for after, before in zip(cpu_seconds(server.process.pid), (own, children), strict=True))
            resident = server.resident_bytes()
    jobs = JOBS * TURNS
    rate, peer = statistics.median(mine), statistics.median(theirs)
    table.add(f"{JOBS:,} short jobs through Slurm", f"{rate:.1f}/s", f"{peer:.1f}/s sbatch loop", rate / peer, "≥ 0.9", rate >= 0.9 * peer)
    milliseconds = 1000 * own / jobs
    table.add("  the daemon's own CPU for each", f"{milliseconds:.2f} ms", "5 ms", milliseconds / 5, "< 5 ms", milliseconds < 5)
    table.add("  CPU of its sbatch, squeue and scancel for each", f"{1000 * children / jobs:.2f} ms")
    calls, most = max(spans)
    table.add("  squeue calls a second", f"{calls:.2f} (at most {most} within a second)", "1", calls, "≤ 1", calls <= 1 and most <= 2)
    table.add("  resident memory after them", f"{resident / 1e6:.1f} MB")


def slurm_waiting_jobs(table, _cores, _daemon, _folder) -> None:
    """Many jobs that wait in Slurm's queue: what looking after them costs while nothing happens."""
    with tempfile.TemporaryDirectory(prefix="anneal-bench-") as name, cluster_or_not(pathlib.Path(name)) as cluster:
        folder = pathlib.Path(name)
        programs = Programs(folder, cluster)
        job = {"kind": "command", "command": ["true"], "cache": False}
        with daemon(folder, cluster, programs, partition="closed") as server:
            for start in range(0, WAITING, 1000):
                jobs = {f"j{index}": job for index in range(start, min(start + 1000, WAITING))}
                server.submit({"name": f"waiting-{start}", "cluster": "hpc", "jobs": jobs})
            end = time.monotonic() + 1200
            while len(cluster.run("squeue", "--noheader", "--format=%i").splitlines()) < WAITING:
                if time.monotonic() > end:
                    raise measure.CannotMeasure("the jobs did not come into Slurm's queue")
                threading.Event().wait(2)
            # Slurm's reasons come with its next look at the queue, and what is written of them is no part of the calm.
            threading.Event().wait(40)
            (own, children), began = cpu_seconds(server.process.pid), time.time()
            threading.Event().wait(CALM)
            own_after, children_after = cpu_seconds(server.process.pid)
            rate, most = programs.rate(began, time.time())
            resident = server.resident_bytes()
            cluster.run("scancel", "--user=root", patience=120)
    share = 100 * (own_after - own) / CALM
    table.add(f"{WAITING:,} jobs waiting in Slurm: the daemon's own CPU", f"{share:.1f} % of a core", "10 %", None, "< 10 %", share < 10)
    table.add("  CPU of its programs", f"{100 * (children_after - children) / CALM:.1f} % of a core")
    table.add("  squeue calls a second", f"{rate:.2f} (at most {most} within a second)", "1", rate, "≤ 1", rate <= 1)
    table.add("  resident memory", f"{resident / 1e6:.1f} MB")


PARTS = (slurm_short_jobs, slurm_waiting_jobs)


def main() -> None:
    """Runs the parts that are named, or all, and prints their rows as they come."""

    class Lines:
        @staticmethod
        def add(what, ours, peer="–", ratio=None, bar="–", met=None) -> None:
            print(f"{what}: {ours}; {peer}; ratio {'–' if ratio is None else f'{ratio:.2f}'}; bar {bar}; met {met}", flush=True)

    for part in PARTS:
        if not sys.argv[1:] or part.__name__ in sys.argv[1:]:
            part(Lines, None, None, None)


if __name__ == "__main__":
    main()
