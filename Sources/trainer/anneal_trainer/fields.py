"""Read a mapping field by field and collect every error, so that a person fixes a request in one round."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from .errors import Problem


class Fields:
    """A mapping of a request that is being read. What was never asked for is an unknown key."""

    def __init__(self, value: object, pointer: str, problems: list[Problem]):
        self.pointer = pointer
        self.problems = problems
        self.known: set[str] = set()
        self.values: dict[str, Any] = {}
        if isinstance(value, dict):
            self.values = value
        elif value is not None:
            self.problem("", f"must be a mapping, not {describe(value)}")

    def problem(self, key: str, detail: str) -> None:
        """Note a problem with a key, or with the mapping itself when the key is empty."""
        self.problems.append(Problem(detail, f"{self.pointer}/{escape(key)}" if key else self.pointer))

    def take(self, key: str, default: Any, check: Callable[[Any], str | None]) -> Any:
        """The value of a key after `check` (which returns what is wrong with it), else the default."""
        self.known.add(key)
        value = self.values.get(key)
        if value is None:
            return default
        wrong = check(value)
        if wrong is not None:
            self.problem(key, f"{wrong}, not {describe(value)}")
            return default
        return value

    def integer(self, key: str, default: int | None, minimum: int, maximum: int = 2**53) -> int | None:
        """A whole number; 3.0 counts as one, `true` does not."""

        def check(value: Any) -> str | None:
            whole = is_number(value) and float(value).is_integer()
            inside = whole and minimum <= value <= maximum
            bounds = f"from {minimum} to {maximum}" if maximum < 2**53 else f"of at least {minimum}"
            return None if inside else f"must be a whole number {bounds}"

        value = self.take(key, default, check)
        return None if value is None else int(value)

    def number(self, key: str, default: float, minimum: float, above: bool = False, below: float = math.inf) -> float:
        """A finite number ≥ `minimum` (> `minimum` when `above`) and < `below`."""

        def check(value: Any) -> str | None:
            if is_number(value) and minimum <= value < below and not (above and value == minimum):
                return None
            limit = f" and below {below:g}" if below < math.inf else ""
            return f"must be a number {'above' if above else 'of at least'} {minimum:g}{limit}"

        return float(self.take(key, default, check))

    def size(self, key: str, default: int | None) -> int | None:
        """A size in bytes: a whole number, or text such as `5GB` or `512MiB`; a bare `G` is a `GiB`."""
        value = self.take(key, None, lambda value: None if bytes_of(value) else "must be a size such as 5GB")
        return default if value is None else bytes_of(value)

    def flag(self, key: str, default: bool) -> bool:
        return self.take(key, default, lambda value: None if isinstance(value, bool) else "must be true or false")

    def text(self, key: str, default: str | None, required: bool = False) -> str | None:
        value = self.take(key, default, lambda value: None if isinstance(value, str) and value else "must be text")
        if required and self.values.get(key) is None:
            self.problem(key, "is required")
        return value

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        known = f"must be one of {', '.join(choices)}"
        return self.take(key, default, lambda value: None if value in choices else known)

    def finish(self, hint: str) -> None:
        """Report every key that was not asked for."""
        for key in self.values:
            if key not in self.known:
                self.problem(str(key), f"unknown {hint}; known are {', '.join(sorted(self.known))}")


def is_number(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        # A whole number beyond all floats.
        return False


UNIT_BYTES = {
    **{"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{
        unit + end: 1 << shift
        for unit, shift in (("K", 10), ("M", 20), ("G", 30), ("T", 40))
        for end in ("", "i", "iB")
    },
}


def bytes_of(value: object) -> int | None:
    """The bytes that a size of a spec means; None for what is no size, and for nothing at all."""
    if is_number(value):
        return int(value) if value > 0 and float(value).is_integer() else None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)", value) if isinstance(value, str) else None
    if found is None or found[2] not in UNIT_BYTES:
        return None
    return round(float(found[1]) * UNIT_BYTES[found[2]]) or None


def describe(value: object) -> str:
    """A value as an error message shows it: short."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def escape(key: str) -> str:
    """A key as one step of a JSON pointer (RFC 6901 §3)."""
    return key.replace("~", "~0").replace("/", "~1")
