"""How likely a causal language model finds the tokens that are labelled."""

from __future__ import annotations

from typing import Any

import torch

from .packed_pairs import response_sums

#: What a model is told of a batch of pairs, packed or not.
MODEL_INPUTS = (
    *("input_ids", "attention_mask", "position_ids"),
    *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"),
)


def response_log_probs(model: Any, inputs: dict) -> torch.Tensor:
    """Σ over each response's labelled tokens of log π, of shape [sequences]: all chosen sides, then all rejected.

    `model` has TRL's fused head (`add_fused_lm_head`), which never holds the logits of all positions at once. `inputs`
    is a batch of `PairCollator` or `PackedPairCollator`.
    """
    outputs = model(
        **{name: inputs[name] for name in MODEL_INPUTS if name in inputs},
        labels=inputs["response_labels"],
        use_cache=False,
        fused_lm_head=True,
    )
    return response_sums(outputs.log_probs.float(), inputs)
