#!/usr/bin/env python3
"""Measures `anneal-worker` beside the `openai` package's AsyncOpenAI client against one mock server, in turns.

    generation_bench.py [WORKER]

The server (http-floor/completions.c) answers each request after 20 ms with 300 tokens, asynchronously. Client and server have a core each
where there are two. What the server can do is measured with wrk beside the clients, so that it is seen not to be the limit. Prints
requests a second, requests a second of the client's processor time, and resident memory, by requests in flight. Nothing here is a test:
it passes no judgement beyond the column `met`.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import measure  # noqa: E402
from harness import daemon as harness  # noqa: E402

SOURCE = measure.HERE / "http-floor" / "completions.c"
LEVELS = [64, 256, 1024]
DELAY_SECONDS = 0.02
TOKENS = 300
TURNS = 3
OUR_REQUESTS = 20_000
PEER_REQUESTS = 2_000
WRK_SECONDS = 3
MEMORY_MAX_MB = 60
PEER = """
import asyncio, json, resource, sys, time
from openai import AsyncOpenAI

async def main(url, flying, count):
    client = AsyncOpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
    numbers = iter(range(count))

    async def line():
        for number in numbers:
            await client.chat.completions.create(
                model="mock", messages=[{"role": "user", "content": f"q{number}*"}], seed=0, temperature=0)

    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    await asyncio.gather(*[line() for _ in range(flying)])
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"per_second": count / seconds, "per_cpu_second": count / used}))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


@contextlib.contextmanager
def mock(cores: measure.Cores) -> Iterator[str]:
    """The server, by its URL."""
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "completions"
        parser = [f"/usr/share/llhttp/{name}.c" for name in ("api", "http", "llhttp")]
        flags = ["-O2", "-DLLHTTP_STRICT_MODE=1", "-I/usr/share/include/llhttp"]
        subprocess.run(["cc", *flags, "-o", str(program), str(SOURCE), *parser, "-luv"], check=True)
        command = [*cores.pinned(cores.server), str(program), str(DELAY_SECONDS * 1000), str(TOKENS)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().split()[1]}"
        finally:
            process.kill()
            process.wait()


def alone(url: str, flying: int, cores: measure.Cores) -> float:
    """Requests a second of the server, asked by wrk, which does nothing with the answers."""
    body = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "q1*"}], "seed": 0, "temperature": 0})
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{body}'\n")
        script.flush()
        command = [*cores.pinned(cores.load), "wrk", "--threads", "1", "--connections", str(flying), "--duration", f"{WRK_SECONDS}s"]
        run = subprocess.run([*command, "--script", script.name, url + "/v1/chat/completions"], check=True, capture_output=True, text=True)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", run.stdout)[1])


def ours(worker: pathlib.Path, url: str, flying: int, cores: measure.Cores) -> dict:
    """One run of the worker: start, files and all."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data = folder / "data.jsonl"
        data.write_text("".join(json.dumps({"problem": f"q{number}*"}) + "\n" for number in range(OUR_REQUESTS)))
        spec = {"dataset": str(data), "server": {"url": url}, "concurrency": flying, "adaptive": False}
        (folder / "job.json").write_text(json.dumps({"version": 1, "kind": "generate", "spec": spec, "inputs": {}, "gpus": []}))
        environment = {
            **os.environ, "ANNEAL_ATTEMPT_DIR": name, "ANNEAL_SPEC": str(folder / "job.json"), "ANNEAL_OUTPUT_DIR": str(folder / "outputs"),
            "ANNEAL_METRICS": str(folder / "metrics.jsonl"), "ANNEAL_OUTPUTS": str(folder / "outputs.json"),
        }  # fmt: skip
        started = time.perf_counter()
        process = subprocess.Popen([*cores.pinned(cores.load), str(worker)], env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if status != 0:
            raise measure.CannotMeasure((folder / "outputs.json").read_text())
        return {
            "per_second": OUR_REQUESTS / seconds, "per_cpu_second": OUR_REQUESTS / (usage.ru_utime + usage.ru_stime),
            "megabytes": usage.ru_maxrss / 1024,
        }  # fmt: skip


def peer(url: str, flying: int, cores: measure.Cores) -> dict:
    """One run of the openai package, which must be importable by $ANNEAL_PYTHON or this Python."""
    python = os.environ.get("ANNEAL_PYTHON", sys.executable)
    command = [*cores.pinned(cores.load), python, "-c", PEER, url, str(flying), str(PEER_REQUESTS)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise measure.CannotMeasure(run.stderr[-2000:])
    return json.loads(run.stdout)


def level(worker: pathlib.Path, flying: int, cores: measure.Cores) -> str:
    """One line of the table: medians of several turns."""
    mine, theirs = [], []
    with mock(cores) as url:
        bare = alone(url, flying, cores)
        for _ in range(TURNS):
            mine.append(ours(worker, url, flying, cores))
            theirs.append(peer(url, flying, cores))
    middle = lambda runs, key: statistics.median(run[key] for run in runs)  # noqa: E731
    rate, other = middle(mine, "per_second"), middle(theirs, "per_second")
    work, others = middle(mine, "per_cpu_second"), middle(theirs, "per_cpu_second")
    memory = max(run["megabytes"] for run in mine)
    possible = flying / DELAY_SECONDS
    met = (rate >= 0.9 * possible if flying == LEVELS[0] else rate >= 10 * other) and work >= 10 * others and memory < MEMORY_MAX_MB
    return (
        f"{flying:>9}  {bare:>7.0f}/s  {rate:>9.0f}/s ({rate / possible:.2f} of what the delay allows)  {other:>7.0f}/s  {rate / other:>6.1f}"
        f"  {work:>9.0f}  {others:>7.0f}  {work / others:>6.1f}  {memory:>5.0f} MB  {'yes' if met else 'NO'}"
    )


def main() -> None:
    """Measures all levels."""
    worker = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else harness.program("anneal-worker", "release")
    cores = measure.Cores.choose()
    print("in flight    server  ours                                          openai    ratio  ours/cpu s  openai   ratio  memory  met")
    for flying in LEVELS:
        print(level(worker, flying, cores), flush=True)


if __name__ == "__main__":
    main()
