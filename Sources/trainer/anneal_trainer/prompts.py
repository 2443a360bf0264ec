"""Prompts with the answers that are expected to them, read from the records of a file. No torch.

The places of questions and answers are those that `evaluate` reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers import after_reasoning
from .data import check_messages, check_text, read_records
from .errors import Problem
from .fields import is_number

#: Where a record may hold its question, and its expected answer where the messages do not.
QUESTION_KEYS = ("prompt", "input", "question", "problem")
ANSWER_KEYS = ("expected_answer", "output", "answer")


@dataclass(frozen=True)
class Prompt:
    """What a model is asked: the record's line (from 1), the messages, the expected answer, and the record itself."""

    line: int
    messages: list[dict]
    expected: str | None
    record: dict = field(repr=False)
    pass_rate: float | None = None
    tools: list[dict] | None = None


def read_prompts(path: Path, pointer: str, rate_field: str = "pass_rate", needs_rate: bool = False) -> list[Prompt]:
    """All prompts of a file. Raises `BadData` with every bad line (the first 100)."""

    def parse(record: dict, line: int, problems: list[Problem]) -> Prompt | None:
        messages, answer = question(record, line, problems)
        if problems:
            return None
        expected = answer if answer is not None else expected_answer(record)
        rate = record.get(rate_field)
        if rate is not None and not (is_number(rate) and 0 <= rate <= 1):
            problems.append(Problem("must be a number from 0 to 1", f"/{rate_field}", line))
        elif rate is None and needs_rate:
            problems.append(Problem("is missing, and params.curriculum needs it", f"/{rate_field}", line))
        if expected is not None:
            # Without its reasoning; one that was never closed leaves no answer.
            expected = after_reasoning(expected) or None
        return Prompt(line, messages, expected, record, None if rate is None else float(rate), record.get("tools"))

    return read_records(path, pointer, parse)


def question(record: dict, line: int, problems: list[Problem]) -> tuple[list[dict], str | None]:
    """The messages to send, and the answer where a conversation holds it: its last turn of the assistant's."""
    messages = record.get("messages")
    if messages is not None:
        check_messages(messages, "/messages", line, problems)
        if problems:
            return [], None
        turns = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        last = turns[-1] if turns else len(messages)
        if last == 0:
            problems.append(Problem("no message stands before the assistant's last one", "/messages", line))
        return messages[:last], messages[last]["content"] if turns else None
    key = next((key for key in QUESTION_KEYS if record.get(key) is not None), None)
    if key is None:
        problems.append(Problem(f"has none of messages, {', '.join(QUESTION_KEYS)}", None, line))
        return [], None
    value = record[key]
    if isinstance(value, list):
        check_messages(value, f"/{key}", line, problems)
        return value, None
    check_text(value, f"/{key}", line, problems)
    return [{"role": "user", "content": value}], None


def expected_answer(record: dict) -> str | None:
    """The answer of a record whose messages do not hold it."""
    more = record.get("extra_env_info")
    found = [more.get("ground_truth") if isinstance(more, dict) else None, *(record.get(key) for key in ANSWER_KEYS)]
    return next((as_text(value) for value in found if value is not None), None)


def as_text(value: Any) -> str:
    """A member as text; numbers stand for their text, and lists and maps for their JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
