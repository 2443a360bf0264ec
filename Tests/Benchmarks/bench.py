#!/usr/bin/env python3
"""Measures the daemon beside a peer or the machine's own limit, in one run, and prints one table.

The server under test and its peer run on one core, the load on another, in turns, so that both meet the same machine. Takes about
fifteen minutes; names of parts as arguments measure only these. Nothing here is a test: it passes no judgement beyond the column `met`.
"""

from __future__ import annotations

import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import curves_bench  # noqa: E402
import dashboard_bench  # noqa: E402
import measure  # noqa: E402
import packing_bench  # noqa: E402
import prepare_bench  # noqa: E402
import queue_bench  # noqa: E402
import reading_bench  # noqa: E402
import slurm_bench  # noqa: E402
from harness import daemon as harness  # noqa: E402

FOLDER = harness.ROOT / ".cache" / "bench"
TURNS = 5
TURN_SECONDS = 3
FINISHED_JOBS = 10_000
JOBS_OF_AN_EXPERIMENT = 1000
DAEMON_ARGUMENTS = ["--gpus", "none"]


class Table:
    """Rows as they become known, printed together at the end."""

    HEAD = ("what", "ours", "peer or limit", "ratio", "bar", "met")

    def __init__(self):
        self.rows: list[tuple[str, ...]] = []

    def add(
        self, what: str, ours: str, peer: str = "–", ratio: float | None = None, bar: str = "–", met: bool | None = None
    ) -> None:
        verdict = "–" if met is None else "yes" if met else "NO"
        self.rows.append((what, ours, peer, "–" if ratio is None else f"{ratio:.2f}", bar, verdict))
        print(f"  {what}: {ours}", flush=True)

    def __str__(self) -> str:
        rows = [self.HEAD, *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.HEAD))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def daemon(name: str, cores: measure.Cores, arguments: list[str] | None = None):
    wrapper = measure.Cores.pinned(cores.server)
    return harness.running(FOLDER / name, "release", [*DAEMON_ARGUMENTS, *(arguments or [])], wrapper=wrapper)


def polls(table: Table, cores: measure.Cores) -> None:
    """Status polls against the least server that there can be, with bodies of one size."""
    with daemon("polls", cores) as ours:
        experiment = ours.submit({"name": "poll", "jobs": {"one": {"kind": "command", "command": ["true"]}}})
        ours.finish(experiment["id"])
        path = f"/v1/jobs/{experiment['jobs'][0]['id']}"
        with urllib.request.urlopen(ours.url + path) as answer:
            body_bytes = len(answer.read())
        port = harness.free_port()
        with measure.floor(FOLDER, port, body_bytes, cores):
            targets = {"ours": ours.url + path, "floor": f"http://127.0.0.1:{port}/"}
            for url in targets.values():
                measure.wrk(url, 1, cores)
            rates: dict[str, list[measure.Rate]] = {name: [] for name in targets}
            for _ in range(TURNS):
                for name, url in targets.items():
                    rates[name].append(measure.wrk(url, TURN_SECONDS, cores))
        mine, peer = (statistics.median(rate.per_second for rate in rates[name]) for name in ("ours", "floor"))
        p99, peer_p99 = (statistics.median(rate.p99_ms for rate in rates[name]) for name in ("ours", "floor"))
        ratio = mine / peer
        what = f"status polls/s ({body_bytes} B, 16 connections)"
        table.add(what, f"{mine:,.0f}", f"{peer:,.0f} C floor", ratio, "≥ 0.5", ratio >= 0.5)
        table.add("status polls, p99", f"{p99:.2f} ms", f"{peer_p99:.2f} ms C floor", None, "< 2 ms", p99 < 2)
        table.add("resident memory after the polls", megabytes(ours.resident_bytes()))


def durable_submissions(table: Table, cores: measure.Cores) -> None:
    """Accepted and durable specs a second, against what one fsync for each would allow."""
    fsyncs = measure.fsyncs_per_second(FOLDER, 2)
    port = harness.free_port()
    with measure.floor(FOLDER, port, 600, cores):
        ceilings = {clients: measure.submissions(port, clients, 2, cores)["per_second"] for clients in (1, 64)}
    with daemon("submissions", cores, ["--cpus", "1"]) as ours:
        # One job holds the only CPU, so that what is submitted stays in the queue: accepting is measured, not running. It ends by
        # itself, and the clean-up needs no signal.
        gate = FOLDER / "gate"
        gate.touch()
        script = f'while [ -e "{gate}" ]; do read -t 0.2 line <> <(:) || :; done'
        ours.submit({"name": "gate", "jobs": {"hold": {"kind": "command", "command": ["bash", "-c", script]}}})
        try:
            for clients in (1, 64):
                result = measure.submissions(ours.port, clients, 4, cores)
                if result["refused"]:
                    raise measure.CannotMeasure(f"a submission was refused: {result['refused'][:500]}")
                noun = "client" if clients == 1 else "clients"
                table.add(
                    f"durable submissions/s, {clients} {noun}", f"{result['per_second']:,.0f} (p99 {result['p99_ms']:.1f} ms)",
                    f"{fsyncs:,.0f} fsync/s", result["per_second"] / fsyncs,
                )  # fmt: skip
                table.add(f"  the load generator's own ceiling, {clients} {noun}", f"{ceilings[clients]:,.0f}/s against the C floor")
        finally:
            ours.stop()
            gate.unlink()


def finished_jobs(table: Table, cores: measure.Cores) -> None:
    """Idle memory and the time to start with many finished jobs in the database."""
    job = {"kind": "command", "command": ["true"]}
    with daemon("finished", cores) as ours:
        ours.finish(ours.submit({"name": "first", "jobs": {"one": job}})["id"])
        # Equal jobs are taken from the cache: finished like any other, without a process each.
        for number in range(FINISHED_JOBS // JOBS_OF_AN_EXPERIMENT):
            jobs = {f"job-{index}": job for index in range(JOBS_OF_AN_EXPERIMENT)}
            ours.finish(ours.submit({"name": f"many-{number}", "jobs": jobs})["id"])
        table.add(f"resident memory having finished {FINISHED_JOBS:,} jobs", megabytes(ours.resident_bytes()))
    starts = []
    for _ in range(TURNS):
        with daemon("finished", cores) as ours:
            starts.append(ours.seconds_to_ready)
            resident = ours.resident_bytes()
    start = 1000 * statistics.median(starts)
    table.add(f"resident memory idle, {FINISHED_JOBS:,} finished jobs", megabytes(resident), "40 MB", None, "< 40 MB", resident < 40e6)
    table.add("start to the first 200", f"{start:.0f} ms", "200 ms", None, "< 200 ms", start < 200)


def job_latency(table: Table, _cores: measure.Cores) -> None:
    """What a job costs beside its own work."""
    job = {"kind": "command", "command": ["true"], "cache": False}
    with daemon("latency", measure.Cores(None, None)) as ours:
        spans = []
        for number in range(20):
            started = time.perf_counter()
            experiment = ours.submit({"name": f"noop-{number}", "jobs": {"one": job}})
            ours.finish(experiment["id"])
            spans.append(1000 * (time.perf_counter() - started))
        figures = f"{statistics.median(spans):.0f} ms median, {max(spans):.0f} ms worst of {len(spans)}"
        table.add("no-op job, from submission to its end seen", figures)


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def main() -> int:
    missing = [name for name in ("wrk", "cc") if shutil.which(name) is None]
    if missing or not harness.program("anneald", "release").exists():
        print(f"missing: {', '.join(missing) or 'the release build'}; run 'make bench'", file=sys.stderr)
        return 2
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    cores = measure.Cores.choose()
    pinned = cores.server is not None
    print("ours and its peers on one core, the load on another" if pinned else "nothing is pinned: one core, or no taskset")
    table = Table()
    parts = [lambda part=part: part(table, cores) for part in (polls, durable_submissions, finished_jobs, job_latency)]
    parts += [lambda part=part: part(table, FOLDER) for part in queue_bench.PARTS]
    others = [
        *curves_bench.PARTS, *reading_bench.PARTS, *dashboard_bench.PARTS, *packing_bench.PARTS, *prepare_bench.PARTS, *slurm_bench.PARTS,
    ]
    parts += [lambda part=part: part(table, cores, daemon, FOLDER) for part in others]
    names = ["polls", "durable_submissions", "finished_jobs", "job_latency", *(part.__name__ for part in [*queue_bench.PARTS, *others])]
    wanted = sys.argv[1:] or names
    for name, part in zip(names, parts, strict=True):
        if name not in wanted:
            continue
        try:
            part()
        except (measure.CannotMeasure, harness.DaemonFailed, slurm_bench.slurm.SlurmFailed, subprocess.SubprocessError) as error:
            table.add(name, f"not measured: {error}".splitlines()[0], met=False)
            print(error, file=sys.stderr)
    print(f"\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
