"""Curves: how fast points come in and go out, and what they take on disk, beside raw SQLite, mlflow and trackio."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import random
import resource
import selectors
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

import measure
from harness import daemon as harness

POINTS = 1_000_000
BATCH = 1000
CLIENTS = 4
SECONDS = 4.0
SLEEPER = {"kind": "command", "command": ["sleep", "3600"], "cache": False}


def sleeper(ours: harness.Daemon, count: int = 1) -> list[str]:
    """Jobs that do nothing, to hold the points; returns their identifiers."""
    experiment = ours.submit({"name": "hold", "jobs": {f"j{index}": SLEEPER for index in range(count)}})
    jobs = [job["id"] for job in experiment["jobs"]]
    for job in jobs:
        while ours.call("GET", f"/v1/jobs/{job}?wait=10")[1]["state"] != "running":
            pass
    return jobs


def loss(index: int, generator: random.Random) -> float:
    """A loss as a trainer reads it from a 32-bit tensor and prints it rounded to four digits (transformers, trainer.py: Trainer.log)."""
    return round(1.2 + 2.0 / (1 + index / 5000) + generator.gauss(0, 0.05), 4)


def native_body(key: str, start: int, count: int, value) -> bytes:
    clock = 1_760_000_000.0
    series = {
        "key": key, "steps": list(range(start, start + count)),
        "times": [round(clock + index * 0.5 + random.random() * 0.01, 3) for index in range(start, start + count)],
        "values": [value(index) for index in range(start, start + count)],
    }  # fmt: skip
    return json.dumps({"series": [series]}).encode()


class Client:
    """One connection that posts bodies one after another."""

    def __init__(self, port: int, headers: dict[str, str] | None = None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.headers = {"Content-Type": "application/json", **(headers or {})}

    def post(self, path: str, body: bytes) -> None:
        self.connection.request("POST", path, body=body, headers=self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (answer.status, text[:300])

    def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        self.connection.request("GET", path, headers=headers or {})
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (answer.status, text[:300])
        return text


def rate(port: int, path: str, bodies: list[list[bytes]], points: int, headers: dict[str, str] | None = None) -> float:
    """Points a second over as many clients as there are lists of bodies."""
    barrier = threading.Barrier(len(bodies) + 1)
    counts = [0] * len(bodies)
    deadline = [0.0]

    def run(number: int) -> None:
        client = Client(port, headers)
        barrier.wait()
        for body in bodies[number]:
            client.post(path, body)
            counts[number] += points
            if time.perf_counter() > deadline[0]:
                return

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    deadline[0] = time.perf_counter() + SECONDS
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)


def raw_rows(folder: pathlib.Path) -> float:
    """Rows a second that SQLite takes, WAL and synchronous=FULL, 1,000 rows a transaction, in one thread."""
    path = folder / "raw.db"
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(
        "CREATE TABLE metric (attempt INTEGER, key INTEGER, step INTEGER, at INTEGER, value REAL, PRIMARY KEY (attempt, key, step, at)) WITHOUT ROWID"
    )
    generator = random.Random(1)
    rows = [(1, 1, index, 1_760_000_000_000 + index * 500, loss(index, generator)) for index in range(200_000)]
    start = time.perf_counter()
    done = 0
    while time.perf_counter() - start < SECONDS and done < len(rows):
        database.execute("BEGIN")
        database.executemany("INSERT INTO metric VALUES (?, ?, ?, ?, ?)", rows[done : done + BATCH])
        database.execute("COMMIT")
        done += BATCH
    return done / (time.perf_counter() - start)


@contextlib.contextmanager
def mlflow_server(folder: pathlib.Path):
    """`mlflow server` on SQLite, where mlflow is installed ($MLFLOW_PYTHON or this interpreter); yields its port and a run, or None."""
    python = os.environ.get("MLFLOW_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import mlflow.server, flask"], capture_output=True).returncode != 0:
        yield None
        return
    port = harness.free_port()
    command = [
        python, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, start_new_session=True)
    try:
        while True:
            try:
                client = Client(port)
                client.connection.request("POST", "/api/2.0/mlflow/runs/create", body=b'{"experiment_id": "0"}', headers=client.headers)
                answer = client.connection.getresponse()
                run = json.loads(answer.read())["run"]["info"]["run_id"]
                break
            except (OSError, ValueError, KeyError):
                threading.Event().wait(0.5)
        yield port, run
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def mlflow_bodies(run: str, count: int) -> list[list[bytes]]:
    bodies = []
    for client in range(CLIENTS):
        mine = []
        for batch in range(count):
            metrics = [
                {"key": f"train/loss{client}", "value": 1.5 + index / 1e6, "timestamp": 1_760_000_000_000 + index, "step": index, "run_id": run}
                for index in range(batch * BATCH, (batch + 1) * BATCH)
            ]
            mine.append(json.dumps({"run_id": run, "metrics": metrics, "params": [], "tags": []}).encode())
        bodies.append(mine)
    return bodies


def ingestion(table, cores, daemon, folder: pathlib.Path) -> None:
    """Durable points a second: native batches beside raw rows, and MLflow's protocol beside `mlflow server`."""
    raw = statistics.median(raw_rows(folder) for _ in range(3))
    generator = random.Random(2)
    with daemon("ingestion", cores) as ours:
        job = sleeper(ours)[0]
        bodies = [
            [native_body(f"k{turn}/{client}", batch * BATCH, BATCH, lambda index: loss(index, generator)) for batch in range(200)]
            for turn in range(3)
            for client in range(CLIENTS)
        ]
        native = statistics.median(
            rate(ours.port, f"/v1/jobs/{job}/metrics", bodies[turn * CLIENTS : (turn + 1) * CLIENTS], BATCH) for turn in range(3)
        )
        table.add("native batches, points/s (1,000 each, 4 clients)", f"{native:,.0f}", f"{raw:,.0f} raw SQLite rows", native / raw, "≥ 0.5", native / raw >= 0.5)
        mine = rate(ours.port, "/api/2.0/mlflow/runs/log-batch", mlflow_bodies(job, 150), BATCH)
        with mlflow_server(folder) as server:
            if server is None:
                table.add("MLflow log-batch, points/s", f"{mine:,.0f}", "mlflow not installed")
            else:
                theirs = rate(server[0], "/api/2.0/mlflow/runs/log-batch", mlflow_bodies(server[1], 50), BATCH)
                table.add("MLflow log-batch, points/s", f"{mine:,.0f}", f"{theirs:,.0f} mlflow server", mine / theirs, "≥ 50", mine / theirs >= 50)


def resend(table, cores, daemon, folder: pathlib.Path) -> None:
    """The cost of sending a batch again, with little and with much history."""
    medians = {}
    with daemon("resend", cores) as ours:
        job = sleeper(ours)[0]
        client = Client(ours.port)
        path = f"/v1/jobs/{job}/metrics"
        known = native_body("k", 0, BATCH, float)
        done = 0
        for size in (10_000, 10_000_000):
            while done < size:
                count = min(50_000, size - done)
                client.post(path, native_body("k", done, count, float))
                done += count
            # The same bytes, of which nothing is new.
            times = []
            known = native_body_at(done // 2)
            client.post(path, known)
            for _ in range(200):
                start = time.perf_counter()
                client.post(path, known)
                times.append(time.perf_counter() - start)
            medians[size] = statistics.median(times)
        ratio = medians[10_000_000] / medians[10_000]
        table.add(
            "a batch sent again, ms at 10 million points", f"{medians[10_000_000] * 1000:.2f}",
            f"{medians[10_000] * 1000:.2f} at 10 thousand", ratio, "< 1.5", ratio < 1.5,
        )
        experiment = ours.call("GET", "/v1/experiments?limit=1")[1]["data"][0]
        ours.call("POST", f"/v1/experiments/{experiment['id']}/cancel", {})
        ours.finish(experiment["id"])
    with daemon("resend", cores) as ours:
        idle(table, ours)


def native_body_at(start: int) -> bytes:
    """A batch whose times are the same whenever it is made."""
    series = {
        "key": "again", "steps": list(range(start, start + BATCH)), "times": [1_760_000_000.0 + index for index in range(BATCH)],
        "values": [float(index) for index in range(BATCH)],
    }  # fmt: skip
    return json.dumps({"series": [series]}).encode()


def idle(table, ours: harness.Daemon) -> None:
    """A daemon that has ten million points and nothing to do: its start and its memory."""
    threading.Event().wait(5)
    status = pathlib.Path(f"/proc/{ours.process.pid}/status").read_text()
    resident = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
    table.add("start with ten million points, ms", f"{ours.seconds_to_ready * 1000:.0f}", "–", None, "< 300", ours.seconds_to_ready < 0.3)
    table.add("idle with ten million points, MB resident", f"{resident:.0f}", "–", None, "< 60", resident < 60)


def size(table, cores, daemon, folder: pathlib.Path) -> None:
    """Bytes a point on disk, indexes included, and how fast a million points are read."""
    generator = random.Random(3)
    for name, value, bar in (
        ("a loss curve", lambda index: loss(index, generator), 4),
        ("random doubles", lambda index: generator.random(), 12),
    ):
        with daemon("size", cores) as ours:
            job = sleeper(ours)[0]
            client = Client(ours.port)
            before = database_bytes(ours)
            for start in range(0, POINTS, 50_000):
                client.post(f"/v1/jobs/{job}/metrics", native_body("train/loss", start, 50_000, value))
            experiment = ours.call("GET", "/v1/experiments?limit=1")[1]["data"][0]
            ours.call("POST", f"/v1/experiments/{experiment['id']}/cancel", {})
            ours.finish(experiment["id"])
            threading.Event().wait(1)
            taken = (database_bytes(ours) - before) / POINTS
            table.add(f"bytes a point on disk, {name}", f"{taken:.2f}", "16 raw", taken / 16, f"≤ {bar}", taken <= bar)
            if bar == 4:
                reads(table, client, job)


def database_bytes(ours: harness.Daemon) -> int:
    """The bytes of pages in use."""
    database = sqlite3.connect(f"file:{ours.data}/anneal.db?mode=ro", uri=True)
    pages, free, bytes_each = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    database.close()
    return (pages - free) * bytes_each


def reads(table, client: Client, job: str) -> None:
    for what, query, bar in (("a million points as 1,000", "points=1000", 15.0), ("the last 100 points", "last=100", 1.0)):
        times = []
        for _ in range(300):
            start = time.perf_counter()
            client.get(f"/v1/jobs/{job}/metrics?key=train/loss&layout=columns&{query}")
            times.append((time.perf_counter() - start) * 1000)
        p99 = statistics.quantiles(times, n=100)[98]
        table.add(f"{what}, ms p99 (median)", f"{p99:.2f} ({statistics.median(times):.2f})", "–", None, f"< {bar:.0f}", p99 < bar)


def live(table, cores, daemon, folder: pathlib.Path) -> None:
    """From a worker's append to a client's event, with 100 attempts writing."""
    writer = folder / "writer.py"
    writer.write_text(
        "import json, os, threading, time\n"
        "with open(os.environ['ANNEAL_METRICS'], 'a') as file:\n"
        "    for step in range(100000):\n"
        "        file.write(json.dumps({'step': step, 'time': time.time(), 'train/loss': time.time()}) + '\\n')\n"
        "        file.flush()\n"
        "        threading.Event().wait(1)\n"
    )
    with daemon("live", cores, ["--cpus", "1000"]) as ours:
        jobs = {f"w{index}": {"kind": "command", "command": [sys.executable, "-S", str(writer)], "cache": False} for index in range(100)}
        ours.submit({"name": "live", "jobs": jobs})
        connection = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=60)
        connection.request("GET", "/v1/stream?types=metric", headers={"Accept": "application/x-ndjson"})
        answer = connection.getresponse()
        delays: list[float] = []
        start = time.perf_counter()
        while len(delays) < 2000 and time.perf_counter() - start < 60:
            event = json.loads(answer.readline())
            now = time.time()
            if time.perf_counter() - start > 8:
                delays += [(now - point["value"]) * 1000 for point in event["data"]["points"] if point["key"] == "train/loss"]
        connection.close()
        cuts = statistics.quantiles(delays, n=100)
        ok = cuts[49] < 10 and cuts[98] < 50
        table.add("append to event, ms p50/p99 (100 attempts)", f"{cuts[49]:.1f}/{cuts[98]:.1f}", "–", None, "< 10/50", ok)


def listeners(table, cores, daemon, folder: pathlib.Path) -> None:
    """5,000 clients of the stream and 10 events a second."""
    count, seconds, per_second = 5000, 10, 10
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    with daemon("listeners", cores) as ours:
        job = sleeper(ours)[0]
        resident = lambda: int(  # noqa: E731
            next(line for line in pathlib.Path(f"/proc/{ours.process.pid}/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1]
        )
        before = resident()
        sockets = []
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", ours.port))
            one.sendall(b"GET /v1/stream?types=metric&key=live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            sockets.append(one)
        threading.Event().wait(3)
        selector = selectors.DefaultSelector()
        seen = [0] * count
        for number, one in enumerate(sockets):
            one.setblocking(False)
            selector.register(one, selectors.EVENT_READ, number)
        cpu = lambda: sum(int(word) for word in pathlib.Path(f"/proc/{ours.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])  # noqa: E731
        started = cpu()
        wall = time.perf_counter()
        client = Client(ours.port)
        sent = 0
        end = time.perf_counter() + seconds + 5
        while time.perf_counter() < end and (sent < seconds * per_second or min(seen) < sent):
            if sent < seconds * per_second and time.perf_counter() - wall >= sent / per_second:
                client.post(f"/v1/jobs/{job}/metrics", json.dumps({"points": [{"key": "live", "step": sent, "value": sent}]}).encode())
                sent += 1
            for key, _ in selector.select(0.01):
                seen[key.data] += key.fileobj.recv(65536).count(b"event: metric")
        used = (cpu() - started) / os.sysconf("SC_CLK_TCK") / (time.perf_counter() - wall)
        each = (resident() - before) / count
        ok = min(seen) == sent and each < 20
        table.add(
            f"{count:,} listeners, {per_second} events/s: lost, cores, kB each", f"{sent * count - sum(seen)}, {used:.2f}, {each:.1f}",
            "–", None, "0, ≤ 1, < 20", ok and used <= 1.0,
        )
        for one in sockets:
            one.close()


PARTS = [ingestion, resend, size, live, listeners]
