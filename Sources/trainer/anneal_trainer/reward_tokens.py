"""Texts with numbers as token ids, and batches of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from datasets import Dataset

from .chat_tokens import ChatTokenizer
from .data import Conversation
from .errors import BadData, Problem, counted
from .loading import end_token_ids
from .method import Samples
from .preference_tokens import padded
from .reward_data import LabelledText

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def labelled_samples(
    tokenizer: PreTrainedTokenizerBase, model: Path, records: list[LabelledText], limit: int
) -> Samples:
    """The records of fewer than `limit` tokens, with the columns `input_ids` and `labels`. Raises `BadData` with all
    that cannot be tokenised."""
    chat = ChatTokenizer(tokenizer, only_final_turn=True, end_ids=end_token_ids(model))
    rows: dict[str, list] = {"input_ids": [], "labels": []}
    dropped: list[int] = []
    problems: list[Problem] = []
    for record in records:
        try:
            ids = encode(chat, record)
        except BadData as error:
            problems += error.problems
            continue
        if len(ids) >= limit:
            dropped.append(record.line)
        else:
            rows["input_ids"].append(ids)
            rows["labels"].append(record.labels)
    if problems:
        raise BadData(f"{counted(len(problems), 'record')} cannot be tokenised; the first: {problems[0]}", problems)
    return Samples(Dataset.from_dict(rows), dropped)


def encode(chat: ChatTokenizer, record: LabelledText) -> list[int]:
    """The ids of a record's text as it is, or of its messages under the chat template."""
    if record.messages is not None:
        return chat.encode(Conversation(record.line, record.messages))[0]
    ids = chat.tokenizer(record.text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise BadData("is empty", [Problem("is empty", "/text", record.line)])
    return ids


class LabelledCollator:
    """Batches of B texts: `input_ids` and `attention_mask` of shape [B, length], `labels` of shape [B, numbers]."""

    def __init__(self, pad_id: int):
        self.pad_id = pad_id

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        ids = [row["input_ids"] for row in rows]
        return {
            "input_ids": padded(ids, self.pad_id),
            "attention_mask": padded([[1] * len(each) for each in ids], 0),
            "labels": torch.tensor([row["labels"] for row in rows], dtype=torch.float32),
        }
