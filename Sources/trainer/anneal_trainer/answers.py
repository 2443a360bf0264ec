"""Reading answers out of responses: the rules that `evaluate` grades by. No torch."""

from __future__ import annotations

import re

NUMBER = re.compile(r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d+))?")
THINK, END_THINK = "<think>", "</think>"
#: Words after which an answer names its choice.
CUES = ("answer is", "answer:", "answer：", "答えは", "答え:", "答え：", "正解は", "正解:", "正解：")
BRACKETS = set("()[]{}.,:;*\"'`$（）「」。、")
CHOICE_LETTERS = "ABCDEFGHIJ"


def after_reasoning(response: str) -> str | None:
    """The text after the last `</think>`, trimmed; None where the reasoning was begun and not ended."""
    if END_THINK in response:
        return response.rpartition(END_THINK)[2].strip()
    return None if THINK in response else response.strip()


def canonical_number(text: str) -> str | None:
    """A decimal number without plus sign, thousands separators and needless zeros; None for other text."""
    found = NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction = found[1], found[2].replace(",", "").lstrip("0") or "0", (found[3] or "").rstrip("0")
    number = whole + ("." + fraction if fraction else "")
    return ("-" if sign == "-" and number != "0" else "") + number


def is_equal(left: str, right: str) -> bool:
    """True for the same characters, and for the same number written differently, such as `1,000.0` and `1000`."""
    number = canonical_number(left)
    return left == right or (number is not None and number == canonical_number(right))


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{…}`, whose braces must be balanced."""
    start = text.rfind("\\boxed")
    if start < 0 or not text.startswith("{", start + 6):
        return None
    depth = 0
    for place in range(start + 6, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 7 : place]
    return None


def behind_hashes(text: str) -> str | None:
    """What stands behind the last `#### `, to the end of the line: how GSM8K marks its answers."""
    before, mark, rest = text.rpartition("#### ")
    return re.split(r"[\r\n]", rest)[0] if mark else None


def extracted(response: str, how: str) -> str | None:
    """The answer in a response behind its reasoning: all of the `text`, what is `boxed`, or what stands behind
    `hashes`."""
    text = after_reasoning(response)
    if text is None:
        return None
    found = {"text": lambda: text, "boxed": lambda: last_boxed(text), "hashes": lambda: behind_hashes(text)}[how]()
    return (found or "").strip() or None


def truth_in(expected: str) -> str:
    """The answer within an expected solution: in its last box, else behind its last hashes, else all of it."""
    return extracted(expected, "boxed") or extracted(expected, "hashes") or expected.strip()


def choice_label(text: str, like: str | None = None) -> str | None:
    """The digit, or the letter from A to J, that a multiple-choice answer gives; None where it gives none or several.

    In this order: the text is nothing but a label; a label follows the last cue such as "answer is"; the text starts
    with a
    label and a mark; exactly one label stands in it. With `like` only labels of its kind, digit or letter, count.
    """
    text = "".join(chr(ord(c) - 0xFEE0) if 0xFF01 <= ord(c) <= 0xFF5E else c for c in text)

    def label(character: str) -> bool:
        is_digit = character.isascii() and character.isdigit()
        return (is_digit or character in CHOICE_LETTERS) and (like is None or like.isdigit() == is_digit)

    bare = [c for c in text if c not in BRACKETS and not c.isspace()]
    if len(bare) == 1:
        for candidate in (bare[0], bare[0].upper()):
            if label(candidate):
                return candidate

    def labels(part: str) -> list[str]:
        def joins(place: int) -> bool:
            return 0 <= place < len(part) and part[place].isascii() and part[place].isalnum()

        return [c for place, c in enumerate(part) if label(c) and not joins(place - 1) and not joins(place + 1)]

    lowered = text.lower()
    ends = [lowered.rfind(cue) + len(cue) for cue in CUES if cue in lowered] if len(lowered) == len(text) else []
    if ends and (found := labels(text[max(ends) :])):
        return found[0]
    start = text.lstrip(" \t\r\n([（「*")
    number = start[1:2] == "." and start[2:3].isdigit()
    if len(start) > 1 and label(start[0]) and start[1] in ".):。]」" and not number:
        return start[0]
    alone = set(labels(text))
    return alone.pop() if len(alone) == 1 else None


def judgement(text: str) -> bool | None:
    """Whether a judge calls an answer right: what stands behind its last `Judgement:` starts with yes. None: it says
    nothing."""
    before, mark, rest = text.lower().rpartition("judgement:")
    return rest.lstrip(" \t\r\n*_\"").startswith("yes") if mark else None
