"""TRL's SFTTrainer over samples that are tokenised already."""

from __future__ import annotations

from typing import Any

from trl import SFTConfig, SFTTrainer

from .chat_tokens import IGNORED
from .request import TrainRequest
from .trainer import AnnealTrainer


class SFTRun(AnnealTrainer, SFTTrainer):
    """The loss is TRL's: Σ over the global batch's unmasked tokens of −log p, divided by their number over all
    micro-batches and ranks (`num_items_in_batch`)."""

    def count(self, inputs: dict) -> tuple[int, int]:
        learned = inputs["labels"][:, 1:] != IGNORED
        return int(learned.any(dim=1).sum()), int(learned.sum())

    def validation_batch(self, rows: list[dict]) -> tuple[dict[str, float], float]:
        inputs = self._prepare_inputs(self.data_collator(rows))
        return {"val_loss": float(self.compute_loss(self.model, inputs))}, float(self.count(inputs)[1])


def build(request: TrainRequest, options: dict[str, Any]) -> SFTRun:
    """The trainer; what `options` holds is told at `loading.build_trainer`."""
    arguments = SFTConfig(
        **options.pop("arguments"),
        activation_checkpointing=request.gradient_checkpointing,
        max_length=None,
        # Tokens and labels are made already (chat_tokens.py); TRL would drop and cut samples in silence.
        dataset_kwargs={"skip_prepare_dataset": True},
        pad_to_multiple_of=None,
    )
    return SFTRun(args=arguments, **options)
