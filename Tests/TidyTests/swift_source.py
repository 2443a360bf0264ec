"""Reads Swift just well enough to judge its style: what is code, what is comment, where functions begin and end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_DECLARATION = re.compile(r"(?<![\w.])(func\s+[^\s(<]+|init[?!]?(?=\s*[<(])|deinit|subscript(?=\s*[<(]))")
_STOPS = re.compile(r"(?<![\w.])(func|var|let|init|deinit|subscript|case|struct|class|enum|actor|protocol|extension|typealias)\b")
_ATTRIBUTES = re.compile(r"^(\s*@\w+(\([^()]*\))?)+\s*")
_PUBLIC = re.compile(r"^\s*(?:public|open)\s+(?!import)(?P<rest>.*)$")
_MODIFIERS = re.compile(
    r"^(?:(?:private|internal|package|public)\(set\) |nonisolated(?:\(\w+\))? |static |class (?=func|var|let)|final |mutating |consuming |"
    r"override |convenience |lazy |indirect |weak |unowned |required )*"
)
_KIND = re.compile(r"(func|var|let|init|struct|class|enum|actor|protocol|typealias|subscript|extension|macro)\b[\s(]*(?P<name>[^\s:(<{=]*)")


@dataclass
class Function:
    """A function, initializer or subscript with a body."""

    name: str
    line: int
    lines: int


@dataclass
class Public:
    """A public declaration."""

    kind: str
    name: str
    line: int
    documented: bool


@dataclass
class SwiftSource:
    """A Swift file. `code` is its text with comments and the contents of strings blanked, position by position."""

    text: str
    code: str = ""
    #: Comment text by line, from 1.
    comments: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.code = _Lexer(self.text, self.comments).blanked()

    @property
    def code_lines(self) -> list[str]:
        return self.code.split("\n")

    def has_comment(self, line: int) -> bool:
        """True where the line or the one above it carries a comment."""
        return bool(self.comments.get(line, "").strip() or self.comments.get(line - 1, "").strip())

    def functions(self) -> list[Function]:
        """All functions that have a body, those inside others included."""
        found = []
        for match in _DECLARATION.finditer(self.code):
            start = self._body_start(match.end())
            if start is None:
                continue
            first = self.code.count("\n", 0, match.start()) + 1
            last = self.code.count("\n", 0, self._closing(start)) + 1
            found.append(Function(match.group(1).removeprefix("func").strip(), first, last - first + 1))
        return found

    def _body_start(self, position: int) -> int | None:
        depth = 0
        while position < len(self.code):
            character = self.code[position]
            if character in "([":
                depth += 1
            elif character in ")]":
                depth -= 1
            elif depth == 0 and character == "{":
                return position
            elif depth < 0 or depth == 0 and (character == "}" or _STOPS.match(self.code, position)):
                return None
            position += 1
        return None

    def _closing(self, start: int) -> int:
        depth = 0
        for position in range(start, len(self.code)):
            if self.code[position] == "{":
                depth += 1
            elif self.code[position] == "}":
                depth -= 1
                if depth == 0:
                    return position
        return len(self.code)

    def publics(self) -> list[Public]:
        """All public declarations."""
        found = []
        lines = self.code_lines
        for index, line in enumerate(lines):
            match = _PUBLIC.match(_ATTRIBUTES.sub("", line))
            declared = match and _KIND.match(_MODIFIERS.sub("", match["rest"]))
            if declared and declared[1] != "extension":
                found.append(Public(declared[1], declared["name"], index + 1, self._documented(index, lines)))
        return found

    def _documented(self, index: int, lines: list[str]) -> bool:
        original = self.text.split("\n")
        above = index - 1
        while above >= 0 and re.fullmatch(r"\s*@.*", lines[above]):
            above -= 1
        return above >= 0 and original[above].strip().startswith(("///", "*/"))


class _Lexer:
    """Blanks comments and the contents of strings; interpolations stay code."""

    def __init__(self, text: str, comments: dict[int, str]):
        self.text = text
        self.comments = comments
        self.out = list(text)
        self.position = 0
        self.line = 1

    def blanked(self) -> str:
        while self.position < len(self.text):
            self.step()
        return "".join(self.out)

    def step(self) -> None:
        """Goes past one comment, one string or one character of code."""
        text, here = self.text, self.position
        if text.startswith("//", here):
            end = text.find("\n", here)
            self.comment(len(text) if end < 0 else end)
        elif text.startswith("/*", here):
            self.comment(self.block_end())
        elif match := re.compile(r'(#*)("""|")').match(text, here):
            self.string(match[1], match[2])
        else:
            self.advance(here + 1)

    def advance(self, end: int) -> None:
        self.line += self.text.count("\n", self.position, end)
        self.position = end

    def blank(self, start: int, end: int) -> None:
        for index in range(start, end):
            if self.out[index] != "\n":
                self.out[index] = " "

    def comment(self, end: int) -> None:
        start = self.position
        for offset, part in enumerate(self.text[start:end].split("\n")):
            self.comments[self.line + offset] = self.comments.get(self.line + offset, "") + part.strip("/* \t")
        self.blank(start, end)
        self.advance(end)

    def block_end(self) -> int:
        """Comments in blocks nest in Swift."""
        depth, index = 0, self.position
        while index < len(self.text):
            if self.text.startswith("/*", index):
                depth, index = depth + 1, index + 2
            elif self.text.startswith("*/", index):
                depth, index = depth - 1, index + 2
                if depth == 0:
                    return index
            else:
                index += 1
        return len(self.text)

    def string(self, hashes: str, quote: str) -> None:
        self.advance(self.position + len(hashes) + len(quote))
        closing, escape = quote + hashes, "\\" + hashes
        while self.position < len(self.text):
            here = self.position
            if self.text.startswith(closing, here):
                self.advance(here + len(closing))
                return
            if self.text.startswith(escape + "(", here):
                self.blank(here, here + len(escape))
                self.advance(here + len(escape) + 1)
                self.interpolation()
            elif self.text.startswith(escape, here):
                end = min(here + len(escape) + 1, len(self.text))
                self.blank(here, end)
                self.advance(end)
            elif quote == '"' and self.text[here] == "\n":
                return  # An unclosed string: the compiler's business.
            else:
                self.blank(here, here + 1)
                self.advance(here + 1)

    def interpolation(self) -> None:
        depth = 1
        while self.position < len(self.text) and depth > 0:
            character = self.text[self.position]
            if character == "(":
                depth += 1
            elif character == ")":
                depth -= 1
            self.step()
