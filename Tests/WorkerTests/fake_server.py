"""A small OpenAI-compatible server that knows one task, `{i}*10=?`, and several ways to fail.

    fake_server.py [--port N] [--mode MODE] [--lists MODEL]

Prints `port N` and then one JSON line for each completion that is asked for. Modes: good, odd (wrong for odd numbers), hold:N (answers N
requests and never the others), die:N (ends after N answers), oom:N (the same for want of memory). Modes of the list of models, each request
for which prints a line as well: list, fail:N (the first N get status 500), limit:N (429 with Retry-After), html, close, hang, refuse.
"""

import argparse
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--mode", default="good")
parser.add_argument("--lists", default="fake")
arguments, _ = parser.parse_known_args()
mode, _, number = arguments.mode.partition(":")
count = int(number or 0)
lock = threading.Lock()
asked = 0
LISTING = ("list", "fail", "limit", "html", "close", "hang", "refuse")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", headers=()):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, "{}")
        elif self.path == "/v1/models":
            self.list_models()
        elif self.path == "/data.jsonl":
            self.answer(200, '{"input": "a", "output": "b"}\n' * 3, "text/plain")
        elif self.path == "/hang":
            threading.Event().wait()
        else:
            self.answer(404, "{}")

    def list_models(self):
        turn = self.count({"authorization": self.headers["Authorization"]}) if mode in LISTING else 0
        if mode == "fail" and turn <= count:
            return self.answer(500, "the model is on fire")
        if mode == "limit" and turn <= count:
            return self.answer(429, "{}", headers=[("Retry-After", "0")])
        if mode == "html":
            return self.answer(200, "<html>\n<body>a proxy says hello</body></html>", "text/html")
        if mode == "close":
            self.close_connection = True
            return self.connection.close()
        if mode == "hang":
            threading.Event().wait()
        if mode == "refuse":
            return self.answer(401, json.dumps({"error": {"message": "the key is unknown"}}))
        self.answer(200, json.dumps({"data": [{"id": arguments.lists}]}))

    def count(self, request):
        """Prints a request that is counted; its number."""
        global asked
        with lock:
            asked += 1
            print(json.dumps(request), flush=True)
            return asked

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        turn = self.count({"prompt": prompt, "seed": body["seed"], "model": body["model"], "authorization": self.headers["Authorization"]})
        if mode == "hold" and turn > count:
            threading.Event().wait()
        if mode in ("die", "oom") and turn > count:
            print("out of memory" if mode == "die" else "torch.OutOfMemoryError: CUDA out of memory.", flush=True)
            os._exit(7)
        value = int(prompt.split("*")[0])
        content = str(value * 10 if mode != "odd" or value % 2 == 0 else value)
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        self.answer(200, json.dumps({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": len(content)}}))


ThreadingHTTPServer.allow_reuse_address = False
ThreadingHTTPServer.request_queue_size = 64
server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
print(f"port {server.server_address[1]}", flush=True)
server.serve_forever()
