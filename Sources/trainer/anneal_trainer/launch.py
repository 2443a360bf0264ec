"""One process for each GPU of a job, and one exit code for all of them. No torch.

torchrun would turn every failure into the exit code 1, and so lose what the worker contract says. The processes meet over a file (see
`ranks.py`), so no port has to be guessed; those of several nodes, on each of which one launcher runs, meet at the address that the
nodes were given. Rank 0 has the job's own output; the others write to `rank_<k>.log` in the log folder.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import EXIT_FAILED, EXIT_RESUME
from .job import Job, outputs_path

#: How long the other processes may go on, in seconds, once one has saved and stopped as it was asked to.
STOP_PATIENCE = 30
#: How long the other processes may take to end by themselves, in seconds, once one has failed.
FAILURE_PATIENCE = 2
#: How much of the end of a failed process's log is repeated in the job's own, in bytes.
TAIL_BYTES = 4000
#: Where the processes of a job meet, where there are several: the name of a folder.
RENDEZVOUS = "ANNEAL_RENDEZVOUS"


@dataclass(frozen=True)
class Layout:
    """How the processes of a job lie: so many `local` ones on each of `nodes` machines, of which this is number `node`."""

    local: int
    nodes: int = 1
    node: int = 0

    @property
    def count(self) -> int:
        return self.local * self.nodes

    @property
    def ranks(self) -> range:
        """Those of this machine."""
        return range(self.node * self.local, (self.node + 1) * self.local)


def layout_of(job: Job, environment: Mapping[str, str]) -> Layout:
    """How the job is to run: one process for each GPU it holds on each of its nodes, and one where a launcher has started this one."""
    if job.kind != "train" or "RANK" in environment or "LOCAL_RANK" in environment:
        return Layout(1)
    nodes = int(environment.get("NNODES") or 1)
    return Layout(max(1, job.gpus), nodes, int(environment.get("NODE_RANK") or 0) if nodes > 1 else 0)


def launch(layout: Layout) -> int:
    """Run this program as this machine's processes; returns their exit code, negative where a signal ended them."""
    attempt = Path(os.environ.get("ANNEAL_ATTEMPT_DIR") or outputs_path().parent)
    logs = Path(os.environ.get("ANNEAL_LOG_DIR") or attempt)
    logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ranks-", dir=attempt) as meeting:
        ranks = [Rank(number, layout, Path(meeting), logs) for number in layout.ranks]
        group = RankGroup(ranks, layout)
        group.run()
        return group.conclude()


class Rank:
    """One of the processes."""

    def __init__(self, number: int, layout: Layout, meeting: Path, logs: Path):
        self.number = number
        self.log = logs / f"rank_{number}.log" if number else None
        #: Where it says what it died of; that of rank 0 is the job's own.
        self.report = meeting / f"rank_{number}.json" if number else outputs_path()
        self.report_before = modified(self.report)
        environment = os.environ | {
            "RANK": str(number),
            "LOCAL_RANK": str(number % layout.local),
            "WORLD_SIZE": str(layout.count),
            "LOCAL_WORLD_SIZE": str(layout.local),
            "ANNEAL_OUTPUTS": str(self.report),
            RENDEZVOUS: str(meeting),
        }
        # As torchrun has it: the processes share the cores.
        environment.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // layout.local)))
        with self.log.open("ab") if self.log else contextlib.nullcontext() as output:
            command = [sys.executable, "-m", "anneal_trainer"]
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.process.returncode

    def reported(self) -> int | None:
        """When it wrote what it died of, in nanoseconds; None where it did not."""
        written = modified(self.report)
        return written if written != self.report_before else None

    def send(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)


class RankGroup:
    """All processes of a job: signals go to each, and the end of one is the end of all."""

    def __init__(self, ranks: list[Rank], layout: Layout):
        self.ranks = ranks
        self.layout = layout
        self.changed = threading.Event()
        #: The processes by which the others were ended, in the order in which they ended.
        self.ended: list[Rank] = []
        #: Those that did not end by themselves.
        self.killed: set[Rank] = set()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda number, _: self.relay(number))

    def relay(self, number: int) -> None:
        """Hand a signal on. Those that have it already, as SIGTERM goes to the whole process group, do not mind."""
        for rank in self.ranks:
            rank.send(number)

    def run(self) -> None:
        """Wait until all have ended. When one fails, the others would wait for it for ever: they are killed soon."""
        for rank in self.ranks:
            threading.Thread(target=self.watch, args=(rank,), daemon=True).start()
        deadline: float | None = None
        has_failed = False
        while len(self.ended) < len(self.ranks):
            # A wait without an end would keep signals from being handled.
            self.changed.wait(1.0 if deadline is None else 0.1)
            self.changed.clear()
            codes = [rank.code for rank in list(self.ended)]
            if not has_failed and any(code not in (0, EXIT_RESUME) for code in codes):
                has_failed, deadline = True, time.monotonic() + FAILURE_PATIENCE
            elif EXIT_RESUME in codes and deadline is None:
                deadline = time.monotonic() + STOP_PATIENCE
            if deadline is not None and time.monotonic() > deadline:
                self.kill()

    def watch(self, rank: Rank) -> None:
        rank.process.wait()
        self.ended.append(rank)
        self.changed.set()

    def kill(self) -> None:
        for rank in self.ranks:
            if rank.process.poll() is None:
                self.killed.add(rank)
                rank.send(signal.SIGKILL)

    def conclude(self) -> int:
        """The exit code of the process that failed first, whose report becomes the job's."""
        codes = {rank.code for rank in self.ranks}
        if codes == {0}:
            return 0
        if EXIT_RESUME in codes and codes <= {0, EXIT_RESUME, -signal.SIGKILL}:
            return EXIT_RESUME
        culprit = self.culprit()
        self.tell_of(culprit)
        return self.code_of(culprit)

    def code_of(self, rank: Rank) -> int:
        """How a process ended; one that told of its failure and was killed before it had ended has failed."""
        return EXIT_FAILED if rank in self.killed else rank.code

    def culprit(self) -> Rank:
        """Whose failure came first. A process that reports its error does so before the others notice that it is gone."""
        reports = {rank: written for rank in self.ranks if (written := rank.reported()) and rank.code != 0}
        first = next(rank for rank in self.ended if rank.code not in (0, EXIT_RESUME))
        if first.code < 0 and first not in reports:
            return first
        return min(reports, key=reports.__getitem__, default=first)

    def tell_of(self, rank: Rank) -> None:
        """Repeat a process's last words where the job's are, and make its report the job's."""
        fate = f"signal {-rank.code}" if rank.code < 0 and rank not in self.killed else f"exit code {self.code_of(rank)}"
        print(f"error: process {rank.number} of {self.layout.count} ended first, by {fate}", file=sys.stderr)
        if rank.log is None:
            return
        with rank.log.open("rb") as log:
            log.seek(max(0, rank.log.stat().st_size - TAIL_BYTES))
            print(f"the end of {rank.log}:\n{log.read().decode(errors='replace')}", file=sys.stderr)
        if rank.reported():
            os.replace(rank.report, outputs_path())


def end_by(number: int) -> None:
    """End this process by a signal as one of its ranks ended, so that whoever watches it sees the same."""
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def modified(path: Path) -> int | None:
    """When a file was last written, in nanoseconds; None where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
