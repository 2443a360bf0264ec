"""Dynamic batching: a step's samples in micro-batches of like lengths, each within a budget of tokens."""

from __future__ import annotations

import torch

from .batching import DynamicBatching
from .errors import BadRequest
from .method import Samples


def check_budget(rule: DynamicBatching, samples: Samples) -> None:
    """Raise `BadRequest` where a sample alone is over the budget, once its length is rounded up."""
    longest = max(map(len, samples.dataset["input_ids"]), default=0)
    if rounded(longest, rule) > rule.tokens:
        detail = (
            f"a micro-batch may hold {rule.tokens} tokens, and a sample has {longest} (a multiple of {rule.round}: "
            f"{rounded(longest, rule)}); raise it, or lower max_length"
        )
        raise BadRequest.at("/params/dynamic_batching/tokens", detail)


def rounded(length: int, rule: DynamicBatching) -> int:
    """A length rounded up to a multiple of `round`."""
    return -(-length // rule.round) * rule.round


def divide(lengths: list[int], rule: DynamicBatching, least: int = 1) -> list[list[int]]:
    """Places of samples by micro-batch: sorted by length, and greedily as many as count × longest ≤ budget allows.

    At least `least` micro-batches, which must not be more than the samples: processes that share a step need equally many.
    """
    order = sorted(range(len(lengths)), key=lambda place: (lengths[place], place))
    parts: list[list[int]] = []
    for place in order:
        if parts and (len(parts[-1]) + 1) * rounded(lengths[place], rule) <= rule.tokens:
            parts[-1].append(place)
        else:
            parts.append([place])
    while len(parts) < least:
        index = max(range(len(parts)), key=lambda index: len(parts[index]))
        half = len(parts[index]) // 2
        parts[index : index + 1] = [parts[index][:half], parts[index][half:]]
    return parts


def cut(
    inputs: dict[str, torch.Tensor], parts: list[list[int]], lengths: list[int], rule: DynamicBatching
) -> list[dict[str, torch.Tensor]]:
    """The micro-batches of a padded batch (rows × tokens, padded on the right), each without the padding it does not need."""
    width = inputs["attention_mask"].shape[1]
    micro = []
    for part in parts:
        longest = min(width, rounded(max(lengths[place] for place in part), rule))
        micro.append({name: value[part, :longest] if value.dim() > 1 else value[part] for name, value in inputs.items()})
    return micro
