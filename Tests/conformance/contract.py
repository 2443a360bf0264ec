"""The contract, read for tests."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re

import yaml

PATH = pathlib.Path(__file__).resolve().parents[2] / "openapi.yaml"
METHODS = ("get", "post", "put", "patch", "delete")


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of the contract."""

    id: str
    method: str
    path: str
    statuses: frozenset[str]
    tags: frozenset[str] = frozenset()

    @property
    def is_foreign(self) -> bool:
        """True for an operation of a protocol that others define; the contract names it and leaves its forms to them."""
        return "tracking" in self.tags

    @property
    def pattern(self) -> re.Pattern:
        return re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(self.path)))


@functools.cache
def load() -> dict:
    """The contract; nobody changes it."""
    return yaml.safe_load(PATH.read_text())


def operations(contract: dict) -> list[Operation]:
    """Every operation; those of paths without parameters first, so that the first that matches a path is the right one."""
    found = [
        Operation(
            item[method]["operationId"], method.upper(), path, frozenset(item[method]["responses"]), frozenset(item[method]["tags"])
        )
        for path, item in contract["paths"].items()
        for method in METHODS
        if method in item
    ]
    return sorted(found, key=lambda operation: operation.path.count("{"))
