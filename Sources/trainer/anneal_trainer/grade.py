"""`python -m anneal_trainer.grade`: tells which answers equal the expected ones, by the math-verify library.

Reads JSON lines `{"id": …, "expected": "…", "answer": "…"}` from standard input and writes one line
`{"id": …, "correct": true}` for each to standard output, in the order in which they are done. A pair that could not be
judged counts as wrong and says why: `{"id": …, "correct": false, "error": "timeout"}` (also "crashed", "memory", "bad
request").

The pairs are judged by child processes. Symbolic mathematics has inputs that take for ever inside of one call of C code,
where no signal of Python's is delivered, and inputs that take all memory; a child that is late is killed, and another
takes its place.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait

#: Letters of multiple-choice answers.
CHOICES = tuple("ABCDEFGHIJ")
PERCENTAGE = re.compile(r"(\d+\.?\d*)(?:\\%|%)")
#: What math-verify takes for the start of mathematics in a text; without any of these it is wrapped in dollar signs.
MATHEMATICS = re.compile(r"\$.*\$|\\\(.*\\\)|\\\[.*\\\]|\\boxed\{", re.DOTALL)


def without_decoration(text: str) -> str:
    """Text without the percent sign of a plain number, and without full stops and back-slashes at its end."""
    percentage = PERCENTAGE.fullmatch(text)
    return (percentage.group(1) if percentage else text).rstrip(".\\")


def equal(expected: str, answer: str) -> bool:
    """Whether two answers are the same: as a letter of a choice, as text in normal form, or by symbolic mathematics."""
    import math_verify
    from latex2sympy2_extended import normalize_latex

    if expected.strip() in CHOICES:
        strings = [math_verify.StringExtractionConfig(strings=CHOICES)]
        pair = [math_verify.parse(text, strings, parsing_timeout=None) for text in (expected, answer)]
        return math_verify.verify(*pair, timeout_seconds=None)
    latex = math_verify.LatexExtractionConfig()
    expected, answer = without_decoration(expected), without_decoration(answer)
    plain = [normalize_latex(text, latex.normalization_config).replace(" ", "") for text in (expected, answer)]
    if plain[0] == plain[1]:
        return True
    wrapped = [text if MATHEMATICS.search(text) else f"${text}$" for text in (expected, answer)]
    parsed = [math_verify.parse(text, [latex], parsing_timeout=None) for text in wrapped]
    return math_verify.verify(*parsed, timeout_seconds=None)


def judge(request: dict) -> dict:
    """The reply to one request; an error of the libraries leaves the answer wrong and is told."""
    try:
        return {"id": request["id"], "correct": bool(equal(str(request["expected"]), str(request["answer"])))}
    except MemoryError:
        return {"id": request["id"], "correct": False, "error": "memory"}
    except Exception as error:
        return {"id": request["id"], "correct": False, "error": f"{type(error).__name__}: {error}"[:300]}


def serve(pipe: Connection, memory: int) -> None:
    """The life of a child: judge what comes through the pipe until it is closed."""
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # What sympy prints or warns of must not get between the replies.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # The other end is gone: the parent has ended, or wants no more.
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(judge(pipe.recv()))


class Child:
    """A process that judges one pair at a time, and its deadline."""

    def __init__(self, memory: int):
        self.memory = memory
        self.request: dict | None = None
        self.deadline = 0.0
        self.start()

    def start(self) -> None:
        """Fork a process; it has the libraries that its parent has imported."""
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.memory), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, request: dict, limit: float) -> None:
        """Hand over a pair, to be judged within `limit` seconds."""
        self.request = request
        self.deadline = time.monotonic() + limit
        self.pipe.send(request)

    def take(self) -> dict:
        """The reply that is there, or what to say of a child that died over it."""
        try:
            reply = self.pipe.recv()
        except (EOFError, OSError):
            reply = {"id": self.request["id"], "correct": False, "error": "crashed"}
            self.replace()
        self.request = None
        return reply

    def give_up(self) -> dict:
        """End a child that is late; another takes its place."""
        reply = {"id": self.request["id"], "correct": False, "error": "timeout"}
        self.request = None
        self.replace()
        return reply

    def replace(self) -> None:
        """Kill the process and start another."""
        self.end()
        self.start()

    def end(self) -> None:
        """Kill the process and close the pipe to it."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def judged(requests: Iterator[dict], workers: int, limit: float, memory: int) -> Iterator[dict]:
    """Replies to all requests as they get ready, judged by so many processes at once."""
    children: list[Child] = []
    try:
        more = True
        while True:
            while more and (len(children) < workers or any(child.request is None for child in children)):
                request = next(requests, None)
                if request is None:
                    more = False
                elif "reply" in request:
                    yield request["reply"]
                else:
                    idle = next((child for child in children if child.request is None), None)
                    if idle is None:
                        idle = Child(memory)
                        children.append(idle)
                    idle.ask(request, limit)
            busy = [child for child in children if child.request is not None]
            if not busy:
                return
            patience = max(0.0, min(child.deadline for child in busy) - time.monotonic())
            ready = wait([child.pipe for child in busy], timeout=patience)
            for child in busy:
                if child.pipe in ready:
                    yield child.take()
                elif time.monotonic() >= child.deadline:
                    yield child.give_up()
    finally:
        for child in children:
            child.end()


def read(lines) -> Iterator[dict]:
    """The requests of a file of JSON lines; a line that is none comes as the reply that it gets."""
    for line in lines:
        if not line.strip():
            continue
        try:
            request = json.loads(line)
            is_request = isinstance(request, dict) and {"id", "expected", "answer"} <= request.keys()
        except ValueError:
            request, is_request = None, False
        if is_request:
            yield request
        else:
            identifier = request.get("id") if isinstance(request, dict) else None
            yield {"reply": {"id": identifier, "correct": False, "error": "bad request"}}


def main(arguments: list[str] | None = None) -> int:
    """Judge standard input; returns the exit code."""
    parser = argparse.ArgumentParser(prog="anneal_trainer.grade", description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds for one pair")
    parser.add_argument("--memory", type=int, default=4 << 30, help="bytes of address space of a process; 0: no limit")
    options = parser.parse_args(arguments)
    # Imported here, before the fork, so that a new process costs milliseconds and not the seconds of this import.
    import math_verify  # noqa: F401

    logging.disable(logging.CRITICAL)
    sys.setrecursionlimit(10_000)
    for reply in judged(read(sys.stdin), max(1, options.workers), options.limit, options.memory):
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
