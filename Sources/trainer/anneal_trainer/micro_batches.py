"""Dynamic batching: a step's samples in micro-batches of like lengths, each within a budget of tokens."""

from __future__ import annotations

import torch

from .batching import DynamicBatching
from .errors import BadRequest
from .method import Samples


#: What has a column, and not a row, for each sample.
BY_COLUMN = ("rewards",)


def check_budget(rule: DynamicBatching, samples: Samples, sequences: int = 1) -> None:
    """Raise `BadRequest` where a sample alone is over the budget, once its length is rounded up.

    A sample of several `sequences` is a list of them, and takes as much as if all were as long as the longest.
    """
    rows = samples.dataset["input_ids"]
    longest = max((len(ids) for row in rows for ids in ([row] if sequences == 1 else row)), default=0)
    if sequences * rounded(longest, rule) > rule.tokens:
        times = "" if sequences == 1 else f"{sequences} × "
        detail = (
            f"a micro-batch may hold {rule.tokens} tokens, and a sample has {times}{longest} (a multiple of {rule.round}: "
            f"{times}{rounded(longest, rule)}); raise it, or lower max_length"
        )
        raise BadRequest.at("/params/dynamic_batching/tokens", detail)


def rounded(length: int, rule: DynamicBatching) -> int:
    """A length rounded up to a multiple of `round`."""
    return -(-length // rule.round) * rule.round


def divide(lengths: list[int], rule: DynamicBatching, sequences: int = 1, least: int = 1) -> list[list[int]]:
    """Places of samples by micro-batch: sorted by length, and greedily as many as count × longest ≤ budget allows.

    A sample of several `sequences` counts as so many of its length, which is that of the longest. There are at least `least`
    micro-batches, which must not be more than the samples: processes that share a step need equally many.
    """
    order = sorted(range(len(lengths)), key=lambda place: (lengths[place], place))
    parts: list[list[int]] = []
    for place in order:
        if parts and (len(parts[-1]) + 1) * sequences * rounded(lengths[place], rule) <= rule.tokens:
            parts[-1].append(place)
        else:
            parts.append([place])
    while len(parts) < least:
        index = max(range(len(parts)), key=lambda index: len(parts[index]))
        half = len(parts[index]) // 2
        parts[index : index + 1] = [parts[index][:half], parts[index][half:]]
    return parts


def cut(
    inputs: dict[str, torch.Tensor], parts: list[list[int]], lengths: list[int], rule: DynamicBatching, sequences: int = 1
) -> list[dict[str, torch.Tensor]]:
    """The micro-batches of a padded batch (rows × tokens, padded on the right), each without the padding it does not need."""
    width = inputs["attention_mask"].shape[1]
    micro = []
    for part in parts:
        longest = min(width, rounded(max(lengths[place] for place in part), rule))
        rows = [number * len(lengths) + place for number in range(sequences) for place in part]
        micro.append(
            {
                name: value[:, part] if name in BY_COLUMN else value[rows, :longest] if value.dim() > 1 else value[rows]
                for name, value in inputs.items()
            }
        )
    return micro
