"""Recorded teacher logits: for each position with loss of a dataset, the teacher's k largest logits and their tokens.

A safetensors file with `logits` (positions, k) float32 in descending order, `tokens` (positions, k) int32, and `offsets`
(records + 1) int64: record i of the dataset has the positions offsets[i] … offsets[i + 1] − 1, in the order of its tokens.
A record that was too long has none. The metadata say what it was recorded on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BadRequest

if TYPE_CHECKING:
    import torch

FORMAT, VERSION = "anneal.teacher-logits", 1


@dataclass(frozen=True)
class Provenance:
    """What logits were recorded on; they are void for any other dataset, tokenizer or mask."""

    dataset_sha256: str
    tokenizer_sha256: str
    only_final_turn: bool
    records: int
    topk: int


def write(path: Path, provenance: Provenance, pieces: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Write the file: for each record its logits and tokens, both (positions, k)."""
    import torch
    from safetensors.torch import save_file

    counts = torch.tensor([0, *(len(tokens) for _, tokens in pieces)])
    tensors = {
        "logits": torch.cat([logits for logits, _ in pieces]).float().contiguous(),
        "tokens": torch.cat([tokens for _, tokens in pieces]).to(torch.int32).contiguous(),
        "offsets": counts.cumsum(0),
    }
    metadata = {"format": FORMAT, "version": str(VERSION), "provenance": json.dumps(asdict(provenance))}
    temporary = path.with_name(f"tmp_{path.name}")
    save_file(tensors, temporary, metadata)
    temporary.replace(path)


class TeacherLogits:
    """An open file of recorded logits; what is asked for is read from it."""

    def __init__(self, path: Path, pointer: str):
        from safetensors import SafetensorError, safe_open

        self.pointer = pointer
        try:
            self.file = safe_open(path, framework="pt")
            metadata = self.file.metadata() or {}
            if metadata.get("format") != FORMAT or metadata.get("version") != str(VERSION):
                raise BadRequest.at(pointer, f"{path} has no teacher logits of version {VERSION}")
            self.provenance = Provenance(**json.loads(metadata["provenance"]))
            self.offsets = self.file.get_tensor("offsets").tolist()
            self.logits, self.tokens = self.file.get_slice("logits"), self.file.get_slice("tokens")
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BadRequest.at(pointer, f"cannot read the teacher logits {path}: {error}") from error

    def check(self, expected: Provenance) -> None:
        """Raise `BadRequest` where the logits were recorded on something else, or hold fewer than are asked for."""
        found = self.provenance
        problems = []
        if (found.dataset_sha256, found.records) != (expected.dataset_sha256, expected.records):
            problems.append("on another dataset")
        if found.tokenizer_sha256 != expected.tokenizer_sha256:
            problems.append("with another tokenizer or chat template")
        if found.only_final_turn != expected.only_final_turn:
            problems.append(f"with only_final_turn {str(found.only_final_turn).lower()}")
        if found.topk < expected.topk:
            problems.append(f"with the top {found.topk} alone, and topk is {expected.topk}")
        if problems:
            raise BadRequest.at(self.pointer, f"the teacher logits do not fit the job: recorded {', '.join(problems)}")

    def positions(self, record: int) -> int:
        """How many positions of a record were recorded."""
        return self.offsets[record + 1] - self.offsets[record]

    def of(self, records: list[int], topk: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The `topk` largest logits and their tokens of the records' positions, one record after the other."""
        import torch

        spans = [(self.offsets[record], self.offsets[record + 1]) for record in records]
        logits = torch.cat([self.logits[first:end, :topk] for first, end in spans])
        return logits, torch.cat([self.tokens[first:end, :topk] for first, end in spans]).long()
