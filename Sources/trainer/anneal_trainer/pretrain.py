"""Continued pre-training: the cross entropy of every token of plain text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .data import check_text, read_records
from .errors import BadRequest, Problem
from .method import Method, Samples

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .fields import Fields
    from .job import Job
    from .trainer import AnnealTrainer

#: Documents that are tokenised at once.
DOCUMENTS_AT_ONCE = 256


@dataclass(frozen=True)
class PretrainSettings:
    """What only pre-training has: nothing so far."""


class Pretraining(Method):
    """Documents joined with EOS and cut into blocks of `max_length` tokens; or, with packing, kept apart in packs."""

    has_batching = True
    needs_chat_template = False
    record_is_sample = False

    @classmethod
    def parse(cls, params: Fields, body: Fields, job: Job) -> PretrainSettings:
        packing = params.values.get("packing")
        if isinstance(packing, dict) and packing.get("plan") is not None:
            detail = "plans are for conversations; give 'online' to pack documents"
            params.problems.append(Problem(detail, "/params/packing/plan"))
        return PretrainSettings()

    def read(self) -> None:
        request = self.request
        self.records = read_documents(request.dataset, "/dataset")
        self.validation = read_documents(request.validation, "/validation") if request.validation else None

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.records), len(self.validation or ())

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[Samples, Samples | None]:
        if tokenizer.eos_token_id is None:
            raise BadRequest.at("/model", "the tokenizer has no EOS token, with which documents are joined")
        samples = self.blocks(tokenizer, self.records, limit, "data/")
        if self.request.batching.packing is not None:
            from .packed_samples import packed

            samples = packed(self.request, samples, limit, None)
        elif self.request.batching.dynamic is not None:
            from .micro_batches import check_budget

            check_budget(self.request.batching.dynamic, samples)
        return samples, self.blocks(tokenizer, self.validation, limit, "data/validation_") if self.validation else None

    def blocks(self, tokenizer: PreTrainedTokenizerBase, texts: list[str], limit: int, prefix: str) -> Samples:
        """The documents as blocks of at most `limit` tokens, and how many tokens they have. With packing each document
        has blocks of its own; else only the very last block is shorter."""
        from datasets import Dataset

        from .chat_tokens import IGNORED

        documents = tokenized(tokenizer, texts)
        count = sum(map(len, documents))
        if self.request.batching.packing is None:
            documents = [[token for document in documents for token in document]]
        blocks = [block for document in documents for block in cut(document, limit)]
        rows = {"input_ids": blocks, "labels": [[IGNORED, *block[1:]] for block in blocks]}
        note = f"{len(texts)} documents of {count} tokens (with EOS) in {len(blocks)} blocks of at most {limit}"
        metrics = {f"{prefix}tokens": count, f"{prefix}documents": len(texts), f"{prefix}blocks": len(blocks)}
        learned = [len(block) - 1 for block in blocks]
        return Samples(Dataset.from_dict(rows), unit="block", metrics=metrics, notes=[note], tokens=learned)

    def build(self, options: dict[str, Any]) -> AnnealTrainer:
        from .sft_trainer import build

        return build(self.request, options)


def read_documents(path: Path, pointer: str) -> list[str]:
    """The texts of a file of `{"text": …}` lines. Raises `BadData` with every bad line (the first 100)."""

    def parse(record: dict, line: int, problems: list[Problem]) -> str:
        check_text(record.get("text"), "/text", line, problems)
        if record.get("text") == "":
            problems.append(Problem("is empty", "/text", line))
        return record.get("text")

    return read_records(path, pointer, parse)


def tokenized(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """The tokens of each text, with EOS behind it and nothing before it."""
    found: list[list[int]] = []
    for start in range(0, len(texts), DOCUMENTS_AT_ONCE):
        batch = texts[start : start + DOCUMENTS_AT_ONCE]
        # A text is cut up later; that it is over the model's length is nothing to warn of.
        encoded = tokenizer(batch, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        found += [[*ids, tokenizer.eos_token_id] for ids in encoded]
    return found


def cut(tokens: list[int], limit: int) -> list[list[int]]:
    """Blocks of `limit` tokens; the rest is a block too, unless it is a single token, which nothing predicts."""
    blocks = [tokens[start : start + limit] for start in range(0, len(tokens), limit)]
    return blocks if len(blocks[-1]) > 1 else blocks[:-1]
