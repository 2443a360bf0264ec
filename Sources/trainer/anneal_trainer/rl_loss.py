"""The policy-gradient losses of GRPO and its relatives, on log-probabilities alone. Every function is pure.

Shapes: [B, T] for what is per token (B sequences, T tokens of the longest completion), [B] for what is per sequence.
Sources: NeMo RL's ClippedPGLossFn; GRPO (Shao et al. 2024), Dr. GRPO (Liu et al. 2025), DAPO (Yu et al. 2025), GSPO
(Zheng
et al. 2025), CISPO (MiniMax 2025), RLOO (Ahmadian et al. 2024), VAPO (Yue et al. 2025), dual clip (Ye et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .rl_loss_rules import KL_TYPES, LossRules


@dataclass(frozen=True)
class Whole:
    """The sizes of the whole global batch, over all micro-batches and processes, that the loss is divided by."""

    tokens: float
    sequences: float


def kl_estimate(
    policy: Tensor, reference: Tensor, kind: str, input_clamp: float | None = 20.0, output_clamp: float | None = 10.0
) -> Tensor:
    """The estimate of KL(policy ‖ reference) per token, from log-probabilities of the same shape."""
    x = reference - policy
    if input_clamp is not None:
        x = x.clamp(-input_clamp, input_clamp)
    if kind == "k1":
        kl = -x
    elif kind == "k2":
        kl = x * x / 2
    elif kind == "k3":
        kl = torch.exp(x) - 1 - x
    else:
        raise ValueError(f"unknown KL estimator {kind!r}; known are {', '.join(KL_TYPES)}")
    return kl if output_clamp is None else kl.clamp(-output_clamp, output_clamp)


def probability_ratios(policy: Tensor, old: Tensor, mask: Tensor, level: str) -> Tensor:
    """π / π_old: per token, or with `level` "sequence" the geometric mean over each sequence, the same on every token.

    The gradient of a sequence's ratio flows through all its tokens.
    """
    difference = (policy - old) * mask
    if level == "sequence":
        mean = difference.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
        difference = mean.expand_as(policy)
    return torch.exp(difference)


def importance_weights(old: Tensor, generator: Tensor, mask: Tensor, rules: LossRules) -> tuple[Tensor, Tensor]:
    """The weights π_old / π_generator per token after the correction, and which tokens it put out of bounds (0 or 1).

    `tis` cuts weights at the upper bound, `icepop` takes tokens outside of both bounds out, and `seq_mask_tis` takes
    whole sequences out whose geometric mean is outside, and leaves the others' as they are. A weight that is no number
    is zero.
    """
    raw = torch.nan_to_num(torch.exp((old - generator) * mask), nan=0.0, posinf=0.0, neginf=0.0)
    outside = (raw > rules.importance_max) | (raw < rules.importance_min)
    if rules.importance_correction == "tis":
        weights, outside = raw.clamp(max=rules.importance_max), raw > rules.importance_max
    elif rules.importance_correction == "icepop":
        weights = torch.where(outside, torch.zeros_like(raw), raw)
    elif rules.importance_correction == "seq_mask_tis":
        mean = torch.exp(((old - generator) * mask).sum(-1) / mask.sum(-1).clamp(min=1))
        kept = ((mean >= rules.importance_min) & (mean <= rules.importance_max)).unsqueeze(-1)
        weights, outside = raw * kept, ~kept.expand_as(raw)
    else:
        weights = torch.ones_like(raw)
    return weights, outside * mask


def objective(policy: Tensor, ratios: Tensor, advantages: Tensor, rules: LossRules) -> tuple[Tensor, Tensor]:
    """The loss per token before masks and weights, and the clamped ratios. `advantages` is [B, 1] or [B, T]."""
    clamped = ratios.clamp(1 - rules.ratio_clip_min, 1 + rules.ratio_clip_max)
    if rules.objective == "reinforce":
        return -advantages * policy, clamped
    if rules.objective == "cispo":
        return -clamped.detach() * advantages * policy, clamped
    loss = torch.maximum(-advantages * ratios, -advantages * clamped)
    if rules.ratio_clip_c is not None:
        loss = torch.where(advantages < 0, torch.minimum(loss, -advantages * rules.ratio_clip_c), loss)
    return loss, clamped


def reduce(values: Tensor, mask: Tensor, rules: LossRules, whole: Whole) -> Tensor:
    """A micro-batch's share of the loss of the whole batch; the shares of all micro-batches add up to it.

    `token`: the mean over all valid tokens. `sequence`: the mean over each sequence, then over sequences. `constant`:
    the sum
    over each sequence divided by the same length for all, then the mean over sequences (Dr. GRPO).
    """
    values = values * mask
    if rules.loss_level == "token":
        return values.sum() / max(whole.tokens, 1)
    lengths = mask.sum(-1).clamp(min=1) if rules.loss_level == "sequence" else float(rules.max_new_tokens)
    return (values.sum(-1) / lengths).sum() / max(whole.sequences, 1)


def policy_loss(
    policy: Tensor,
    old: Tensor,
    advantages: Tensor,
    mask: Tensor,
    rules: LossRules,
    whole: Whole,
    generator: Tensor | None = None,
    reference: Tensor | None = None,
    correct: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a micro-batch, and what it was made of, per token.

    `policy`, `old`, `generator`, `reference` are log-probabilities [B, T] of the tokens that were generated: under
    the weights
    that learn, those at the start of the rollout, the generating program's, and those of the model to stay near.
    `advantages` and `correct` (1 for answers that earned a reward) are [B]; `mask` is 1 on tokens with loss.
    """
    advantages = advantages.unsqueeze(-1)
    ratios = probability_ratios(policy, old, mask, rules.ratio_level)
    losses, clamped = objective(policy, ratios, advantages, rules)
    parts = {"ratios": ratios.detach(), "clamped": clamped.detach()}
    if generator is not None:
        weights, outside = importance_weights(old, generator, mask, rules)
        losses = losses * weights.detach()
        parts |= {"weights": weights.detach(), "outside": outside}
    if rules.positive_nll_weight and correct is not None:
        losses = losses - rules.positive_nll_weight * correct.unsqueeze(-1) * policy
    if reference is not None and rules.kl_penalty:
        kl = kl_estimate(policy, reference, rules.kl_type, rules.kl_input_clamp, rules.kl_output_clamp)
        losses = losses + rules.kl_penalty * kl
        parts["kl"] = kl.detach()
    return reduce(losses, mask, rules, whole), parts
