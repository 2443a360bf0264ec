"""How many steps a run has, what each step's learning rate is, and in which order the samples come. No torch."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence


def total_steps(per_epoch: int, epochs: int, max_steps: int | None) -> int:
    """min(epochs × steps per epoch, max_steps)."""
    steps = epochs * per_epoch
    return steps if max_steps is None else min(steps, max_steps)


def steps_for_tokens(order: Iterator[int], tokens: Sequence[int], global_batch_size: int, budget: int) -> int | None:
    """The first step (from 1) by which so many tokens are seen; None where the order ends before.

    `tokens` are those with loss of each sample, `order` the samples of the run.
    """
    seen = 0
    for place, sample in enumerate(order):
        seen += tokens[sample]
        if seen >= budget:
            return place // global_batch_size + 1
    return None


def learning_rate(step: int, total: int, schedule: str, peak: float, floor: float, warmup: int) -> float:
    """The rate of the step with this index (0-based).

    Warm-up rises as peak × (step + 1) / (warmup + 1), as in NeMo; then the rate is constant, or falls to `floor` by
    a line or half a cosine over the steps that are left. A run that is shorter than its warm-up never falls.
    """
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if schedule == "constant":
        return peak
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    left = 1 - done if schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return floor + (peak - floor) * left


def sample_order(samples: int, global_batch_size: int, steps: int, shuffle: bool, seed: int) -> Iterator[int]:
    """The sample indices of a whole run, step after step: `steps × global_batch_size` of them.

    Each epoch has a permutation of its own, made from (seed, epoch) alone, so that the order at any step is known
    without replaying the ones before it and does not depend on any other use of random numbers.
    """
    steps_per_epoch = samples // global_batch_size
    for epoch in range(math.ceil(steps / steps_per_epoch)):
        order = list(range(samples))
        if shuffle:
            random.Random(f"{seed}/{epoch}").shuffle(order)
        steps_here = min(steps_per_epoch, steps - epoch * steps_per_epoch)
        yield from order[: steps_here * global_batch_size]
