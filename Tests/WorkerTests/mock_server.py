"""A fast OpenAI-compatible server that answers asynchronously, for load and for faults that a thread a request is too slow for.

    mock_server.py [--port N] [--delay SECONDS] [--tokens N] [--mode MODE] [--lean]

Prints `port N`. The delay is the same for each request. The answer to a prompt is `<think>hm prompt</think> answer to prompt`, filled up to
so many words where tokens are given. Modes: good; busy:N (429 beyond N requests in flight); break:N (every Nth request loses its
connection); error:N (every Nth gets 500); garbage:N (every Nth gets a page of a proxy); poison:TEXT (a prompt with this text is refused);
torn (streams break in the middle), babble (streams turn to noise). GET /stats tells what was asked: requests, prompts asked more than
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


def text_for(prompt):
    """What the model says to a prompt."""
    words = f"<think>hm {prompt}</think> answer to {prompt}"
    return words + " word" * max(0, arguments.tokens - len(words.split()))


def completion(body):
    """The answer to a request, in one piece or as a stream."""
    is_chat = "messages" in body
    prompt = body["messages"][-1]["content"] if is_chat else body["prompt"]
    text = text_for(prompt)
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
        self.transport.write(completion(body))
        if body.get("stream"):
            self.transport.close()
        return None


async def main():
    """Serves until it is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", arguments.port, backlog=4096)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
