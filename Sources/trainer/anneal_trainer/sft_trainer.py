"""TRL's SFTTrainer over samples that are tokenised already."""

from __future__ import annotations

from typing import Any

import torch
from trl import SFTConfig, SFTTrainer

from .arguments import configured
from .chat_tokens import IGNORED
from .packed_samples import PackCollator, pack_collator, sequences_of
from .request import TrainRequest
from .trainer import AnnealTrainer


class SFTRun(AnnealTrainer, SFTTrainer):
    """The loss is TRL's: Σ over the global batch's unmasked tokens of −log p, divided by their number over all
    micro-batches and ranks (`num_items_in_batch`)."""

    def count(self, inputs: dict) -> tuple[torch.Tensor, torch.Tensor]:
        learned = inputs["labels"][:, 1:] != IGNORED
        if "position_ids" not in inputs:
            return learned.any(dim=1).sum(), learned.sum()
        # Sequences are numbered from 1 and rise along a row: where the highest number so far changes, another one learns.
        seen = (sequences_of(inputs["position_ids"])[:, 1:] * learned).cummax(dim=1).values
        return (seen.diff(dim=1, prepend=seen.new_zeros(len(seen), 1)) > 0).sum(), learned.sum()

    def validation_batch(self, rows: list[dict]) -> tuple[dict[str, float], float]:
        inputs = self._prepare_inputs(self.data_collator(rows))
        return {"val_loss": float(self.compute_loss(self.model, inputs))}, float(self.count(inputs)[1])


def build(request: TrainRequest, options: dict[str, Any]) -> SFTRun:
    """The trainer; what `options` holds is told at `loading.build_trainer`."""
    arguments = configuration(request, options.pop("arguments"))
    return SFTRun(args=arguments, **options, data_collator=collator(request, options))


def configuration(request: TrainRequest, arguments: dict[str, Any]) -> SFTConfig:
    """TRL's configuration: the arguments that all methods share, for samples that are tokenised."""
    return configured(
        SFTConfig,
        request.args,
        **arguments,
        max_length=None,
        # Tokens and labels are made already (chat_tokens.py); TRL would drop and cut samples in silence.
        dataset_kwargs={"skip_prepare_dataset": True},
        pad_to_multiple_of=None,
    )


def collator(request: TrainRequest, options: dict[str, Any]) -> PackCollator | None:
    """What makes batches of packs, for a model that keeps them apart; None, without packing, stands for TRL's own."""
    if request.batching.packing is None:
        return None
    return pack_collator([options["model"]], options["processing_class"].pad_token_id)
