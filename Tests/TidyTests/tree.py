"""The files of the project, as the rules see them."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from swift_source import SwiftSource


@dataclass(frozen=True)
class Finding:
    """One breach of a rule."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Tree:
    """A folder's files, by path from its top. Files that are no text have no content here."""

    def __init__(self, files: dict[str, str]):
        self._files = files
        self._swift: dict[str, SwiftSource] = {}

    @staticmethod
    def of(root: pathlib.Path) -> Tree:
        """What git has or would take: neither build folders nor ignored files."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True
        ).stdout.split("\0")
        files = {}
        for path in sorted(set(filter(None, listed))):
            if (root / path).is_file():
                try:
                    files[path] = (root / path).read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    files[path] = ""
        return Tree(files)

    @property
    def paths(self) -> list[str]:
        return list(self._files)

    def read(self, path: str) -> str | None:
        return self._files.get(path)

    def texts(self, *endings: str, under: str = "") -> Iterator[tuple[str, str]]:
        """Paths and contents; with `endings` only files that end so."""
        for path, text in self._files.items():
            if path.startswith(under) and (not endings or path.endswith(endings)):
                yield path, text

    def swift(self, under: str = "") -> Iterator[tuple[str, SwiftSource]]:
        """Paths and Swift sources, each read once."""
        for path, text in self.texts(".swift", under=under):
            if path not in self._swift:
                self._swift[path] = SwiftSource(text)
            yield path, self._swift[path]
