"""Rewards of responses: what each kind is told, how it scores, and the weighted sum of several. No torch."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from .answers import THINK, END_THINK, choice_label, extracted, is_equal, truth_in
from .errors import BadData, BadRequest, Problem, counted
from .fields import Fields, describe, is_number
from .math_answers import MathGrader
from .job import Job
from .prompts import Prompt

THINKING = re.compile(r"detailed thinking (on|off)", re.IGNORECASE)
EXTRACTIONS = ("text", "boxed", "hashes")


@dataclass(frozen=True)
class Response:
    """One response to be scored: its prompt, its text without the end token, its tokens, and how the prompt's text
    ended."""

    prompt: Prompt
    text: str
    tokens: int
    truncated: bool = False
    #: Whether the chat template opened the reasoning already, so that the response cannot.
    opened: bool = False


class Reward(ABC):
    """A reward with its weight. `score` gives one number for each response, in their order."""

    kind: ClassVar[str]
    #: Whether records must hold an expected answer.
    needs_expected: ClassVar[bool] = True

    def __init__(self, name: str, weight: float):
        self.name = name
        self.weight = weight

    @classmethod
    @abstractmethod
    def parse(cls, fields: Fields, name: str, weight: float, job: Job) -> Reward:
        """The reward that a mapping of `params.rewards` asks for. Problems are collected in the fields."""

    @abstractmethod
    def score(self, responses: Sequence[Response]) -> list[float]: ...

    def check(self, prompt: Prompt) -> Problem | None:
        """What keeps a record from being scored."""
        if self.needs_expected and prompt.expected is None:
            detail = f"the record has no expected answer, which the reward '{self.name}' needs"
            return Problem(detail, None, prompt.line)
        return None


class ExactReward(Reward):
    """1 where the answer equals the expected one as text or as a number."""

    kind = "exact"

    def __init__(self, name: str, weight: float, extract: str = "text"):
        super().__init__(name, weight)
        self.extract = extract

    @classmethod
    def parse(cls, fields: Fields, name: str, weight: float, job: Job) -> Reward:
        return cls(name, weight, fields.choice("extract", "text", EXTRACTIONS))

    def score(self, responses: Sequence[Response]) -> list[float]:
        return [self.one(response) for response in responses]

    def one(self, response: Response) -> float:
        found = extracted(response.text, self.extract)
        return float(found is not None and is_equal(found, response.prompt.expected or ""))


class MathReward(ExactReward):
    """1 where the answer equals the expected one by symbolic mathematics."""

    kind = "math"

    def __init__(self, name: str, weight: float, extract: str = "boxed"):
        super().__init__(name, weight, extract)
        self.grader = MathGrader()

    @classmethod
    def parse(cls, fields: Fields, name: str, weight: float, job: Job) -> Reward:
        return cls(name, weight, fields.choice("extract", "boxed", EXTRACTIONS))

    def score(self, responses: Sequence[Response]) -> list[float]:
        answers = [extracted(response.text, self.extract) for response in responses]
        truths = [truth_in(response.prompt.expected or "") for response in responses]
        return [float(right) for right in self.grader.equal(list(zip(truths, answers, strict=True)))]


class ChoiceReward(Reward):
    """1 where the label of a multiple-choice answer is the expected one."""

    kind = "choice"

    @classmethod
    def parse(cls, fields: Fields, name: str, weight: float, job: Job) -> Reward:
        return cls(name, weight)

    def score(self, responses: Sequence[Response]) -> list[float]:
        return [self.one(response) for response in responses]

    def one(self, response: Response) -> float:
        text, expected = extracted(response.text, "text"), response.prompt.expected or ""
        if text is None:
            return 0.0
        wanted = choice_label(expected)
        if wanted is None:
            return float(is_equal(text, expected))
        return float(choice_label(text, like=wanted) == wanted)


class FormatReward(Reward):
    """1 where reasoning is marked as the mode asks: in on-mode `<think>…</think>` once, before the answer; in
    off-mode not.

    The mode is the same for all records, or each record's own: its field, or `detailed thinking on|off` in its system
    message (Llama-Nemotron's switch).
    """

    kind = "format"
    needs_expected = False

    def __init__(self, name: str, weight: float, mode: str = "auto", field: str | None = None):
        super().__init__(name, weight)
        self.mode = mode
        self.field = field

    @classmethod
    def parse(cls, fields: Fields, name: str, weight: float, job: Job) -> Reward:
        return cls(name, weight, fields.choice("mode", "auto", ("auto", "on", "off")), fields.text("field", None))

    def check(self, prompt: Prompt) -> Problem | None:
        if self.mode_of(prompt) is not None:
            return None
        where = f"the field '{self.field}' or " if self.field else ""
        detail = f"the reward '{self.name}' finds no mode: {where}'detailed thinking on|off' in the system message"
        return Problem(detail, None, prompt.line)

    def mode_of(self, prompt: Prompt) -> bool | None:
        """Whether reasoning is wanted; None where nothing tells it."""
        if self.mode != "auto":
            return self.mode == "on"
        if self.field is not None and self.field in prompt.record:
            value = prompt.record[self.field]
            return value if isinstance(value, bool) else {"on": True, "off": False}.get(str(value).lower())
        systems = [message["content"] for message in prompt.messages if message["role"] in ("system", "developer")]
        found = THINKING.findall("\n".join(systems))
        return found[-1].lower() == "on" if found else None

    def score(self, responses: Sequence[Response]) -> list[float]:
        return [self.one(response) for response in responses]

    def one(self, response: Response) -> float:
        text = response.text
        if not self.mode_of(response.prompt):
            return float(THINK not in text and END_THINK not in text)
        if response.opened:
            text = THINK + text
        once = text.count(THINK) == 1 and text.count(END_THINK) == 1
        before, _, rest = text.partition(THINK)
        return float(once and not before.strip() and END_THINK in rest)


class LengthReward(Reward):
    """1 up to so many tokens, and from there falling along a line to 0."""

    kind = "length"
    needs_expected = False

    def __init__(self, name: str, weight: float, full_until: int, zero_from: int):
        super().__init__(name, weight)
        self.full_until = full_until
        self.zero_from = zero_from

    @classmethod
    def parse(cls, fields: Fields, name: str, weight: float, job: Job) -> Reward:
        until, zero = fields.integer("full_until", 0, minimum=0), fields.integer("zero_from", 0, minimum=1)
        for key in ("full_until", "zero_from"):
            if fields.values.get(key) is None:
                fields.problem(key, "is required")
        if zero <= until:
            fields.problem("zero_from", f"must be above full_until, {until}")
        return cls(name, weight, until, max(zero, until + 1))

    def score(self, responses: Sequence[Response]) -> list[float]:
        room = self.zero_from - self.full_until
        return [min(1.0, max(0.0, (self.zero_from - response.tokens) / room)) for response in responses]


class PythonReward(Reward):
    """A function of the user's, called once for each response with those of these arguments by name that it takes:
    `prompt` (messages), `completion` (text), `expected` (text or None), `record` (the data's own), `tokens`,
    `truncated`.
    """

    kind = "python"
    needs_expected = False
    ARGUMENTS = ("prompt", "completion", "expected", "record", "tokens", "truncated")

    def __init__(self, name: str, weight: float, file: Path, function: str, place: str):
        super().__init__(name, weight)
        self.file = file
        self.function = function
        self.place = place
        self.found: Callable | None = None
        self.takes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, fields: Fields, name: str, weight: float, job: Job) -> Reward:
        file = fields.text("file", "", required=True)
        function = fields.text("function", "score")
        return cls(name, weight, job.input_path(f"{fields.pointer}/file", file), function, fields.pointer)

    def load(self) -> Callable:
        """The user's function. Raises `BadRequest` where the file or the function is not usable."""
        if self.found is not None:
            return self.found
        specification = importlib.util.spec_from_file_location(f"anneal_reward_{self.name}", self.file)
        if specification is None or not self.file.is_file():
            raise BadRequest.at(f"{self.place}/file", f"{self.file} is not a Python file")
        module = importlib.util.module_from_spec(specification)
        # Where dataclasses and pickle look for it.
        sys.modules[specification.name] = module
        try:
            specification.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            detail = f"{self.file.name} cannot be imported: {type(error).__name__}: {error}"
            raise BadRequest.at(f"{self.place}/file", detail) from error
        function = getattr(module, self.function, None)
        if not callable(function):
            raise BadRequest.at(f"{self.place}/function", f"{self.file.name} has no function '{self.function}'")
        self.takes = self.arguments(function)
        self.found = function
        return function

    def arguments(self, function: Callable) -> tuple[str, ...]:
        """Which of the arguments the function takes."""
        parameters = inspect.signature(function).parameters.values()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return self.ARGUMENTS
        for parameter in parameters:
            if parameter.name not in self.ARGUMENTS and parameter.default is parameter.empty:
                detail = f"'{self.function}' asks for '{parameter.name}'; it can have {', '.join(self.ARGUMENTS)}"
                raise BadRequest.at(f"{self.place}/function", detail)
        return tuple(parameter.name for parameter in parameters if parameter.name in self.ARGUMENTS)

    def score(self, responses: Sequence[Response]) -> list[float]:
        function = self.load()
        return [self.one(function, response) for response in responses]

    def one(self, function: Callable, response: Response) -> float:
        prompt = response.prompt
        values = dict(
            prompt=prompt.messages,
            completion=response.text,
            expected=prompt.expected,
            record=prompt.record,
            tokens=response.tokens,
            truncated=response.truncated,
        )
        where = f"the reward '{self.name}' ({self.file.name}: {self.function}) on the prompt of line {prompt.line}"
        try:
            # Copies: what a function changes in its arguments must not be asked or scored later.
            score = function(**{name: copy.deepcopy(values[name]) for name in self.takes})
        except (Exception, SystemExit) as error:
            line = error_line(error, self.file)
            raise BadRequest.at(self.place, f"{where} raised {type(error).__name__}: {error}{line}") from error
        found = plain_number(score)
        if found is None:
            raise BadRequest.at(self.place, f"{where} gave {describe(score)}, and must give a finite number")
        return found


def plain_number(value: object) -> float | None:
    """A finite number, also one of numpy's or torch's, or a truth value; None for anything else."""
    try:
        value = value.item() if hasattr(value, "item") else value
        return float(value) if isinstance(value, bool) or is_number(value) else None
    except (TypeError, ValueError, RuntimeError, OverflowError):
        # Arrays of several numbers, and whole numbers beyond all floats.
        return None


def error_line(error: BaseException, file: Path) -> str:
    """The line of a file in which an error arose, in words."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f" (line {line})"


def kinds() -> dict[str, type[Reward]]:
    """All kinds of rewards by their names."""
    from .judge import JudgeReward
    from .reward_scorer import ModelReward

    own = (ExactReward, MathReward, ChoiceReward, FormatReward, LengthReward, JudgeReward, ModelReward, PythonReward)
    return {reward.kind: reward for reward in own}


def parse_rewards(params: Fields, job: Job) -> list[Reward]:
    """The list `rewards` of the parameters; each element is a mapping with one key, which names the kind."""
    params.known.add("rewards")
    value, known = params.values.get("rewards"), kinds()
    if not isinstance(value, list) or not value:
        params.problem("rewards", "must be a list of rewards such as {exact: {weight: 1}}, with at least one")
        return []
    found: list[Reward] = []
    for place, element in enumerate(value):
        key = f"rewards/{place}"
        if not isinstance(element, dict) or len(element) != 1 or next(iter(element)) not in known:
            detail = f"must be a mapping with one key of {', '.join(known)}, not {describe(element)}"
            params.problems.append(Problem(detail, f"{params.pointer}/{key}"))
            continue
        kind, settings = next(iter(element.items()))
        fields = Fields(settings, f"{params.pointer}/{key}/{kind}", params.problems)
        name, weight = fields.text("name", kind), fields.number("weight", 1.0, -1e6)
        found.append(known[kind].parse(fields, name, weight, job))
        fields.finish(f"key of the reward {kind}")
    names = [reward.name for reward in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        params.problem("rewards", f"two rewards are named '{name}'; give them a name each")
    return found


def check_prompts(rewards: Sequence[Reward], prompts: Sequence[Prompt], name: str) -> None:
    """Refuse records that some reward cannot score, before anything slow is loaded."""
    found = [problem for prompt in prompts for reward in rewards if (problem := reward.check(prompt)) is not None]
    if found:
        raise BadData(f"{counted(len(found), 'record')} of {name} cannot be scored; the first: {found[0]}", found)


def total(rewards: Sequence[Reward], parts: dict[str, Any]) -> float:
    """The weighted sum of a response's rewards."""
    return sum(reward.weight * parts[reward.name] for reward in rewards)
