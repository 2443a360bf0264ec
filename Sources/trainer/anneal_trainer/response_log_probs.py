"""How likely a causal language model finds the tokens that are labelled."""

from __future__ import annotations

from typing import Any

import torch


def response_log_probs(model: Any, inputs: dict) -> torch.Tensor:
    """Σ over each row's labelled tokens of log π, of shape [rows].

    `model` has TRL's fused head (`add_fused_lm_head`), which never holds the logits of all positions at once. `inputs`
    has `input_ids`, `attention_mask` and `response_labels` of shape [rows, length].
    """
    outputs = model(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        labels=inputs["response_labels"],
        use_cache=False,
        fused_lm_head=True,
    )
    return outputs.log_probs.float().sum(dim=1)
