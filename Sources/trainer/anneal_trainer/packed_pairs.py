"""Batches of packs of preference pairs, and sums over their sequences. Imports torch."""

from __future__ import annotations

from typing import Any

import torch

from .chat_tokens import IGNORED
from .packed_samples import PackCollator, sequence_sums


class PackedPairCollator:
    """Makes batches of packs of pairs; a row without `seq_lengths` is a pair, and becomes a pack of one.

    Beside what `PackCollator` gives, whose `labels` are `response_labels` here, a batch of B pairs has `rewards` of shape
    [2, B], `reference_log_probs` of shape [2B] where the dataset has them (all chosen sides first), and `sequence_counts`,
    the number of sequences in each row of `input_ids`.
    """

    def __init__(self, packs: PackCollator):
        self.packs = packs

    def __call__(self, rows: list[dict]) -> dict[str, Any]:
        packs = [row if row.get("seq_lengths") else pack_of_one(row) for row in rows]
        batch: dict[str, Any] = self.packs(packs)
        batch["response_labels"] = batch.pop("labels")
        batch["rewards"] = by_side(packs, "rewards")
        if "reference_log_probs" in packs[0]:
            batch["reference_log_probs"] = by_side(packs, "reference_log_probs").reshape(-1)
        counts = [len(pack["seq_lengths"]) for pack in packs]
        batch["sequence_counts"] = [sum(counts)] if self.packs.flat else counts
        return batch


def pack_of_one(row: dict) -> dict:
    """A pair as a pack."""
    lists = {name: [token for side in row[name] for token in side] for name in ("input_ids", "labels")}
    numbers = {name: [row[name]] for name in ("rewards", "reference_log_probs") if name in row}
    return {**lists, **numbers, "seq_lengths": [len(ids) for ids in row["input_ids"]]}


def by_side(packs: list[dict], name: str) -> torch.Tensor:
    """A column of [chosen, rejected] for each pair of each pack, as one tensor of shape [2, pairs]."""
    return torch.tensor([both for pack in packs for both in pack[name]], dtype=torch.float32).T.contiguous()


def response_sums(values: torch.Tensor, inputs: dict) -> torch.Tensor:
    """Sums over each response of a value for each predicted token, (rows, tokens − 1): all chosen sides, then all rejected.

    `inputs` is a batch of `PairCollator`, with a sequence in each row, or of `PackedPairCollator`.
    """
    if "sequence_counts" not in inputs:
        return values.sum(dim=1)
    # Nothing predicts a row's first token.
    whole = torch.nn.functional.pad(values, (1, 0))
    sums = sequence_sums(whole, inputs["position_ids"], inputs["sequence_counts"])
    return sums.view(-1, 2).T.reshape(-1)


def response_tokens(inputs: dict) -> torch.Tensor:
    """How many tokens each response has, in the order of `response_sums`; shape [sequences]."""
    return response_sums((inputs["response_labels"][:, 1:] != IGNORED).long(), inputs)
