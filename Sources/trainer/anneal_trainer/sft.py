"""Supervised fine-tuning: its parameter, its data, its trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .data import Conversation, read_conversations
from .method import Method, Samples

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .chat_tokens import ChatTokenizer
    from .fields import Fields
    from .job import Job
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
        from .packed_samples import batched

        chat = ChatTokenizer(tokenizer, self.request.settings.only_final_turn, end_token_ids(self.request.model))
        lines = [record.line for record in self.records]
        samples = batched(self.request, "sft", lines, lambda limit: tokenized(chat, self.records, limit), limit)
        return samples, tokenized(chat, self.validation, limit) if self.validation else None

    def build(self, options: dict[str, Any]) -> AnnealTrainer:
        from .sft_trainer import build

        return build(self.request, options)


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
