"""Read preference pairs: two responses to one prompt, of which one is better. No torch.

Three forms of record, which may stand in one file:
  {"prompt", "chosen_response", "rejected_response", "chosen_reward"?, "rejected_reward"?}   NeMo-Aligner
  {"prompt"?, "chosen", "rejected"}                                                          Hugging Face
  {"context": messages, "completions": [{"rank", "completion": messages} × 2]}               NeMo RL
A prompt that is text and its responses carry the chat template already, end mark included. Messages get the template.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data import check_messages, check_text, read_records
from .errors import Problem
from .fields import describe, is_number

#: The spellings of a record's two responses.
RESPONSE_KEYS = (("chosen_response", "rejected_response"), ("chosen", "rejected"))

Messages = list[dict]


@dataclass(frozen=True)
class Response:
    """One side of a pair: the texts to be joined, or the whole conversation, which ends with the response."""

    prompt: str | None
    text: str | None
    messages: Messages | None


@dataclass(frozen=True)
class PreferencePair:
    """A record: its line in the file (from 1), its responses, and how good they are said to be (None where unsaid)."""

    line: int
    chosen: Response
    rejected: Response
    #: Where the responses stand in the record.
    keys: tuple[str, str]
    chosen_reward: float | None = None
    rejected_reward: float | None = None
    tools: list[dict] | None = None


def read_pairs(path: Path, pointer: str) -> list[PreferencePair]:
    """All pairs of a file. Raises `BadData` with every bad line (the first 100)."""
    return read_records(path, pointer, parse)


def parse(record: dict, line: int, problems: list[Problem]) -> PreferencePair | None:
    """One record in any of the forms; None where its problems leave nothing to return."""
    before = len(problems)
    if "completions" in record:
        pair = parse_ranked(record, line, problems)
    else:
        pair = parse_chosen(record, line, problems)
    return pair if len(problems) == before else None


def parse_chosen(record: dict, line: int, problems: list[Problem]) -> PreferencePair | None:
    """The forms that name the better response."""
    named = [pair for pair in RESPONSE_KEYS if any(key in record for key in pair)]
    if len(named) != 1:
        forms = "chosen_response and rejected_response (or chosen and rejected, or context and completions)"
        problems.append(Problem(f"must have {forms}, in one spelling", None, line))
        return None
    keys, prompt = named[0], record.get("prompt")
    if isinstance(prompt, list):
        check_prompt(prompt, "/prompt", line, problems)
    elif prompt is not None:
        check_filled(prompt, "/prompt", line, problems)
    rewards = [reward(record, key, line, problems) for key in ("chosen_reward", "rejected_reward")]
    tools = record.get("tools")
    if tools is not None and not isinstance(tools, list):
        problems.append(Problem(f"must be a list, not {describe(tools)}", "/tools", line))
    sides = [response(prompt, record.get(key), f"/{key}", line, problems) for key in keys]
    return PreferencePair(line, sides[0], sides[1], keys, rewards[0], rewards[1], tools)


def response(prompt: Any, value: Any, pointer: str, line: int, problems: list[Problem]) -> Response:
    """One response as the record has it: a text, or messages that end with the assistant's."""
    if isinstance(value, list):
        check_messages(value, pointer, line, problems, ends_with_assistant=True)
        if isinstance(prompt, str):
            problems.append(Problem("is messages, and the prompt is text: both must be of one sort", pointer, line))
        before = prompt if isinstance(prompt, list) else []
        if not before and len(value) < 2:
            problems.append(Problem("has no prompt: give 'prompt', or messages before the response", pointer, line))
        check_systems([*before, *value], pointer, line, problems)
        return Response(None, None, [*before, *value])
    check_filled(value, pointer, line, problems)
    if isinstance(prompt, list):
        return Response(None, None, [*prompt, {"role": "assistant", "content": value}])
    if prompt is None:
        problems.append(Problem("is missing; without it the responses must be messages", "/prompt", line))
    return Response(prompt, value, None)


def parse_ranked(record: dict, line: int, problems: list[Problem]) -> PreferencePair | None:
    """NeMo RL's form: two ranked completions of a context, of which the lower rank is preferred."""
    context, completions = record.get("context"), record["completions"]
    check_prompt(context, "/context", line, problems)
    if not isinstance(completions, list) or len(completions) != 2:
        detail = f"must be a list of two completions, not {describe(completions)}"
        problems.append(Problem(detail, "/completions", line))
        return None
    for index, completion in enumerate(completions):
        here = f"/completions/{index}"
        if not isinstance(completion, dict):
            problems.append(Problem(f"must be an object, not {describe(completion)}", here, line))
            return None
        if not is_number(completion.get("rank")):
            problems.append(Problem("must be a number", f"{here}/rank", line))
            return None
        check_messages(completion.get("completion"), f"{here}/completion", line, problems, ends_with_assistant=True)
    if completions[0]["rank"] == completions[1]["rank"]:
        problems.append(Problem("both have the same rank, so none is preferred", "/completions", line))
    if not isinstance(context, list) or not all(isinstance(each.get("completion"), list) for each in completions):
        return None
    order = sorted(range(2), key=lambda index: completions[index]["rank"])
    sides = [Response(None, None, [*context, *completions[index]["completion"]]) for index in order]
    keys = tuple(f"completions/{index}/completion" for index in order)
    check_systems(sides[0].messages, "/context", line, problems)
    return PreferencePair(line, sides[0], sides[1], keys)


def check_prompt(messages: Any, pointer: str, line: int, problems: list[Problem]) -> None:
    """Messages that the model is to answer, so the last one is not its own."""
    check_messages(messages, pointer, line, problems)
    last = messages[-1] if isinstance(messages, list) and messages else None
    if isinstance(last, dict) and last.get("role") == "assistant":
        problems.append(Problem("the last message of a prompt must not be the assistant's", pointer, line))


def check_systems(messages: Messages, pointer: str, line: int, problems: list[Problem]) -> None:
    """One system message at the most."""
    if sum(isinstance(message, dict) and message.get("role") == "system" for message in messages) > 1:
        problems.append(Problem("has more than one system message", pointer, line))


def check_filled(value: Any, pointer: str, line: int, problems: list[Problem]) -> None:
    """Note when a value is not text, or says nothing."""
    if value is None:
        problems.append(Problem("is missing", pointer, line))
    elif value == "":
        problems.append(Problem("is empty", pointer, line))
    else:
        check_text(value, pointer, line, problems)


def reward(record: dict, key: str, line: int, problems: list[Problem]) -> float | None:
    """A reward of the record, or None where it gives none."""
    value = record.get(key)
    if value is None:
        return None
    if not is_number(value):
        problems.append(Problem(f"must be a finite number, not {describe(value)}", f"/{key}", line))
        return None
    return float(value)


def sides(pair: PreferencePair) -> Iterator[tuple[str, Response]]:
    """The chosen and the rejected response with the keys they stand at."""
    yield pair.keys[0], pair.chosen
    yield pair.keys[1], pair.rejected
