"""Read what reward models learn from: pairs of responses, or texts with numbers. No torch.

Pairs are records as preference training has them, or lines of {"text"} of which each odd one is better than the next.
Numbers: {"text" or "messages", "label" or "labels": a number or a list of them}, where −100 stands for one that is
missing; all records have equally many.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data import check_messages, check_text, read_records
from .errors import PROBLEMS_MAX, BadData, Problem, counted
from .fields import describe, is_number
from .preference_data import PreferencePair, Response, parse

TEXT_KEYS = ("text", "text")


@dataclass(frozen=True)
class LabelledText:
    """A text, or a conversation, and the numbers that it is to get; −100 where one is missing."""

    line: int
    text: str | None
    messages: list[dict] | None
    labels: list[float]


@dataclass(frozen=True)
class TextLine:
    """Half of a pair that stands in two lines."""

    line: int
    text: str


def read_reward_pairs(path: Path, pointer: str) -> list[PreferencePair]:
    """All pairs of a file. Raises `BadData` with every bad line (the first 100)."""
    found = read_records(path, pointer, parse_pair)
    halves = [record for record in found if isinstance(record, TextLine)]
    if not halves:
        return found
    if len(halves) != len(found) or len(halves) % 2:
        what = f"{len(halves)} of {len(found)} records" if len(halves) != len(found) else f"{len(halves)} records"
        detail = f"{what} are texts alone; such a file has chosen and rejected lines by turns, and no others"
        raise BadData(detail, [Problem(detail, pointer)])
    return [pair_of(*halves[index : index + 2]) for index in range(0, len(halves), 2)]


def parse_pair(record: dict, line: int, problems: list[Problem]) -> PreferencePair | TextLine | None:
    """A pair, or half of one."""
    if "text" in record and "prompt" not in record:
        check_text(record["text"], "/text", line, problems)
        return TextLine(line, record["text"])
    return parse(record, line, problems)


def pair_of(chosen: TextLine, rejected: TextLine) -> PreferencePair:
    """Two lines as one pair, at the place of the first."""
    sides = [Response("", half.text, None) for half in (chosen, rejected)]
    return PreferencePair(chosen.line, sides[0], sides[1], TEXT_KEYS)


def read_labelled(path: Path, pointer: str) -> list[LabelledText]:
    """All records with numbers. Raises `BadData` with every bad line (the first 100)."""
    records = read_records(path, pointer, parse_labelled)
    width = len(records[0].labels)
    problems = [
        Problem(f"has {counted(len(record.labels), 'number')}, and the first record {width}", "/labels", record.line)
        for record in records
        if len(record.labels) != width
    ]
    if problems:
        detail = f"{counted(len(problems), 'record')} with another number of labels; the first: {problems[0]}"
        raise BadData(detail, problems[:PROBLEMS_MAX])
    return records


def parse_labelled(record: dict, line: int, problems: list[Problem]) -> LabelledText:
    """A text or messages, with labels."""
    key = "label" if "label" in record else "labels"
    labels = numbers(record.get(key), f"/{key}", line, problems)
    if ("text" in record) == ("messages" in record):
        problems.append(Problem("must have either 'text' or 'messages'", None, line))
    elif "text" in record:
        check_text(record["text"], "/text", line, problems)
    else:
        check_messages(record["messages"], "/messages", line, problems, ends_with_assistant=True)
    return LabelledText(line, record.get("text"), record.get("messages"), labels)


def numbers(value: Any, pointer: str, line: int, problems: list[Problem]) -> list[float]:
    """One number, or a list that is not empty."""
    found = value if isinstance(value, list) else [value]
    if not found or not all(is_number(each) for each in found):
        given = "is missing" if value is None else f"is {describe(value)}"
        problems.append(Problem(f"{given}: must be a number or a list of numbers", pointer, line))
        return []
    return [float(each) for each in found]
