"""A reward that another model gives: it is asked at an OpenAI-compatible address whether an answer is right."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .answers import after_reasoning, judgement
from .errors import EXIT_FAILED, BadRequest, Problem, WorkerError
from .fields import Fields
from .job import Job
from .rewards import Response, Reward

#: What the judge is asked; `{problem}`, `{expected_answer}` and `{predicted_answer}` are filled in.
PROMPT = """You grade the answer that was given to a problem.

Problem:
{problem}

Expected answer:
{expected_answer}

Answer to grade:
{predicted_answer}

Take the expected answer for right. The answer is right where it means the same; another notation or harmless rounding
does
not make it wrong.

Write one or two sentences of reasoning, and then, on a line of its own, either "Judgement: Yes" or "Judgement: No"."""

#: Bounds: bytes of one reply, characters of one answer shown to the judge, the longest pause between tries (seconds).
REPLY_BYTES_MAX = 4 << 20
ANSWER_CHARACTERS_MAX = 100_000
PAUSE_SECONDS_MAX = 30.0
#: HTTP states that another try may mend.
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)


class JudgeReward(Reward):
    """1 where the judge says yes; 0 where it says no, or nothing that can be read."""

    kind = "judge"

    def __init__(self, name: str, weight: float, **settings):
        super().__init__(name, weight)
        self.url: str = settings["url"]
        self.model: str = settings["model"]
        self.prompt: str = settings["prompt"]
        self.key_variable: str | None = settings["key_variable"]
        self.concurrency: int = settings["concurrency"]
        self.retries: int = settings["retries"]
        self.timeout: float = settings["timeout"]
        self.max_tokens: int = settings["max_tokens"]
        self.place: str = settings["place"]

    @classmethod
    def parse(cls, fields: Fields, name: str, weight: float, job: Job) -> Reward:
        url = fields.text("url", "", required=True)
        if url and not url.startswith(("http://", "https://")):
            fields.problem("url", "must be an http:// or https:// URL")
        return cls(
            name,
            weight,
            url=url.rstrip("/").removesuffix("/v1"),
            model=fields.text("model", "", required=True),
            prompt=fields.text("prompt", PROMPT),
            key_variable=fields.text("api_key_env", None),
            concurrency=fields.integer("concurrency", 16, minimum=1, maximum=1024),
            retries=fields.integer("retries", 5, minimum=0, maximum=100),
            timeout=fields.number("timeout_seconds", 120, 0, above=True),
            max_tokens=fields.integer("max_tokens", 1024, minimum=1, maximum=1_048_576),
            place=fields.pointer,
        )

    def score(self, responses: Sequence[Response]) -> list[float]:
        with ThreadPoolExecutor(max_workers=min(self.concurrency, max(1, len(responses)))) as pool:
            return list(pool.map(self.one, responses))

    def one(self, response: Response) -> float:
        answer, expected = after_reasoning(response.text), response.prompt.expected or ""
        if not answer:
            return 0.0
        if answer == expected:
            return 1.0
        # A reply without a judgement earns nothing.
        return float(judgement(self.ask(self.filled(response, expected, answer[:ANSWER_CHARACTERS_MAX]))) is True)

    def filled(self, response: Response, expected: str, answer: str) -> str:
        """The prompt with its places filled in; texts that look like places stay as they are."""
        asked = [message["content"] for message in response.prompt.messages if message["role"] != "system"]
        values = {"{problem}": "\n\n".join(asked), "{expected_answer}": expected, "{predicted_answer}": answer}
        pieces, rest = [], self.prompt
        while rest:
            found = [(rest.find(mark), mark) for mark in values if mark in rest]
            if not found:
                break
            place, mark = min(found)
            pieces += [rest[:place], values[mark]]
            rest = rest[place + len(mark) :]
        return "".join(pieces) + rest

    def ask(self, text: str) -> str:
        """What the judge replies, after so many tries. Raises `WorkerError` when it cannot be had."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": self.max_tokens,
        }
        wrong = ""
        for turn in range(self.retries + 1):
            if turn:
                time.sleep(min(PAUSE_SECONDS_MAX, 0.5 * 2 ** (turn - 1)))
            try:
                return self.content(self.post(json.dumps(body).encode()))
            except urllib.error.HTTPError as error:
                wrong = f"HTTP {error.code}: {error.read(300).decode(errors='replace').strip()}"
                if error.code not in PASSING:
                    raise BadRequest.at(f"{self.place}/url", f"the judge {self.url} refuses: {wrong}") from error
            except (OSError, ValueError) as error:
                wrong = str(error)
        detail = f"the judge {self.url} gave no reply in {self.retries + 1} tries: {wrong}; start it, or correct the URL"
        raise WorkerError(EXIT_FAILED, "judge_unavailable", detail, [Problem(detail, f"{self.place}/url")])

    def post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.key_variable) if self.key_variable else None
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=self.timeout) as reply:
            data = reply.read(REPLY_BYTES_MAX + 1)
        if len(data) > REPLY_BYTES_MAX:
            raise ValueError(f"the reply is longer than {REPLY_BYTES_MAX} bytes")
        return data

    def content(self, data: bytes) -> str:
        """The text of a reply. The model must be the one that was asked for: another one would judge otherwise."""
        reply = json.loads(data)
        model = reply.get("model") if isinstance(reply, dict) else None
        if model not in (None, self.model):
            raise BadRequest.at(f"{self.place}/model", f"the judge answers as '{model}', not as '{self.model}'")
        try:
            return reply["choices"][0]["message"]["content"] or ""
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError("the reply has no choices[0].message.content") from error
