"""What the trainers over pairs of responses share: sums over pairs, and the metrics that are made of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch

from .trainer import AnnealTrainer


class PairRun(AnnealTrainer):
    """The loss is the mean over the global batch's pairs, however many of them each micro-batch and each process has."""

    SEQUENCES = 2
    #: `compute_loss` gives a micro-batch's share of that mean, so transformers has nothing to divide.
    loss_is_scaled_for_ga = True

    #: What is summed up over pairs: `pairs`, and what `pair_metrics` is made of.
    SUMS: ClassVar[tuple[str, ...]]
    #: The sums of the step so far, of shape [len(SUMS)], on the device.
    sums: torch.Tensor | float = 0.0

    @abstractmethod
    def pair_loss(self, model: Any, inputs: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of a micro-batch, and the sums of `SUMS` over its pairs, of shape [len(SUMS)]."""

    @abstractmethod
    def pair_metrics(self, means: dict[str, float], pairs: float) -> dict[str, float]:
        """The metrics, `loss` and `acc` among them, from means over so many pairs."""

    def compute_loss(
        self, model: Any, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        loss, sums = self.pair_loss(model, inputs)
        self.sums = self.sums + sums
        # The processes' gradients are averaged, and each has its own pairs only.
        return loss * (inputs["rewards"].shape[1] * self.accelerator.num_processes / num_items_in_batch)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> float:
        """The pairs of the global batch, over all processes."""
        return self.over_ranks(sum(inputs["rewards"].shape[1] for inputs in batch_samples), "sum")

    def step_values(self) -> dict[str, float]:
        totals = {name: self.over_ranks(value, "sum") for name, value in zip(self.SUMS, self.sums, strict=True)}
        self.sums = 0.0
        means = {name: total / totals["pairs"] for name, total in totals.items()}
        return {f"train/{name}": value for name, value in self.pair_metrics(means, totals["pairs"]).items()}

    def log_words(self, values: dict[str, float]) -> str:
        gap = values["train/rewards_chosen_mean"] - values["train/rewards_rejected_mean"]
        return f"acc {values['train/acc']:.3f}  margin {gap:.4f}"

    def validation_batch(self, rows: list[dict]) -> tuple[dict[str, float], float]:
        _, sums = self.pair_loss(self.model, self._prepare_inputs(self.data_collator(rows)))
        return dict(zip(self.SUMS, (sums / len(rows)).tolist(), strict=True)), float(len(rows))

    def validation_result(self, means: dict[str, float], weight: float) -> dict[str, float]:
        values = self.pair_metrics(means, weight)
        return {"val_loss": values["loss"], "val_acc": values["acc"], **values}


def summed(*columns: torch.Tensor) -> torch.Tensor:
    """The sums of columns of one number a pair, in float64."""
    return torch.stack([column.double().sum() for column in columns])
