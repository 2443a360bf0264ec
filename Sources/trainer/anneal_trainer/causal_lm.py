"""Load a causal language model from its folder. Imports torch."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from .errors import BadRequest


def load_causal_lm(folder: Path, dtype: torch.dtype, pointer: str, name: str = "model") -> PreTrainedModel:
    """Its weights in a type. Raises `BadRequest` at `pointer`, which names the folder, where it cannot be loaded."""
    try:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadRequest.at(pointer, f"cannot load the {name} {folder}: {error}") from error
