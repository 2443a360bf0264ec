"""The queue beside its peers: no-op jobs per second, latencies, restart, and the scheduler on paper.

HyperQueue is measured where its Python package can be imported (`pip install hyperqueue`), task-spooler where `tsp` is installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

from harness import daemon as harness

NOOPS = 2000
SLOTS = 2
LIVE = 500
SPAWNS = 1000


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def noops(table, folder: pathlib.Path) -> None:
    """Jobs of /bin/true, two at a time, durable, each under its supervisor; and how long a submission takes meanwhile."""
    job = {"kind": "command", "command": ["/bin/true"], "cache": False}
    with harness.running(folder / "noops", "release", ["--gpus", "none", "--cpus", str(SLOTS)]) as ours:
        started = time.monotonic()
        experiment = ours.submit({"name": "noops", "jobs": {f"j{number}": job for number in range(NOOPS)}})
        submissions = []
        with contextlib.ExitStack() as stack:
            draining = threading.Event()
            stack.callback(draining.set)
            for number in range(50):
                begin = time.perf_counter()
                ours.submit({"name": f"aside-{number}", "jobs": {"held": {**job, "hold": True}}})
                submissions.append(1000 * (time.perf_counter() - begin))
                draining.wait(0.05)
        ours.finish(experiment["id"])
        rate = NOOPS / (time.monotonic() - started)
    slowest = percentile(submissions, 0.99)
    table.add("submission while the queue drains, p99", f"{slowest:.1f} ms", "10 ms", None, "< 10 ms", slowest < 10)
    for name, peer, bar in (("HyperQueue", hyperqueue, 1.0), ("task-spooler", task_spooler, None), ("posix_spawn", spawns, None)):
        with contextlib.suppress(ImportError, FileNotFoundError, subprocess.SubprocessError):
            theirs = peer()
            met = None if bar is None else rate >= bar * theirs
            table.add(
                f"no-op jobs, {SLOTS} at a time, beside {name}", f"{rate:.0f}/s", f"{theirs:.0f}/s", rate / theirs,
                "–" if bar is None else "≥ 1", met,
            )


def hyperqueue() -> float:
    """Jobs per second of HyperQueue with its default of output files."""
    if packages := os.environ.get("HYPERQUEUE_PACKAGES"):
        sys.path.append(packages)
    import hyperqueue as hq
    from hyperqueue.cluster import WorkerConfig

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), hq.LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=SLOTS))
        client = cluster.client()
        job = hq.Job()
        for _ in range(NOOPS):
            job.program(["/bin/true"], stdout="out/%{TASK_ID}.stdout", stderr="out/%{TASK_ID}.stderr")
        started = time.monotonic()
        client.wait_for_jobs([client.submit(job)])
        return NOOPS / (time.monotonic() - started)


def task_spooler() -> float:
    """Jobs per second of task-spooler, which keeps nothing on disk but output files."""
    if shutil.which("tsp") is None:
        raise FileNotFoundError("tsp")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TS_SOCKET": f"{folder}/socket", "TMPDIR": folder, "TS_MAXFINISHED": "10"}
        subprocess.run(["tsp", "-S", str(SLOTS)], env=environment, check=True, capture_output=True)
        started = time.monotonic()
        for _ in range(NOOPS // 4):
            subprocess.run(["tsp", "/bin/true"], env=environment, check=True, capture_output=True)
        last = subprocess.run(["tsp", "/bin/true"], env=environment, check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(["tsp", "-w", last], env=environment, check=True, capture_output=True)
        rate = (NOOPS // 4 + 1) / (time.monotonic() - started)
        subprocess.run(["tsp", "-K"], env=environment, check=False, capture_output=True)
        return rate


def spawns() -> float:
    """Processes of /bin/true per second, two at a time: the limit of anything that starts programs."""
    def some() -> None:
        for _ in range(SPAWNS // SLOTS):
            os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)

    threads = [threading.Thread(target=some) for _ in range(SLOTS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return SPAWNS / (time.monotonic() - started)


def latencies(table, folder: pathlib.Path) -> None:
    """On an idle daemon: from submission to the worker's first instruction, and from its exit to the state in the API."""
    script = 'date +%s.%N > "$ANNEAL_OUTPUT_DIR/began"; sleep 0.05; date +%s.%N > "$ANNEAL_OUTPUT_DIR/ended"'
    job = {"kind": "command", "command": ["sh", "-c", script], "cache": False}
    begins, ends = [], []
    with harness.running(folder / "latencies", "release", ["--gpus", "none"]) as ours:
        for number in range(60):
            submitted = time.time()
            answer = ours.submit({"name": f"one-{number}", "jobs": {"a": job}})
            identifier = answer["jobs"][0]["id"]
            while ours.call("GET", f"/v1/jobs/{identifier}?wait=30")[1]["finished_at"] is None:
                pass
            seen = time.time()
            outputs = ours.data / "jobs" / identifier / "outputs"
            begins.append(1000 * (float((outputs / "began").read_text()) - submitted))
            ends.append(1000 * (seen - float((outputs / "ended").read_text())))
    for what, values, bar in (("submission to process start", begins, 50), ("worker's exit to the state in the API", ends, 30)):
        figure = percentile(values, 0.99)
        table.add(
            f"{what}, p99 (with a shell's own time)", f"{figure:.1f} ms, median {statistics.median(values):.1f}", f"{bar} ms", None,
            f"< {bar} ms", figure < bar,
        )


def restart(table, folder: pathlib.Path) -> None:
    """A daemon that takes up many live attempts."""
    arguments = ["--gpus", "none", "--cpus", str(LIVE + 1)]
    job = {"kind": "command", "command": ["sleep", "600"], "cache": False}
    try:
        with harness.running(folder / "restart", "release", arguments) as ours:
            experiment = ours.submit({"name": "many", "jobs": {f"j{number}": job for number in range(LIVE)}})
            while sum(job["state"] == "running" for job in ours.call("GET", f"/v1/experiments/{experiment['id']}")[1]["jobs"]) < LIVE:
                threading.Event().wait(0.2)
        with harness.running(folder / "restart", "release", arguments) as ours:
            ready = ours.seconds_to_ready
            ours.finish(ours.submit({"name": "after", "jobs": {"a": {**job, "command": ["true"]}}})["id"])
            jobs = ours.call("GET", f"/v1/experiments/{experiment['id']}")[1]["jobs"]
            kept = sum(job["state"] == "running" for job in jobs)
            table.add(f"restart with {LIVE} live attempts, all taken up", f"{ready:.2f} s, {kept} kept", "1 s", None, "< 1 s", ready < 1 and kept == LIVE)
            ours.call("POST", f"/v1/experiments/{experiment['id']}/cancel", b"")
            ours.finish(experiment["id"])
    finally:
        for entry in (folder / "restart" / "attempts").glob("*/shim.json"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(json.loads(entry.read_text())["child_pid"], 15)


def on_paper(table, _folder: pathlib.Path) -> None:
    """The scheduler with a long queue, and its rules beside first come first served."""
    simulator = harness.program("anneal-simulator", "release")
    line = subprocess.run([simulator, "bench"], check=True, capture_output=True, text=True).stdout
    p99 = float(line.split("p99 ")[1].split(" ms")[0])
    megabytes = int(line.split("; ")[1].split(" MB")[0])
    table.add("decision round, 100,000 queued, 1,024 GPUs, p99", f"{p99:.2f} ms", "10 ms", None, "< 10 ms", p99 < 10)
    table.add("memory of that scheduler", f"{megabytes} MB", "400 MB", None, "< 400 MB", megabytes < 400)
    text = subprocess.run([simulator, "run"], check=True, capture_output=True, text=True).stdout
    print(text)
    rows = {row.split()[0]: row.split() for row in text.splitlines()[2:4]}
    ours, fifo = float(rows["anneal"][1]), float(rows["fifo"][1])
    table.add("mean wait on the generated trace, beside FIFO", f"{ours:.0f} min", f"{fifo:.0f} min", ours / fifo, "≤ 0.5", ours <= fifo / 2)


PARTS: list[Callable] = [noops, latencies, restart, on_paper]
