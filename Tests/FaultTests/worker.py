"""What the jobs of the fault tests run: a worker that logs a known text, writes metrics, and ends in one of many ways.

    worker.py MODE LEDGER

Each attempt appends a line at its start and one at its own end to the ledger, by which it is told whether two ran at once.
"""

import contextlib
import json
import os
import pathlib
import signal
import sys
import threading
import time

LINES = {"big": 1_000_000}


def text(mode, attempt, number):
    """The log of an attempt, piece by piece; what a killed one wrote is a beginning of it."""
    if mode == "binary":
        return bytes((number * 7 + index) % 256 for index in range(64)) + b"\n"
    ending = b"" if mode == "unended" and number == lines(mode) - 1 else b"\n"
    return f"{attempt} {number:07d} {'x' * 70}".encode() + ending


def lines(mode):
    return LINES.get(mode, 400)


def note(ledger, word):
    with open(ledger, "ab", buffering=0) as file:
        file.write(f"{word} {os.environ['ANNEAL_JOB_ID']} {os.environ['ANNEAL_ATTEMPT_ID']} {os.getpid()}\n".encode())


def is_doubled(ledger):
    """Whether an earlier attempt of this job still runs: a process that its line names, and that has its environment."""
    job, attempt = os.environ["ANNEAL_JOB_ID"], os.environ["ANNEAL_ATTEMPT_ID"]
    with open(ledger) as file:
        others = {tuple(line.split()[2:]) for line in file if line.startswith(f"start {job} ") and attempt not in line}
    for other, pid in others:
        with contextlib.suppress(OSError):
            if f"ANNEAL_ATTEMPT_ID={other}".encode() in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return True
    return False


def main(mode, ledger):
    attempt = os.environ["ANNEAL_ATTEMPT_ID"]
    note(ledger, "start")
    if is_doubled(ledger):
        note(ledger, "overlap")
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "silent":
        os.close(1)
    else:
        out = os.fdopen(1, "wb", buffering=0 if mode != "big" else 1 << 20)
        for number in range(lines(mode)):
            out.write(text(mode, attempt, number))
            if mode != "big" and number % 40 == 0:
                threading.Event().wait(0.02)
        out.flush()
    with open(os.environ["ANNEAL_METRICS"], "a") as metrics:
        for step in range(1, 21):
            metrics.write(json.dumps({"step": step, "time": time.time(), "train/loss": 1 / step}) + "\n")
    if mode == "forks" and os.fork() == 0:
        os.setsid()
        threading.Event().wait(600)
    if mode in ("long", "stubborn"):
        threading.Event().wait(600)
    note(ledger, "end")
    if mode == "segfault":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
    os._exit({"one": 1, "last": 255}.get(mode, 0))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
