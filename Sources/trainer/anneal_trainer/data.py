"""Read JSON Lines data and refuse what cannot be trained on, with line numbers. No torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .errors import PROBLEMS_MAX, BadData, BadRequest, Problem, counted
from .fields import describe

ROLES = ("system", "developer", "user", "assistant", "tool")

#: Where the texts of a record are, over all formats: messages, input_output, preference (two spellings), plain text.
TEXT_KEYS = (
    *("messages", "prompt", "chosen", "rejected", "chosen_response", "rejected_response"),
    *("input", "output", "text"),
)

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Conversation:
    """One training record: its line in the file (from 1), its messages, and the tools its template may show."""

    line: int
    messages: list[dict]
    tools: list[dict] | None = None


def read_conversations(path: Path, pointer: str) -> list[Conversation]:
    """All records of a file in the messages format. Raises `BadData` with every bad line (the first 100)."""

    def parse(record: dict, line: int, problems: list[Problem]) -> Conversation:
        if "messages" not in record:
            given = ", ".join(map(repr, record)) or "nothing"
            problems.append(Problem(f"is missing; the record has {given}", "/messages", line))
            return Conversation(line, [])
        check_messages(record["messages"], "/messages", line, problems, ends_with_assistant=True)
        tools = record.get("tools")
        if tools is not None and not isinstance(tools, list):
            problems.append(Problem(f"must be a list, not {describe(tools)}", "/tools", line))
        return Conversation(line, record.get("messages"), tools)

    return read_records(path, pointer, parse)


def read_texts(path: Path, pointer: str) -> list[str]:
    """Every piece of text of a file in any of the known formats: what a tokenizer is trained on.

    A message gives its role and its content, as a chat template writes both.
    """

    def parse(record: dict, line: int, problems: list[Problem]) -> list[str]:
        pieces = list(pieces_of(record, line, problems))
        if not pieces and not problems:
            problems.append(Problem("has none of messages, input/output, prompt/chosen/rejected, text", None, line))
        return pieces

    return [piece for pieces in read_records(path, pointer, parse) for piece in pieces]


def read_records(path: Path, pointer: str, parse: Callable[[dict, int, list[Problem]], Parsed]) -> list[Parsed]:
    """Parse every line that is not blank; problems of all lines are collected into one `BadData`."""
    records: list[Parsed] = []
    problems: list[Problem] = []
    bad_lines = 0
    try:
        with open(path, "rb") as file:
            for line, data in enumerate(file, start=1):
                if not data.strip():
                    continue
                found: list[Problem] = []
                record = decode(data, line, found)
                if record is not None:
                    parsed = parse(record, line, found)
                if found:
                    bad_lines += 1
                    problems += found[: PROBLEMS_MAX - len(problems)]
                else:
                    records.append(parsed)
    except OSError as error:
        raise BadRequest.at(pointer, f"cannot read the data {path}: {error.strerror}") from error
    if bad_lines:
        raise BadData(f"{counted(bad_lines, 'bad record')} in {path.name}; the first: {problems[0]}", problems)
    if not records:
        raise BadData(f"{path.name} has no records", [Problem("has no records", pointer)])
    return records


def decode(data: bytes, line: int, problems: list[Problem]) -> dict | None:
    """The JSON object of a line, or None with the problem noted."""
    try:
        record = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        problems.append(Problem(f"is not UTF-8 (byte {error.start} of the line)", None, line))
    except (ValueError, RecursionError) as error:
        problems.append(Problem(f"is not JSON: {error}", None, line))
    else:
        if isinstance(record, dict):
            return record
        problems.append(Problem(f"must be a JSON object, not {describe(record)}", None, line))
    return None


def check_messages(
    messages: Any, pointer: str, line: int, problems: list[Problem], ends_with_assistant: bool = False
) -> None:
    """Note what is wrong with a list of {role, content}."""
    if not isinstance(messages, list) or not messages:
        problems.append(Problem("must be a list of messages that is not empty", pointer, line))
        return
    for index, message in enumerate(messages):
        here = f"{pointer}/{index}"
        if not isinstance(message, dict):
            problems.append(Problem(f"must be an object, not {describe(message)}", here, line))
            continue
        if message.get("role") not in ROLES:
            detail = f"must be one of {', '.join(ROLES)}, not {describe(message.get('role'))}"
            problems.append(Problem(detail, f"{here}/role", line))
        check_text(message.get("content"), f"{here}/content", line, problems)
    last = messages[-1]
    if ends_with_assistant and isinstance(last, dict) and last.get("role") in ROLES and last["role"] != "assistant":
        detail = f"the last message must be from the assistant, not from the {last['role']}"
        problems.append(Problem(detail, f"{pointer}/{len(messages) - 1}/role", line))


def check_text(value: Any, pointer: str, line: int, problems: list[Problem]) -> None:
    """Note when a value is not text that can be encoded: JSON allows lone surrogates, UTF-8 does not."""
    if not isinstance(value, str):
        detail = "is missing" if value is None else f"must be text, not {describe(value)}"
        problems.append(Problem(detail, pointer, line))
        return
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        problems.append(Problem("holds half of a surrogate pair", pointer, line))


def pieces_of(record: dict, line: int, problems: list[Problem]) -> Iterator[str]:
    """The texts of a record, by the keys it has."""
    for key in TEXT_KEYS:
        value = record.get(key)
        if value is None:
            continue
        before = len(problems)
        if isinstance(value, list):
            check_messages(value, f"/{key}", line, problems)
            if len(problems) == before:
                yield from (f"{message['role']}\n{message['content']}" for message in value)
        else:
            check_text(value, f"/{key}", line, problems)
            if len(problems) == before:
                yield value
