"""What is told about the rewards of many pairs, under NeMo-Aligner's names."""

from __future__ import annotations

from collections.abc import Mapping


def reward_statistics(means: Mapping[str, float], pairs: float) -> dict[str, float]:
    """The rewards' means and deviation from means over pairs: `chosen`, `rejected`, and `squares`, the sum of both
    sides' squares. The deviation is that of a sample of 2 × `pairs` rewards."""
    mean, responses = (means["chosen"] + means["rejected"]) / 2, 2 * pairs
    variance = (means["squares"] / 2 - mean * mean) * responses / max(responses - 1, 1)
    return {
        "rewards_chosen_mean": means["chosen"],
        "rewards_rejected_mean": means["rejected"],
        "rewards_all_mean": mean,
        # A variance of zero may come out a little below it. NaN stays NaN.
        "rewards_all_std": 0.0 if variance < 0 else variance**0.5,
    }
