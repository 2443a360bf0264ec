"""Stands for the program of a model server: `vllm serve MODEL --host H --port P [--flag …]`, with a journal of what happens to it.

Flags of its own: `--journal FILE` (a JSON line for each start, question and end), `--ready FILE` (healthy once FILE is there), `--hold FILE`
(answers once FILE is there), `--memory N` (runs out of memory unless `--max-num-seqs` is at most N), `--forget-memory FILE` (the same once
FILE is there, after which FILE is removed), `--lists NAME` (what `/v1/models` says instead of the model), `--refuses FILE` (ends at once
while FILE is there).
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NEVER = threading.Event()

parser = argparse.ArgumentParser()
parser.add_argument("command")
parser.add_argument("model")
parser.add_argument("--host")
parser.add_argument("--port", type=int)
parser.add_argument("--journal", required=True)
parser.add_argument("--max-num-seqs", type=int, default=256)
parser.add_argument("--memory", type=int, default=1 << 20)
for flag in ("ready", "hold", "forget-memory", "lists", "refuses"):
    parser.add_argument(f"--{flag}")
arguments, _ = parser.parse_known_args()


def note(event, **more):
    """Adds a line to the journal."""
    with open(arguments.journal, "a") as journal:
        journal.write(json.dumps({"event": event, "pid": os.getpid(), **more}) + "\n")


def await_file(path):
    """Returns once the file is there."""
    while path and not pathlib.Path(path).exists():
        NEVER.wait(0.02)


def run_out_of_memory():
    """Ends as a server does whose GPU is full."""
    print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", flush=True)
    os._exit(1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing."""

    def answer(self, status, document):
        """Sends a JSON answer."""
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        """Health and the list of models."""
        if self.path == "/health":
            self.answer(200 if not arguments.ready or pathlib.Path(arguments.ready).exists() else 503, {})
        else:
            self.answer(200, {"data": [{"id": arguments.lists or arguments.model}]})

    def do_POST(self):
        """A completion: ten times the number in the question."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        note("ask", question=question, model=body["model"])
        if arguments.forget_memory and pathlib.Path(arguments.forget_memory).exists():
            os.unlink(arguments.forget_memory)
            run_out_of_memory()
        await_file(arguments.hold)
        message = {"role": "assistant", "content": question.split("*")[0] + "0"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.answer(200, {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})


def end(*_):
    """Notes an end that was asked for."""
    note("end")
    os._exit(0)


signal.signal(signal.SIGTERM, end)
note("start", argv=sys.argv[1:])
print("loading", arguments.model, flush=True)
if arguments.refuses and pathlib.Path(arguments.refuses).exists():
    print("no such architecture", flush=True)
    os._exit(3)
if arguments.max_num_seqs > arguments.memory:
    run_out_of_memory()
ThreadingHTTPServer.request_queue_size = 256
ThreadingHTTPServer((arguments.host, arguments.port), Handler).serve_forever()
