"""A small HTTP server whose answers are written down in a JSON file.

Usage: scripted_server.py SCRIPT RECORD [SOCKET]

SCRIPT maps "METHOD /path" (or "METHOD /path?query", which goes first) to a list of answers, given one after the other; the
last one repeats. An answer is {"status", "type", "body" or "json", "cut"}: with "cut" the connection breaks after the body, which
was announced as longer. RECORD gets one JSON line for each request. The port is printed when the server listens. The server ends
when its standard input does.
"""

import json
import os
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler

script_path, record_path = sys.argv[1:3]
with open(script_path, encoding="utf-8") as file:
    script = json.load(file)
lock = threading.Lock()
given = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        """Notes the request and gives the next answer of the script."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self.read_chunks()
        with lock:
            with open(record_path, "a", encoding="utf-8") as record:
                headers = {name.lower(): value for name, value in self.headers.items()}
                text = body.decode("utf-8", "replace")
                record.write(json.dumps({"method": self.command, "target": self.path, "headers": headers, "body": text}) + "\n")
            key = f"{self.command} {self.path}"
            if key not in script:
                key = key.split("?")[0]
            answers = script.get(key, [{"status": 404, "json": problem(404, "Not found", f"there is nothing at {self.path}")}])
            answer = answers[min(given.get(key, 0), len(answers) - 1)]
            given[key] = given.get(key, 0) + 1
        content = json.dumps(answer["json"]) if "json" in answer else answer.get("body", "")
        content = content.encode()
        self.send_response(answer.get("status", 200))
        self.send_header("Content-Type", answer.get("type", "application/json"))
        self.send_header("Content-Length", str(len(content) + (1 if answer.get("cut") else 0)))
        self.end_headers()
        self.wfile.write(content)
        if answer.get("cut"):
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def read_chunks(self):
        """The body of a chunked request."""
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def address_string(self):
        """A name that needs no resolver."""
        return "client"

    def log_message(self, *_):
        """Says nothing: standard error is the tests'."""
        pass


def problem(status, title, detail):
    """A problem document of the API."""
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": "not_found", "errors": []}


def end_with_input():
    """Ends the server with the tests that started it, however they end."""
    while os.read(0, 4096):
        pass
    os._exit(0)


class TCPServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


if len(sys.argv) > 3:
    server, place = UnixServer(sys.argv[3], Handler), sys.argv[3]
else:
    server = TCPServer(("127.0.0.1", 0), Handler)
    place = server.server_address[1]
threading.Thread(target=end_with_input, daemon=True).start()
print(place, flush=True)
server.serve_forever()
