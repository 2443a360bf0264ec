"""Starts the real daemon on a folder and a port of its own, and ends it again."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]


class DaemonFailed(Exception):
    """The daemon did not come up, or died."""


def program(name: str, configuration: str) -> pathlib.Path:
    """The built program `name`; `configuration` is `debug` or `release`. $ANNEAL_PROGRAMS names another folder of programs."""
    return pathlib.Path(os.environ.get("ANNEAL_PROGRAMS") or ROOT / ".build" / configuration) / name


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """A running `anneald`."""

    def __init__(self, process: subprocess.Popen, port: int, data: pathlib.Path, log: pathlib.Path):
        self.process = process
        self.port = port
        self.data = data
        self.log = log
        #: Seconds from the start of the process to the first 200 of /healthz.
        self.seconds_to_ready = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, timeout: float = 70
    ) -> tuple[int, Any]:
        """One request. A `dict` body goes as JSON, bytes as they are. Returns the status and the parsed JSON, or the bytes."""
        sent = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            content = answer.read()
            is_json = "json" in (answer.headers.get_content_type() or "") and "ndjson" not in answer.headers.get_content_type()
            return answer.status, json.loads(content) if is_json else content
        finally:
            connection.close()

    def submit(self, spec: dict, **query: str) -> dict:
        """Submits a spec; anything but 201 is an error."""
        suffix = "?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else ""
        status, answer = self.call("POST", "/v1/experiments" + suffix, spec)
        if status != 201:
            raise DaemonFailed(f"a spec was refused with {status}: {answer}")
        return answer

    def finish(self, experiment_id: str, deadline_seconds: float = 120) -> dict:
        """Waits until an experiment has ended, by held requests."""
        deadline = time.monotonic() + deadline_seconds
        while time.monotonic() < deadline:
            _, experiment = self.call("GET", f"/v1/experiments/{experiment_id}?wait=30")
            if experiment["finished_at"] is not None:
                return experiment
        raise DaemonFailed(f"{experiment_id} did not end in {deadline_seconds:g} s: {experiment}")

    def resident_bytes(self) -> int:
        """Resident memory (VmRSS of proc_pid_status(5))."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise DaemonFailed("the daemon is gone")

    def wait_ready(self, started: float, deadline_seconds: float) -> None:
        while time.monotonic() - started < deadline_seconds:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.call("GET", "/healthz", timeout=5)[0] == 200:
                    self.seconds_to_ready = time.monotonic() - started
                    return
            # Waits for the death of the daemon, and looks again where it lives on.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.002)
                raise DaemonFailed(f"anneald ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
        raise DaemonFailed(f"anneald was not ready in {deadline_seconds:g} s:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not end."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running(
    data: pathlib.Path,
    configuration: str,
    arguments: list[str] | None = None,
    wrapper: list[str] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: pathlib.Path | None = None,
) -> Iterator[Daemon]:
    """A daemon on `data`. `wrapper` stands before its command line (taskset, setpriv); `folder` is where it runs."""
    port = free_port()
    log = data.parent / (data.name + ".log")
    command = [*(wrapper or []), str(program("anneald", configuration)), "--data", str(data), "--listen", f"127.0.0.1:{port}"]
    with log.open("ab") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [*command, *(arguments or [])], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
            env=dict(environment) if environment is not None else {**os.environ, "ANNEAL_CONFIG": ""}, start_new_session=True,
        )
    daemon = Daemon(process, port, data, log)
    try:
        daemon.wait_ready(started, 60)
        yield daemon
    finally:
        daemon.stop()
