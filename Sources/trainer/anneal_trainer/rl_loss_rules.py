"""What the loss of method `grpo` is made of. No torch."""

from __future__ import annotations

from dataclasses import dataclass

#: Kinds of estimators of the KL divergence, as Schulman (2020) numbers them.
KL_TYPES = ("k1", "k2", "k3")
#: The weights against the mismatch of generator and trainer.
CORRECTIONS = ("none", "tis", "icepop", "seq_mask_tis")


@dataclass(frozen=True)
class LossRules:
    """What the loss is made of; the names are those of the method's parameters."""

    objective: str = "ppo"
    ratio_level: str = "token"
    loss_level: str = "token"
    ratio_clip_min: float = 0.2
    ratio_clip_max: float = 0.2
    ratio_clip_c: float | None = None
    kl_penalty: float = 0.01
    kl_type: str = "k3"
    kl_input_clamp: float | None = 20.0
    kl_output_clamp: float | None = 10.0
    importance_correction: str = "none"
    importance_min: float = 0.5
    importance_max: float = 2.0
    positive_nll_weight: float = 0.0
    #: The constant length of `loss_level: constant`, in tokens.
    max_new_tokens: int = 1
