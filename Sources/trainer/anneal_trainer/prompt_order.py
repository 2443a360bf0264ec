"""Which prompts a rollout asks: a shuffled pass over the data, or a curriculum from easy to hard. No torch."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Curriculum:
    """How prompts are drawn by their pass rates (Llama-Nemotron, arXiv:2505.00949, section 5.1)."""

    #: The field of a record that holds its pass rate, from 0 (never solved) to 1.
    field: str = "pass_rate"
    #: The standard deviation of the target distribution, in pass rate.
    width: float = 0.125
    #: How many levels of equal width pass rates are put into; None takes each pass rate that occurs.
    levels: int | None = None
    #: Prompts of this pass rate and above are left out as too easy; None keeps all.
    discard_from: float | None = None

    def level(self, rate: float) -> float:
        """The centre of the level of a pass rate."""
        if self.levels is None:
            return rate
        return (min(self.levels - 1, int(rate * self.levels)) + 0.5) / self.levels


class PromptOrder:
    """Draws batches of prompts. The n-th draw depends on the seed and on the draws before it alone.

    What was drawn so far is told by `draws`, the progress of the run at each draw, which a checkpoint keeps: a
    resumed run
    draws the same again and goes on from there.
    """

    def __init__(
        self,
        count: int,
        size: int,
        seed: int,
        shuffle: bool = True,
        curriculum: Curriculum | None = None,
        rates: Sequence[float] = (),
    ):
        self.count = count
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self.curriculum = curriculum
        self.rates = rates
        self.draws: list[float] = []
        self.passes = 0
        self.pools: list[tuple[float, list[int]]] = []

    def draw(self, progress: float) -> list[int]:
        """The indices of the next prompts; `progress` is the share of the run that is done, from 0 to 1."""
        self.draws.append(progress)
        drawn: list[int] = []
        while len(drawn) < self.size:
            if not any(pool for _, pool in self.pools):
                self.fill()
            wanted = min(self.size - len(drawn), sum(len(pool) for _, pool in self.pools))
            for amount, (_, pool) in zip(self.amounts(progress, wanted), self.pools, strict=True):
                drawn += [pool.pop() for _ in range(amount)]
        if self.curriculum is not None:
            random.Random(f"{self.seed}/draw/{len(self.draws)}").shuffle(drawn)
        return drawn

    def replay(self, draws: Sequence[float]) -> None:
        """Come to where an earlier attempt was."""
        for progress in draws:
            self.draw(progress)

    def fill(self) -> None:
        """Begin another pass over the data: each prompt once, by level."""
        levels: dict[float, list[int]] = {}
        for index in range(self.count):
            level = self.curriculum.level(self.rates[index]) if self.curriculum is not None else 0.0
            levels.setdefault(level, []).append(index)
        self.pools = sorted(levels.items())
        for level, pool in self.pools:
            if self.shuffle:
                random.Random(f"{self.seed}/{self.passes}/{level}").shuffle(pool)
            # Prompts are taken from the end.
            pool.reverse()
        self.passes += 1

    def amounts(self, progress: float, wanted: int) -> list[int]:
        """How many prompts each level gives: a Gaussian around a centre that moves from the easiest level to the
        hardest,
        limited by what a level has left; what is missing comes from the levels with the most left."""
        left = [len(pool) for _, pool in self.pools]
        if self.curriculum is None or len(left) == 1:
            return [wanted] + [0] * (len(left) - 1)
        centres = [level for level, _ in self.pools]
        centre = centres[-1] + (centres[0] - centres[-1]) * progress
        distances = [(level - centre) ** 2 for level in centres]
        # Taken from the nearest level, so that a narrow Gaussian between two levels does not vanish.
        nearest = min(distances)
        weights = [math.exp(-(distance - nearest) / (2 * self.curriculum.width**2)) for distance in distances]
        shares = [weight / sum(weights) * wanted for weight in weights]
        amounts = [int(share) for share in shares]
        by_remainder = sorted(range(len(shares)), key=lambda level: (amounts[level] - shares[level], -level))
        for level in by_remainder[: wanted - sum(amounts)]:
            amounts[level] += 1
        amounts = [min(amount, have) for amount, have in zip(amounts, left, strict=True)]
        while sum(amounts) < wanted:
            fullest = max(range(len(left)), key=lambda level: (left[level] - amounts[level], level))
            amounts[fullest] += 1
        return amounts
