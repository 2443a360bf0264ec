"""The packing plan of a `pack` step: read, and held against the data that it is to be used on. No torch.

The format is told in `PackingPlanFormat.swift`: JSON Lines with a header, one line for each bin, and an end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .batching import PLAN_POINTER
from .errors import BadData, BadRequest, Problem

FORMAT, VERSION = "anneal.packing-plan", 1


@dataclass(frozen=True)
class PackingPlan:
    """Bins of records, which are places in the dataset from 0, and the length of each record in tokens (of a pair, both)."""

    kind: str
    capacity: int
    bins: list[list[int]]
    dropped: list[int]
    lengths: dict[int, int | list[int]]
    records: int
    dataset_sha256: str | None

    @classmethod
    def read(cls, path: Path) -> PackingPlan:
        """The plan in a file. Raises `BadData` where it is cut off or contradicts itself."""
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise broken(f"cannot read the packing plan {path}: {error}") from error
        header = lines[0] if lines and isinstance(lines[0], dict) else {}
        if header.get("format") != FORMAT or header.get("version") != VERSION:
            raise broken(f"{path.name} is no packing plan of version {VERSION}; make one with prepare's step 'pack'")
        try:
            return cls.of(header, lines[1:])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise broken(f"the packing plan {path.name} is damaged: {error}") from error

    @classmethod
    def of(cls, header: dict, lines: list[dict]) -> PackingPlan:
        """The plan of parsed lines. Raises `ValueError` and its kind where they are none."""
        if not lines or lines[-1].get("end") is not True or len(lines) - 1 != header["bins"]:
            raise ValueError("it was cut off")
        lengths: dict[int, int | list[int]] = {}
        for entry in (*lines[:-1], lines[-1]["dropped"]):
            for record, length in zip(entry["records"], entry["lengths"], strict=True):
                if record in lengths:
                    raise ValueError(f"record {record} is named twice")
                lengths[record] = length
        if sorted(lengths) != list(range(header["records"])):
            raise ValueError("its records are not those of a dataset")
        bins = [line["records"] for line in lines[:-1]]
        if not bins or not all(bins):
            raise ValueError("a bin is empty")
        return cls(
            kind=header["kind"],
            capacity=header["capacity"],
            bins=bins,
            dropped=lines[-1]["dropped"]["records"],
            lengths=lengths,
            records=header["records"],
            dataset_sha256=header["dataset_sha256"],
        )

    def check(self, kind: str, dataset_sha256: str) -> None:
        """Raise `BadRequest` where the plan was made for other data or another method.

        Whether it was made with this tokenizer is told by the lengths of all records, which are compared later. The hash in the
        plan does not tell: the checkpoint that a stage starts from has the same tokenizer in files that were written anew.
        """
        problems = []
        if self.kind != kind:
            problems.append(f"it packs {self.kind} records, and this job takes {kind} ones")
        if self.dataset_sha256 not in (None, dataset_sha256):
            problems.append("it was made for another dataset")
        if problems:
            detail = "; ".join(problems) + ": pack this dataset with this job's model"
            raise BadRequest.at(PLAN_POINTER, f"the packing plan does not belong to the job: {detail}")


def broken(detail: str) -> BadData:
    return BadData(detail, [Problem(detail, PLAN_POINTER)])
