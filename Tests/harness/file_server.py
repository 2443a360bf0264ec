"""A server of one file that misbehaves as a test asks: it cuts connections, forgets ranges, changes the file, answers with errors."""

from __future__ import annotations

import dataclasses
import http.server
import threading


@dataclasses.dataclass
class Turn:
    """How one request is answered."""

    #: The status of an answer without the file.
    status: int | None = None
    #: Fields beside the usual ones.
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    #: The body of an answer without the file.
    body: bytes = b""
    #: Bytes after which the connection is cut.
    cut: int | None = None
    #: Bytes after which the answer waits for `FileServer.release`.
    hold: int | None = None
    #: Whether ranges are honoured.
    ranges: bool = True
    #: A length to announce in place of the true one.
    length: int | None = None
    #: Whether the length is kept to the server, and the body comes in chunks.
    chunked: bool = False
    #: The file from this request on, and its entity tag.
    content: bytes | None = None
    tag: str | None = None


class FileServer:
    """Serves `content` at every path; `turns` are taken one a request, and then the file is served as it should be."""

    def __init__(self, content: bytes, *turns: Turn, tag: str | None = '"one"'):
        self.content, self.turns, self.tag = content, list(turns), tag
        #: The fields of the requests, in their order.
        self.requests: list[dict[str, str]] = []
        self.released = threading.Event()
        self.holding = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.answer(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/data.jsonl"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> FileServer:
        return self

    def __exit__(self, *_) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def release(self) -> None:
        """Lets held answers go on."""
        self.released.set()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answers one request as its turn says."""
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        turn = self.turns.pop(0) if self.turns else Turn()
        self.content = turn.content if turn.content is not None else self.content
        self.tag = turn.tag or self.tag
        if turn.status is not None:
            return self.send(request, turn.status, {"Content-Length": str(len(turn.body)), **turn.headers}, turn.body, turn)
        start = self.start_of(self.requests[-1]) if turn.ranges else 0
        fields = {"ETag": self.tag} if self.tag else {}
        total = len(self.content)
        if start >= total > 0:
            return self.send(request, 416, {**fields, "Content-Range": f"bytes */{total}", "Content-Length": "0"}, b"", turn)
        body = self.content[start:]
        if start:
            fields["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        length = turn.length if turn.length is not None else len(body)
        fields |= {"Transfer-Encoding": "chunked"} if turn.chunked else {"Content-Length": str(length)}
        self.send(request, 206 if start else 200, {**fields, **turn.headers}, body, turn)

    def start_of(self, fields: dict[str, str]) -> int:
        """The first byte that is asked for: 0 where the file is another one than the client has."""
        if "range" not in fields or fields.get("if-range", self.tag) != self.tag:
            return 0
        return int(fields["range"].removeprefix("bytes=").removesuffix("-"))

    def send(self, request, status: int, fields: dict[str, str], body: bytes, turn: Turn) -> None:
        """Writes the answer, or the part of it that the turn allows."""
        request.send_response(status)
        for name, value in fields.items():
            request.send_header(name, value)
        request.end_headers()
        try:
            if turn.chunked:
                body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
            stop = turn.cut if turn.cut is not None else turn.hold
            request.wfile.write(body if stop is None else body[:stop])
            request.wfile.flush()
            if turn.hold is not None:
                self.holding.set()
                self.released.wait()
                request.wfile.write(body[turn.hold:])
        except OSError:
            request.close_connection = True
        if turn.cut is not None or turn.length is not None:
            request.close_connection = True
