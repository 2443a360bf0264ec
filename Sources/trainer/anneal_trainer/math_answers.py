"""Whether mathematical answers are equal: text and numbers here, the rest by math-verify in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .answers import canonical_number
from .errors import EXIT_FAILED, WorkerError
from .grade import CHOICES, without_decoration

#: Seconds for one pair, and how many pairs are remembered between rollouts.
LIMIT_SECONDS = 10.0
MEMORY_PAIRS = 65_536


class MathGrader:
    """Judges pairs of expected answer and answer, and remembers them."""

    def __init__(self):
        self.known: dict[tuple[str, str], bool] = {}

    def equal(self, pairs: Sequence[tuple[str, str | None]]) -> list[bool]:
        """For each pair whether its answer is right; an answer that is None is not."""
        open_pairs = []
        for pair in dict.fromkeys(pairs):
            if pair[1] is None or pair in self.known:
                continue
            decided = plainly_equal(*pair)
            if decided is None:
                open_pairs.append(pair)
            else:
                self.known[pair] = decided
        if open_pairs:
            self.known |= zip(open_pairs, verified(open_pairs), strict=True)
        found = [answer is not None and self.known[truth, answer] for truth, answer in pairs]
        if len(self.known) > MEMORY_PAIRS:
            self.known.clear()
        return found


def plainly_equal(expected: str, answer: str) -> bool | None:
    """True or false where text and whole numbers tell it for certain; None where symbolic mathematics is needed."""
    if expected in CHOICES:
        return True if answer == expected else False if answer in CHOICES else None
    left, right = without_decoration(expected), without_decoration(answer)
    if left == right:
        return True
    numbers = canonical_number(left), canonical_number(right)
    if None in numbers or any("," in text and text.lstrip("+-").startswith("0") for text in (left, right)):
        return None
    if numbers[0] == numbers[1]:
        return True
    return None if "." in numbers[0] + numbers[1] else False


def verified(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """What `anneal_trainer.grade` says. It is another process: mathematics may take all time and all memory."""
    lines = [
        json.dumps({"id": place, "expected": truth, "answer": answer}) for place, (truth, answer) in enumerate(pairs)
    ]
    workers = min(len(pairs), os.cpu_count() or 1)
    package = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.grade", "--workers", str(workers), "--limit", str(LIMIT_SECONDS)],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise WorkerError(EXIT_FAILED, "grader_failed", f"anneal_trainer.grade ended with {done.returncode}: {last}")
    replies = {reply["id"]: reply["correct"] for reply in map(json.loads, done.stdout.splitlines())}
    return [replies[place] for place in range(len(pairs))]
