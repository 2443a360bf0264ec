"""The measuring instruments: wrk, the C floor, the disk's own speed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

HERE = pathlib.Path(__file__).resolve().parent


class CannotMeasure(Exception):
    """Something that the measurement needs is missing."""


@dataclasses.dataclass(frozen=True)
class Cores:
    """Which core serves and which loads it. With one core alone both share it, and nothing is pinned."""

    server: int | None
    load: int | None

    @staticmethod
    def choose() -> Cores:
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2 or shutil.which("taskset") is None:
            return Cores(None, None)
        return Cores(cores[0], cores[1])

    @staticmethod
    def pinned(core: int | None) -> list[str]:
        return [] if core is None else ["taskset", "--cpu-list", str(core)]


@dataclasses.dataclass(frozen=True)
class Rate:
    """Requests per second, and how long the slowest hundredth took, in milliseconds."""

    per_second: float
    p99_ms: float


_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def wrk(url: str, seconds: int, cores: Cores) -> Rate:
    """One run of wrk: one thread, 16 connections, keep-alive."""
    command = [*Cores.pinned(cores.load), "wrk", "--threads", "1", "--connections", "16", "--duration", f"{seconds}s", "--latency", url]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", output)
    if not rate or not slowest:
        raise CannotMeasure(f"wrk said:\n{output}")
    if bad := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", output):
        raise CannotMeasure(f"not every poll was answered: {bad[0]}")
    return Rate(float(rate[1]), float(slowest[1]) * _UNITS_MS[slowest[2]])


@contextlib.contextmanager
def floor(folder: pathlib.Path, port: int, body_bytes: int, cores: Cores) -> Iterator[None]:
    """The least server that there can be: libuv and llhttp in C, one thread, one fixed answer."""
    program = folder / "floor"
    if not program.exists():
        sources = [f"/usr/share/llhttp/{name}.c" for name in ("api", "http", "llhttp")]
        flags = ["-O2", "-DLLHTTP_STRICT_MODE=1", "-I/usr/share/include/llhttp"]
        subprocess.run(["cc", *flags, "-o", str(program), str(HERE / "http-floor" / "floor.c"), *sources, "-luv"], check=True)
    command = [*Cores.pinned(cores.server), str(program), str(port), str(body_bytes)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        # It prints its port once it listens.
        if not process.stdout.readline():
            raise CannotMeasure("the floor server did not start")
        yield
    finally:
        process.kill()
        process.wait()


def submissions(port: int, clients: int, seconds: float, cores: Cores, path: str = "/v1/experiments") -> dict:
    """Runs the load generator: `clients` connections, each with one request at a time."""
    command = [*Cores.pinned(cores.load), sys.executable, "-B", str(HERE / "load.py"), str(port), path, str(clients), str(seconds)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    return json.loads(output)


def fsyncs_per_second(folder: pathlib.Path, seconds: float) -> float:
    """How often a second the disk makes an append of 4 KiB durable: what a write of its own for each submission could reach."""
    path = folder / "fsync.probe"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        block = b"\0" * 4096
        started = time.perf_counter()
        count = 0
        while (elapsed := time.perf_counter() - started) < seconds:
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            count += 1
        return count / elapsed
    finally:
        os.close(descriptor)
        path.unlink()
