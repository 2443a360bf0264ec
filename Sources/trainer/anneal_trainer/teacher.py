"""The teacher of a distillation: a frozen model over the student's vocabulary. Imports torch."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from .causal_lm import load_causal_lm
from .errors import BadRequest


def load_teacher(folder: Path, dtype: str, pointer: str) -> PreTrainedModel:
    """The model without gradients and dropout, on the device; `auto` is bfloat16 on a GPU that has it, else float32."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    if dtype == "auto":
        dtype = "bfloat16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"
    model = load_causal_lm(folder, getattr(torch, dtype), pointer, "teacher")
    return model.to(device).eval().requires_grad_(False)


def same_vocabulary(tokenizer: PreTrainedTokenizerBase, teacher: Path, pointer: str) -> None:
    """Raise `BadRequest` unless the teacher's tokenizer has the same tokens under the same numbers."""
    try:
        theirs = AutoTokenizer.from_pretrained(teacher, local_files_only=True).get_vocab()
    except Exception as error:
        # tokenizers raises bare Exception on a broken tokenizer.json.
        raise BadRequest.at(pointer, f"cannot load the tokenizer of the teacher {teacher}: {error}") from error
    ours = tokenizer.get_vocab()
    if ours == theirs:
        return
    differing = {token for token, _ in ours.items() ^ theirs.items()}
    differing = sorted(differing, key=lambda token: (ours.get(token, -1), token))
    first = differing[0]
    detail = (
        f"the teacher has another vocabulary than the model, and distillation compares them token by token: {len(theirs)} and "
        f"{len(ours)} tokens, {len(differing)} differ; {first!r} is {theirs.get(first, 'none')} for the teacher and "
        f"{ours.get(first, 'none')} for the model"
    )
    raise BadRequest.at(pointer, detail)


def padded(rows: list[list[int]], pad_id: int) -> dict[str, torch.Tensor]:
    """Token lists as a batch padded on the right: `input_ids` and `attention_mask`, (rows, longest)."""
    width = max(map(len, rows))
    return {
        "input_ids": torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in rows]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
    }
