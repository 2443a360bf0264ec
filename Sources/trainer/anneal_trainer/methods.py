"""The training methods by name, each in a module of its own. No torch until a run begins."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .method import Method

#: Method → the module and the class that bring it.
MODULES = {
    "sft": ("sft", "SupervisedFineTuning"),
    **dict.fromkeys(("dpo", "ipo", "rpo_sq", "rpo_bwd_kl", "rpo_fwd_kl"), ("preference", "PreferenceTraining")),
    "reward": ("reward", "RewardModelling"),
    "grpo": ("grpo", "GroupRelativePolicyOptimization"),
    "distill": ("distill", "Distillation"),
    "pretrain": ("pretrain", "Pretraining"),
}
NAMES = tuple(MODULES)


def load(name: str) -> type[Method]:
    """The class of a method. Its module imports no torch; what it trains with is imported when the run begins."""
    module, found = MODULES[name]
    return getattr(importlib.import_module(f".{module}", __package__), found)
