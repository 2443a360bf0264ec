"""What the loss of method `grpo` was made of, as metrics of a step: sums over micro-batches and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .rl_loss import kl_estimate
from .rl_loss_rules import LossRules

if TYPE_CHECKING:
    from .trainer import AnnealTrainer


class LossValues:
    """Sums per token and per sequence, and extremes, of the step that is under way. The names are NeMo RL's."""

    def __init__(self, rules: LossRules):
        self.rules = rules
        self.clear()

    def clear(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.lows: dict[str, Tensor] = {}
        self.highs: dict[str, Tensor] = {}

    def add(self, policy: Tensor, old: Tensor, generator: Tensor, mask: Tensor, parts: dict[str, Tensor]) -> None:
        """Take in one micro-batch; all are [B, T]."""
        kept = mask > 0
        difference = (old - generator) * mask
        error = torch.exp(difference.abs())
        mixture = torch.log((torch.exp(old) + torch.exp(generator)) / 2)
        per_token = {
            "train/probs_ratio": parts["ratios"],
            "train/probs_ratio_clamped": parts["clamped"],
            "train/token_mult_prob_error": error,
            # KL(generator ‖ policy) and the reverse, both by k3 on the generator's tokens.
            "train/gen_kl_error": kl_estimate(generator, old, "k3", None, None),
            "train/policy_kl_error": kl_estimate(old, generator, "k3", None, None),
            "train/js_divergence_error": (
                kl_estimate(generator, mixture, "k3", None, None) + kl_estimate(old, mixture, "k3", None, None)
            )
            / 2,
            # −Σ p log p, from tokens that the generator drew.
            "train/approx_entropy": -torch.exp(policy - generator) * policy,
        }
        if "kl" in parts:
            per_token["train/kl_penalty"] = parts["kl"]
        if self.rules.importance_correction != "none":
            per_token["train/sampling_importance_ratio"] = parts["weights"]
            per_token["train/is_oob_ratio"] = parts["outside"].float()
        self.plus("tokens", mask.sum())
        for name, values in per_token.items():
            self.plus(name, torch.where(kept, values, torch.zeros_like(values)).sum())
        for name in ("probs_ratio", "probs_ratio_clamped"):
            self.extreme(f"train/{name}", per_token[f"train/{name}"], kept)
        sequences = kept.any(-1)
        mean = (error * mask).sum(-1) / mask.sum(-1).clamp(min=1)
        self.plus("sequences", sequences.sum())
        self.plus("train/mean_seq_mult_prob_error", torch.where(sequences, mean, 0.0).sum())
        self.extreme("train/seq_mult_prob_error", mean, sequences)

    def plus(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value.detach().double()

    def extreme(self, name: str, values: Tensor, kept: Tensor) -> None:
        """Note the least and the greatest of those that are kept. Without picking them out, for which a GPU would be waited for."""
        if values.numel():
            low = torch.where(kept, values, torch.inf).min().double()
            high = torch.where(kept, values, -torch.inf).max().double()
            self.lows[name] = torch.minimum(self.lows.get(name, low), low)
            self.highs[name] = torch.maximum(self.highs.get(name, high), high)

    def take(self, trainer: AnnealTrainer) -> dict[str, float]:
        """The step's metrics over all processes; the next step's sums begin."""
        sums = {name: trainer.over_ranks(value, "sum") for name, value in self.sums.items()}
        tokens, sequences = max(sums.pop("tokens", 0), 1), max(sums.pop("sequences", 0), 1)
        values = {name: value / (sequences if "seq_" in name else tokens) for name, value in sums.items()}
        values |= extremes(self.lows, "min", trainer) | extremes(self.highs, "max", trainer)
        self.clear()
        return values


def extremes(found: dict[str, Tensor], which: str, trainer: AnnealTrainer) -> dict[str, float]:
    """The least or the greatest of each over all processes: `…_min`, `…_max`, and `min_seq_…`, `max_seq_…`."""
    values = {}
    for name in ("train/probs_ratio", "train/probs_ratio_clamped", "train/seq_mult_prob_error"):
        missing = torch.tensor(float("inf" if which == "min" else "-inf"), device=trainer.args.device).double()
        all_of_them = trainer.accelerator.gather(found.get(name, missing).reshape(1))
        value = float(all_of_them.min() if which == "min" else all_of_them.max())
        if value not in (float("inf"), float("-inf")):
            values[f"train/{which}_seq_mult_prob_error" if "seq_" in name else f"{name}_{which}"] = value
    return values
