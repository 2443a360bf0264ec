"""Answers that the model in training writes to the prompts of a batch."""

from __future__ import annotations

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from .chat_tokens import IGNORED


def prompts_of(batch: dict[str, torch.Tensor]) -> list[list[int]]:
    """The tokens before the last answer of each row: before the last unbroken run of labels."""
    prompts = []
    for ids, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        end = max(place for place, label in enumerate(labels) if label != IGNORED)
        start = end
        while start and labels[start - 1] != IGNORED:
            start -= 1
        prompts.append(ids[: max(1, start)])
    return prompts


@torch.no_grad()
def answers(
    model: PreTrainedModel,
    batch: dict[str, torch.Tensor],
    tokenizer: PreTrainedTokenizerBase,
    end_ids: list[int],
    max_new_tokens: int,
    temperature: float,
    sharded: bool,
) -> tuple[list[list[int]], list[list[int]]]:
    """The prompts of a batch, and a sampled answer to each, up to and with the token that ends it.

    Where the model is `sharded` over processes, all go on until the last of them is done, because each step needs all.
    """
    prompts = prompts_of(batch)
    width = max(map(len, prompts))
    device, pad = batch["input_ids"].device, tokenizer.pad_token_id
    # Padded on the left, so that every prompt ends where its answer begins.
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    config = GenerationConfig(
        do_sample=True,
        temperature=temperature,
        top_k=0,
        top_p=1.0,
        max_new_tokens=max_new_tokens,
        pad_token_id=pad,
        eos_token_id=end_ids or None,
    )
    mode = model.training
    model.eval()
    try:
        written = model.generate(
            input_ids=ids, attention_mask=mask, generation_config=config, use_cache=True, synced_gpus=sharded
        )
    finally:
        model.train(mode)
    return prompts, [until_end(row, end_ids) for row in written[:, width:].tolist()]


def until_end(tokens: list[int], end_ids: list[int]) -> list[int]:
    """The tokens up to and with the first that ends an answer."""
    for place, token in enumerate(tokens):
        if token in end_ids:
            return tokens[: place + 1]
    return tokens


def with_answers(
    prompts: list[list[int]], written: list[list[int]], pad_id: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """A batch of prompts and answers, padded on the right, whose answers carry the loss."""
    width = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, written, strict=True))
    rows, labels, mask = [], [], []
    for prompt, answer in zip(prompts, written, strict=True):
        rest = width - len(prompt) - len(answer)
        rows.append([*prompt, *answer, *[pad_id] * rest])
        labels.append([IGNORED] * len(prompt) + answer + [IGNORED] * rest)
        mask.append([1] * (width - rest) + [0] * rest)
    columns = {"input_ids": rows, "labels": labels, "attention_mask": mask}
    return {name: torch.tensor(values, device=device) for name, values in columns.items()}
