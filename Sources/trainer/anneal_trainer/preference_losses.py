"""The losses of preference training: of one pair's margin Δ = r_chosen − r_rejected, and of the rewards that are given.

r = Σ over the response's tokens of log π − log π_ref (or their mean). The formulas are NeMo-Aligner's
(`megatron_gpt_dpo_model.py`): β is its `ref_policy_kl_penalty`, g = η (R_chosen − R_rejected) with η its
`gt_reward_scale`. Every loss takes and returns tensors of one shape, one value per pair, and stays finite with a finite
gradient wherever Δ, β and g are finite, because no logarithm is taken of a probability that may be rounded to 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import logsigmoid

Loss = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]


def dpo(delta: torch.Tensor, reward_gap: torch.Tensor, beta: float) -> torch.Tensor:
    """−ln σ(βΔ)."""
    return -logsigmoid(beta * delta)


def ipo(delta: torch.Tensor, reward_gap: torch.Tensor, beta: float) -> torch.Tensor:
    """(Δ − 1/(2β))²: Δ itself is not scaled."""
    return (delta - 1 / (2 * beta)).square()


def rpo_sq(delta: torch.Tensor, reward_gap: torch.Tensor, beta: float) -> torch.Tensor:
    """(βΔ − g)²."""
    return (beta * delta - reward_gap).square()


def rpo_bwd_kl(delta: torch.Tensor, reward_gap: torch.Tensor, beta: float) -> torch.Tensor:
    """KL(a ‖ b) of two coins with a = σ(g), b = σ(βΔ)."""
    return bernoulli_kl(reward_gap, beta * delta)


def rpo_fwd_kl(delta: torch.Tensor, reward_gap: torch.Tensor, beta: float) -> torch.Tensor:
    """KL(b ‖ a) of two coins with a = σ(g), b = σ(βΔ)."""
    return bernoulli_kl(beta * delta, reward_gap)


def bernoulli_kl(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """KL(σ(first) ‖ σ(second)) = p ln(p/q) + (1−p) ln((1−p)/(1−q)), from the logits, where ln σ is exact."""
    heads = torch.sigmoid(first) * (logsigmoid(first) - logsigmoid(second))
    tails = torch.sigmoid(-first) * (logsigmoid(-first) - logsigmoid(-second))
    return heads + tails


#: Method → its loss of (Δ, g, β).
LOSSES: dict[str, Loss] = {
    "dpo": dpo,
    "ipo": ipo,
    "rpo_sq": rpo_sq,
    "rpo_bwd_kl": rpo_bwd_kl,
    "rpo_fwd_kl": rpo_fwd_kl,
}
