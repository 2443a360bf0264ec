"""Submits specs as fast as a number of clients can: each sends one, waits for the answer, sends the next. Prints one JSON object.

    load.py PORT PATH CLIENTS SECONDS
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time


class Client(asyncio.Protocol):
    """One keep-alive connection with one request under way."""

    def __init__(self, number: int, path: str, deadline: float, done: asyncio.Future):
        self.prefix = f"load-{os.getpid()}-{number}-"
        self.path = path
        self.deadline = deadline
        self.done = done
        self.sent = 0
        self.latencies: list[float] = []
        self.refused: str | None = None
        self.buffer = b""
        self.started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent += 1
        spec = {"name": f"{self.prefix}{self.sent}", "jobs": {"one": {"kind": "command", "command": ["true"], "cache": False}}}
        body = json.dumps(spec, separators=(",", ":")).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.started = time.perf_counter()
        self.transport.write(head.encode() + body)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        start = head.index(b"content-length:") + len(b"content-length:")
        length = int(head[start:].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return
        self.latencies.append(time.perf_counter() - self.started)
        if self.buffer[9:10] != b"2":
            self.refused = self.buffer.decode(errors="replace")
        self.buffer = b""
        if time.perf_counter() >= self.deadline or self.refused:
            self.transport.close()
        else:
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self.refused = repr(error)
        if not self.done.done():
            self.done.set_result(None)


async def main(port: int, path: str, clients: int, seconds: float) -> dict:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = []
    for number in range(clients):
        done = loop.create_future()
        _, client = await loop.create_connection(lambda n=number, d=done: Client(n, path, started + seconds, d), "127.0.0.1", port)
        made.append(client)
    await asyncio.gather(*(client.done for client in made))
    elapsed = time.perf_counter() - started
    latencies = sorted(latency for client in made for latency in client.latencies)
    return {
        "per_second": len(latencies) / elapsed,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
        "refused": next((client.refused for client in made if client.refused), None),
    }


if __name__ == "__main__":
    arguments = sys.argv[1:]
    print(json.dumps(asyncio.run(main(int(arguments[0]), arguments[1], int(arguments[2]), float(arguments[3])))))
