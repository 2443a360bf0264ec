"""From rewards to advantages: reward scaling, overlong shaping, and the baselines of a group. No model, only
numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: What is added to a standard deviation before dividing by it.
EPSILON = 1e-6


@dataclass(frozen=True)
class RewardScaling:
    """A linear map of rewards from one range to another; what lies outside of the first is clamped to it."""

    source_min: float
    source_max: float
    target_min: float
    target_max: float

    def apply(self, reward: float) -> float:
        inside = min(max(reward, self.source_min), self.source_max)
        share = (inside - self.source_min) / (self.source_max - self.source_min)
        return self.target_min + share * (self.target_max - self.target_min)


@dataclass(frozen=True)
class Overlong:
    """DAPO's soft punishment of long answers (Yu et al. 2025, equation 13), without a lower bound as in NeMo RL.

    Lengths are in tokens of the completion.
    """

    buffer: int
    penalty: float
    max_response_length: int

    def apply(self, reward: float, length: int) -> float:
        beyond = length - (self.max_response_length - self.buffer)
        return reward + min(-beyond / self.buffer * self.penalty, 0.0)


def shaped(
    reward: float,
    length: int,
    truncated: bool,
    scaling: RewardScaling | None,
    overlong: Overlong | None,
    stop_properly: float | None,
) -> float:
    """The reward that enters the advantage: scaled, and then shaped by the answer's length (tokens).

    `stop_properly` is the factor of truncated answers; where it is given the overlong punishment is passed over.
    """
    if scaling is not None:
        reward = scaling.apply(reward)
    if stop_properly is not None:
        return reward * stop_properly if truncated else reward
    return overlong.apply(reward, length) if overlong is not None else reward


def group_advantages(
    rewards: Sequence[float], leave_one_out: bool, normalize: bool, valid: Sequence[bool] | None = None
) -> list[float]:
    """The advantages of all responses to one prompt, as NeMo RL computes them.

    The baseline of a response is the mean reward of the others (`leave_one_out`) or of all, over the valid ones. With
    `normalize` the difference is divided by their standard deviation (of a sample: the divisor is q − 1), where that is
    above zero; so the lone winner of a group keeps its plain difference under leave-one-out. A group with no more than
    one valid response has no baseline, and all its advantages are zero.
    """
    count = len(rewards)
    valid = [True] * count if valid is None else list(valid)
    if sum(valid) <= 1:
        return [0.0] * count
    found = []
    for index, reward in enumerate(rewards):
        members = [
            other
            for place, other in enumerate(rewards)
            if valid[place] and not (leave_one_out and place == index)
        ]
        q = len(members)
        mean = sum(members) / q
        # A single member has no deviation, and neither have equal ones, whose rounded mean may be another number.
        equal = q == 1 or min(members) == max(members)
        spread = 0.0 if equal else math.sqrt(sum((other - mean) ** 2 for other in members) / (q - 1))
        difference = reward - (members[0] if equal else mean)
        found.append(difference / (spread + EPSILON) if normalize and spread > 0 else difference)
    return found


def clipped(advantage: float, lower: float | None, upper: float | None) -> float:
    """An advantage within bounds; None is no bound."""
    if lower is not None:
        advantage = max(advantage, lower)
    return advantage if upper is None else min(advantage, upper)


def deviation(rewards: Sequence[float]) -> float:
    """The spread of a group's rewards; zero tells a prompt that nothing can be learned from."""
    if min(rewards) == max(rewards):
        # The mean of equal numbers may be rounded to another one.
        return 0.0
    mean = sum(rewards) / len(rewards)
    return math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / len(rewards))
