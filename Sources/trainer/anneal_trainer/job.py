"""What the daemon tells an attempt: environment variables, and the resolved job in job.json."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import durable
from .errors import BadRequest, WorkerError


@dataclass(frozen=True)
class Job:
    """One attempt at a job: the body of the job, its resolved inputs, and the folders it may write to."""

    kind: str
    spec: dict
    #: JSON pointer inside `spec` → the artifact it refers to (`path`, `sha256`, `format`, …).
    inputs: dict[str, dict]
    checkpoint_dir: Path
    output_dir: Path
    metrics_path: Path
    #: What the spec's micro-batch is divided by; above 1 after an attempt ran out of GPU memory.
    micro_batch_divisor: int = 1
    #: Whether some job evaluates each checkpoint and must find it.
    checkpoints_awaited: bool = False
    #: How many of the `last` and of the `best` checkpoints other jobs need; retention keeps them.
    checkpoints_kept: Mapping[str, int] = field(default_factory=dict)
    #: How many GPUs the attempt holds.
    gpus: int = 0

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Job:
        """Read the job that `ANNEAL_SPEC` names. Every missing variable is told at once."""
        names = ["ANNEAL_SPEC", "ANNEAL_CHECKPOINT_DIR", "ANNEAL_OUTPUT_DIR", "ANNEAL_METRICS", "ANNEAL_OUTPUTS"]
        missing = [name for name in names if not environment.get(name)]
        if missing:
            raise BadRequest(f"the environment lacks {', '.join(missing)}: this program is started by anneald")
        path = Path(environment["ANNEAL_SPEC"])
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadRequest(f"cannot read the job {path}: {error}") from error
        if not isinstance(document, dict) or not isinstance(document.get("spec"), dict):
            raise BadRequest(f"{path} is not a job: it has no object under \"spec\"")
        if document.get("version") != 1:
            raise BadRequest(f"{path} has version {document.get('version')!r}; this worker knows version 1")
        return cls(
            kind=str(document.get("kind") or document["spec"].get("kind")),
            spec=document["spec"],
            inputs=document.get("inputs") or {},
            checkpoint_dir=Path(environment["ANNEAL_CHECKPOINT_DIR"]),
            output_dir=Path(environment["ANNEAL_OUTPUT_DIR"]),
            metrics_path=Path(environment["ANNEAL_METRICS"]),
            micro_batch_divisor=int(document.get("micro_batch_divisor") or 1),
            checkpoints_awaited=document.get("checkpoints_awaited") is True,
            checkpoints_kept=document.get("checkpoints_kept") or {},
            gpus=len(document.get("gpus") or ()),
        )

    def input_path(self, pointer: str, value: str) -> Path:
        """Where the artifact at `pointer` lies: its resolved path, else the text of the spec itself."""
        resolved = self.inputs.get(pointer) or {}
        return Path(resolved.get("path") or value)


def write_outputs(path: Path, outputs: dict, summary: dict) -> None:
    """Tell the daemon what was made."""
    durable.write_json(path, {"outputs": outputs, "summary": {key: plain(value) for key, value in summary.items()}})


def write_failure(path: Path, error: WorkerError) -> None:
    """Tell the daemon why nothing was made."""
    durable.write_json(path, {"outputs": {}, "summary": {}, "error": error.as_json()})


def plain(value: object) -> object:
    """A number as strict JSON can hold it: NaN and infinities become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def outputs_path() -> Path | None:
    """Where outputs.json goes, or None when the environment does not say."""
    named = os.environ.get("ANNEAL_OUTPUTS")
    return Path(named) if named else None
