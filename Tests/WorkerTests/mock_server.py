r"""A fast OpenAI-compatible server that answers asynchronously, for load and for faults that a thread a request is too slow for.

    mock_server.py [--port N] [--delay SECONDS] [--tokens N] [--mode MODE] [--lean]

Prints `port N`. The delay is the same for each request. The answer to a prompt is `<think>hm prompt</think> answer to prompt`, filled up to
so many words where tokens are given. Modes: good; busy:N (429 beyond N requests in flight); break:N (every Nth request loses its
connection); error:N (every Nth gets 500); garbage:N (every Nth gets a page of a proxy); poison:TEXT (a prompt with this text is refused);
torn (streams break in the middle), babble (streams turn to noise); bad:KIND:TEXT (a prompt with this text gets a bad answer of the kind, see
`bad`; later is asked to wait and answered then, open leaves its stream open); solve:N (the answer is \boxed{} with ten times the prompt's
number, and wrong where number + seed is a multiple of N). GET /stats tells what was asked: requests, prompts asked more than
once, the most in flight. SIGTERM ends it.
"""

import argparse
import asyncio
import collections
import json

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--delay", type=float, default=0.0)
parser.add_argument("--tokens", type=int, default=0)
parser.add_argument("--mode", default="good")
parser.add_argument("--lean", action="store_true", help="one prepared answer for all, and no record of who asked; for benchmarks")
arguments = parser.parse_args()
mode, _, detail = arguments.mode.partition(":")
every = int(detail) if detail.isdigit() else 0
asked = collections.Counter()
state = {"requests": 0, "in_flight": 0, "most": 0}


def response(status, body, kind="application/json", fields=""):
    """The bytes of a whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{fields}\r\n"
    return head.encode() + data


def text_for(prompt, seed):
    """What the model says to a prompt."""
    if mode == "solve":
        number = int("".join(filter(str.isdigit, prompt)))
        return f"<think>hm</think> It is \\boxed{{{number if (number + seed) % every == 0 else number * 10}}}."
    words = f"<think>hm {prompt}</think> answer to {prompt}"
    return words + " word" * max(0, arguments.tokens - len(words.split()))


def completion(body):
    """The answer to a request, in one piece or as a stream."""
    is_chat = "messages" in body
    prompt = body["messages"][-1]["content"] if is_chat else body["prompt"]
    text = text_for(prompt, body["seed"])
    usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
    if not body.get("stream"):
        part = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
        return response(200, {"choices": [{"index": 0, "finish_reason": "stop", **part}], "usage": usage})
    pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
    events = [{"choices": [{"index": 0, "delta": {"content": piece}} if is_chat else {"index": 0, "text": piece}]} for piece in pieces]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": usage})
    lines = [f"data: {json.dumps(event)}\r\n\r\n" for event in events] + ["data: [DONE]\r\n\r\n"]
    if mode == "torn":
        lines = lines[: len(lines) // 2]
    if mode == "babble":
        lines[len(lines) // 2] = "data: \x01 not json\r\n\r\n"
    data = "".join(lines).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + data


def chunk(data):
    """A piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF = b'data: {"choices":[{"index":0,"delta":{"content":"half an answer"}}]}\n\n'
PLAIN = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "fine"}}], "usage": {"completion_tokens": 1}}


def bad(kind):
    """What a bad server sends: the bytes, and whether it closes the connection after them."""
    whole = json.dumps(PLAIN).encode()
    answers = {
        "html": (response(200, b"<html>a proxy says hello</html>", "text/html"), False),
        "error200": (response(200, {"error": {"message": "CUDA out of memory"}}), False),
        "empty": (response(200, b""), False),
        "binary": (response(200, bytes(range(256)) * 40, "application/octet-stream"), False),
        "utf8": (response(200, whole.replace(b"fine", b"fi\xff\xfene")), False),
        "type": (response(200, whole, "text/plain"), False),
        "short": (response(200, whole)[:-20], True),
        "chunked": (CHUNKED + chunk(whole[:30]) + b"40\r\n" + whole[30:40], True),
        "stall": (response(200, whole)[:-20], False),
        "nohttp": (b"SSH-2.0-OpenSSH_9.2\r\n", True),
        "huge": (response(200, b'{"choices": "' + b"x" * (17 << 20) + b'"}'), True),
        "redirect": (response(302, b"", fields="Location: http://127.0.0.1:1/\r\n"), False),
        "limit": (response(400, {"error": {"message": "maximum context length is 4096 tokens"}}), False),
        "cut": (STREAM + HALF, True),
        "undone": (STREAM + HALF + b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', True),
        "noise": (STREAM + HALF + b"\x00\x01\x02 not an event\n\n", True),
        "streamerror": (STREAM + HALF + b'data: {"error":{"message":"the engine died"}}\n\n', True),
        "endless": (STREAM + HALF.replace(b"half", b"x" * 65536) * 300, True),
    }
    return answers[kind]


LEAN = response(200, {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "word " * arguments.tokens}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": arguments.tokens},
})  # fmt: skip


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self):
        self.buffer = b""

    def connection_made(self, transport):
        """Keeps the way back."""
        self.transport = transport

    def data_received(self, data):
        """Takes requests as they become whole."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self.request(head, body)

    def request(self, head, body):
        """Answers a request at once, or after the delay."""
        loop = asyncio.get_running_loop()
        if head.startswith(b"GET"):
            return self.transport.write(self.look(head))
        if arguments.lean:
            state["requests"] += 1
            loop.call_later(arguments.delay, self.transport.write, LEAN)
            return None
        body = json.loads(body)
        prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        asked[prompt, body["seed"]] += 1
        state["requests"] += 1
        turn = state["requests"]
        if mode == "busy" and state["in_flight"] >= every:
            return self.transport.write(response(429, {"error": {"message": "slow down"}}))
        state["in_flight"] += 1
        state["most"] = max(state["most"], state["in_flight"])
        loop.call_later(arguments.delay, self.finish, body, prompt, turn)
        return None

    def look(self, head):
        """The answer to a GET."""
        path = head.split(b" ", 2)[1]
        if path == b"/health":
            return response(200, {})
        if path == b"/v1/models":
            return response(200, {"data": [{"id": "mock"}]})
        if path == b"/stats":
            repeated = sum(count - 1 for count in asked.values())
            return response(200, {**state, "different": len(asked), "repeated": repeated})
        return response(404, {})

    def finish(self, body, prompt, turn):
        """Sends what the mode has for this request."""
        state["in_flight"] -= 1
        hit = every and turn % every == 0
        if mode == "break" and hit:
            return self.transport.abort()
        if mode == "error" and hit:
            return self.transport.write(response(500, {"error": {"message": "the model is on fire"}}))
        if mode == "garbage" and hit:
            return self.transport.write(response(200, b"<html>a proxy says hello</html>", "text/html"))
        if mode == "poison" and detail in prompt:
            return self.transport.write(response(400, {"error": {"message": "the prompt is too long"}}))
        kind, _, text = detail.partition(":")
        if mode == "bad" and text in prompt:
            return self.misbehave(kind, body, prompt)
        self.transport.write(completion(body))
        if body.get("stream"):
            self.transport.close()
        return None

    def misbehave(self, kind, body, prompt):
        """Sends a bad answer; `later` asks for a second of peace, and then answers."""
        if kind == "later":
            is_first = sum(count for (text, _), count in asked.items() if text == prompt) == 1
            if is_first:
                return self.transport.write(response(429, {"error": {"message": "slow down"}}, fields="Retry-After: 1\r\n"))
            self.transport.write(completion(body))
            return self.transport.close() if body.get("stream") else None
        if kind == "open":
            return self.transport.write(completion(body))
        data, closes = bad(kind)
        self.transport.write(data)
        if closes:
            self.transport.close()
        return None


async def main():
    """Serves until it is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", arguments.port, backlog=4096)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
