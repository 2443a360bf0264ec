"""How fast a long curve is read again: ours beside `mlflow server` and TensorBoard, and trackio's storage beside our ingestion.

The peers run on the interpreter that $MLFLOW_PYTHON names (or this one); of those that it lacks the line says so.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import sqlite3
import statistics
import subprocess
import sys
import time

import curves_bench as curves

POINTS = 1_000_000

TENSORBOARD = """
import sys, time
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter
folder, count = sys.argv[1], int(sys.argv[2])
with SummaryWriter(folder) as writer:
    for step in range(count):
        writer.add_scalar("train/loss", 1 / (1 + step), step, walltime=1.76e9 + step)
start = time.perf_counter()
events = EventAccumulator(folder, size_guidance={"scalars": 1000})
events.Reload()
assert len(events.Scalars("train/loss")) == 1000
print(time.perf_counter() - start)
"""

TRACKIO = """
import os, sys, time
os.environ["TRACKIO_DIR"] = sys.argv[1]
from trackio.sqlite_storage import SQLiteStorage
start, count = time.perf_counter(), 0
while time.perf_counter() - start < 4:
    SQLiteStorage.bulk_log("bench", "run", [{"train/loss": 1 / (1 + count + n)} for n in range(1000)], steps=list(range(count, count + 1000)))
    count += 1000
print(count / (time.perf_counter() - start))
"""


def peer(program: str, *arguments: object) -> float | None:
    """What a program of a peer prints; None where the peer is not installed."""
    python = os.environ.get("MLFLOW_PYTHON", sys.executable)
    result = subprocess.run([python, "-c", program, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        print(result.stderr[-500:], file=sys.stderr)
        return None
    return float(result.stdout.split()[-1])


def mlflow_seconds(folder: pathlib.Path) -> tuple[float, float] | None:
    """Seconds that `mlflow server` takes for all of a million points, page by page, and for its sample of a thousand."""
    with curves.mlflow_server(folder) as server:
        if server is None:
            return None
        port, run = server
        database = sqlite3.connect(folder / "mlflow.db", timeout=60)
        rows = (("train/loss", 1 / (1 + step), 1_760_000_000_000 + step, run, step, 0) for step in range(POINTS))
        with database:
            database.executemany("INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)", rows)
            database.execute("INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES ('train/loss', 0, 0, ?, 0, ?)", (POINTS - 1, run))
        database.close()
        client = curves.Client(port)
        start = time.perf_counter()
        client.get(f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run}&metric_key=train/loss&max_results=1000")
        sample = time.perf_counter() - start
        start = time.perf_counter()
        token, count = "", 0
        while True:
            answer = json.loads(client.get(f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=train/loss&max_results=25000&page_token={token}"))
            count += len(answer["metrics"])
            token = answer.get("next_page_token", "")
            if not token:
                break
        assert count == POINTS
        return time.perf_counter() - start, sample


def reading(table, cores, daemon, folder: pathlib.Path) -> None:
    """A million points: all of them and a thousand that stand for them."""
    generator = random.Random(4)
    with daemon("reading", cores) as ours:
        job = curves.sleeper(ours)[0]
        client = curves.Client(ours.port)
        for start in range(0, POINTS, 50_000):
            client.post(f"/v1/jobs/{job}/metrics", curves.native_body("train/loss", start, 50_000, lambda index: curves.loss(index, generator)))

        def seconds(query: str, accept: str) -> float:
            times = []
            for _ in range(5):
                start = time.perf_counter()
                client.get(f"/v1/jobs/{job}/metrics?key=train/loss&{query}", {"Accept": accept})
                times.append(time.perf_counter() - start)
            return statistics.median(times)

        whole, sample = seconds("layout=columns", "application/vnd.anneal.curves"), seconds("points=1000&layout=columns", "application/json")
    theirs = mlflow_seconds(folder)
    board = peer(TENSORBOARD, folder / "events", POINTS)
    for what, mine, other, name in (
        ("all of a million points, s", whole, theirs and theirs[0], "mlflow server"),
        ("a thousand of a million points, s", sample, theirs and theirs[1], "mlflow server"),
        ("a thousand of a million points, s", sample, board, "TensorBoard"),
    ):
        table.add(what, f"{mine:.4f}", f"{other:.2f} {name}" if other else f"{name} not installed", mine / other if other else None)
    rate = peer(TRACKIO, folder / "trackio")
    table.add("trackio's storage, points/s (its own process, no HTTP)", "–", f"{rate:,.0f} trackio" if rate else "trackio not installed")


PARTS = [reading]
