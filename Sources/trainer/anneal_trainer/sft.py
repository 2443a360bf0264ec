"""Supervised fine-tuning: its parameter, its data, its trainer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .data import Conversation, read_conversations
from .method import Method, Samples

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .chat_tokens import ChatTokenizer
    from .fields import Fields
    from .job import Job
    from .request import TrainRequest
    from .trainer import AnnealTrainer


@dataclass(frozen=True)
class SFTSettings:
    """What only supervised fine-tuning has."""

    #: Learn the last assistant message alone.
    only_final_turn: bool


class SupervisedFineTuning(Method):
    """The cross entropy of what the assistant writes."""

    has_batching = True

    @classmethod
    def parse(cls, params: Fields, body: Fields, job: Job) -> SFTSettings:
        return SFTSettings(only_final_turn=params.flag("only_final_turn", False))

    def read(self) -> None:
        request = self.request
        self.records = read_conversations(request.dataset, "/dataset")
        self.validation = read_conversations(request.validation, "/validation") if request.validation else None

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.records), len(self.validation or ())

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[Samples, Samples | None]:
        from .chat_tokens import ChatTokenizer
        from .loading import end_token_ids

        chat = ChatTokenizer(tokenizer, self.request.settings.only_final_turn, end_token_ids(self.request.model))
        samples = batched(self.request, chat, self.records, limit)
        return samples, tokenized(chat, self.validation, limit) if self.validation else None

    def build(self, options: dict[str, Any]) -> AnnealTrainer:
        from .sft_trainer import build

        return build(self.request, options)


def batched(request: TrainRequest, chat: ChatTokenizer, records: list[Conversation], limit: int) -> Samples:
    """Training samples of fewer than `limit` tokens, as the request wants them in batches: one by one, packed, or within
    a budget of tokens."""
    from .packed_samples import packed, read_plan

    wanted = request.batching.packing
    plan = read_plan(request, "sft", limit) if wanted and wanted.plan else None
    # A plan says itself which records are too long.
    samples = tokenized(chat, records, limit if plan is None else sys.maxsize)
    if plan is not None:
        samples.dropped_lines = [records[place].line for place in plan.dropped]
    if wanted:
        return packed(request, samples, limit, plan)
    if request.batching.dynamic:
        from .micro_batches import check_budget

        check_budget(request.batching.dynamic, samples)
    return samples


def tokenized(chat: ChatTokenizer, records: list[Conversation], limit: int) -> Samples:
    """Conversations as `input_ids` and `labels`, both lists of one sample's tokens, and `record`, their place in the data."""
    from datasets import Dataset

    from .chat_tokens import IGNORED

    tokens = chat.tokenize(records, limit)
    learned = [sum(label != IGNORED for label in labels[1:]) for labels in tokens.labels]
    gone = set(tokens.dropped_lines)
    kept = [place for place, record in enumerate(records) if record.line not in gone]
    rows = {"input_ids": tokens.input_ids, "labels": tokens.labels, "record": kept}
    return Samples(Dataset.from_dict(rows), tokens.dropped_lines, tokens=learned)
