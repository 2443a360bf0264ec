"""The folder of checkpoints: written whole or not at all, found again, and thinned out. No torch.

A checkpoint is `step_<N>`: Hugging Face files at the top, `trainer_state/` for resuming, `checkpoint.json` last. It is
written as `tmp_step_<N>`, synced, renamed, and the parent synced; every other name beginning with `tmp_` or `old_` is
what a crash left behind. checkpoint.json also lists each file's size and CRC-32, by which a damaged one is known.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import durable

STEP_NAME = re.compile(r"step_(0|[1-9][0-9]*)")
#: The daemon puts a file of this name into a checkpoint that must not be deleted.
PIN_NAME = "pinned"
#: Stands in each checkpoint that a job waits to evaluate; the daemon takes it away when that job has ended.
AWAITED_NAME = "awaited"
#: Put into a checkpoint that would have been deleted, were it not awaited; the daemon then deletes it.
SURPLUS_NAME = "surplus"
RECORD_NAME = "checkpoint.json"
STATE_NAME = "trainer_state"
#: The folder of the optimizer inside it.
OPTIMIZER_NAME = "optimizer"


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint, as its checkpoint.json tells it. `metrics` holds finite numbers only."""

    step: int
    path: Path
    metrics: dict[str, float]
    resumable: bool
    #: Relative file name → [bytes, CRC-32].
    files: dict[str, list[int]]
    #: Steps of earlier stages whose learning rate schedule the run went on with.
    steps_before: int = 0

    @property
    def state(self) -> Path:
        """The folder of optimizer, schedule, RNG and progress."""
        return self.path / STATE_NAME

    @property
    def pinned(self) -> bool:
        return (self.path / PIN_NAME).exists()

    @property
    def awaited(self) -> bool:
        return (self.path / AWAITED_NAME).exists()

    @classmethod
    def read(cls, path: Path) -> Checkpoint | None:
        """The checkpoint in a folder, or None when checkpoint.json is missing or makes no sense."""
        try:
            record = json.loads((path / RECORD_NAME).read_text(encoding="utf-8"))
            found = cls(
                step=int(record["step"]),
                path=path,
                metrics={key: float(value) for key, value in record["metrics"].items()},
                resumable=bool(record["trainer_state"]),
                files=dict(record["files"]),
                steps_before=int(record.get("steps_before", 0)),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Not written by this program, or damaged: either way not a checkpoint to resume from.
            return None
        return found if path.name == f"step_{found.step}" and record.get("version") == 1 else None

    def damage(self) -> str | None:
        """What is wrong with the files (each is read whole), or None when they are as they were written."""
        for name, (size, checksum) in self.files.items():
            try:
                if (self.path / name).stat().st_size != size:
                    return f"{name} has another size than it had"
                if crc32(self.path / name) != checksum:
                    return f"{name} has another content than it had"
            except OSError as error:
                return f"{name} cannot be read: {error.strerror}"
        return None


@dataclass(frozen=True)
class CheckpointFolder:
    """All checkpoints of a job, and the rules by which they are ranked and kept."""

    path: Path
    metric: str
    mode: str
    #: How many of the best are kept; None keeps all.
    keep_top_k: int | None
    #: Whether some job evaluates each checkpoint.
    awaited: bool = False
    #: How many of the `last` and of the `best` other jobs need, whatever `keep_top_k` says.
    kept: Mapping[str, int] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make the folder, and clear away what a crash left behind."""
        self.path.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.path.iterdir()):
            if path.name.startswith("old_step_") and not (self.path / path.name.removeprefix("old_")).exists():
                # The crash came between the two renames of a replacement: the old one is the only one.
                path.rename(self.path / path.name.removeprefix("old_"))
            elif path.name.startswith(("tmp_", "old_step_")):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        durable.sync_folder(self.path)

    def complete(self) -> list[Checkpoint]:
        """The complete checkpoints in order of their steps."""
        named = [path for path in self.path.iterdir() if STEP_NAME.fullmatch(path.name)]
        found = [checkpoint for checkpoint in map(Checkpoint.read, named) if checkpoint is not None]
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    def newest_sound(self, report) -> Checkpoint | None:
        """The highest step that can be resumed from. `report(text)` is told of every one passed over."""
        named = [path for path in self.path.iterdir() if STEP_NAME.fullmatch(path.name)]
        for path in sorted(named, key=lambda path: int(path.name.removeprefix("step_")), reverse=True):
            checkpoint = Checkpoint.read(path)
            wrong = "its checkpoint.json is missing or damaged" if checkpoint is None else checkpoint.damage()
            if wrong is None and not checkpoint.resumable:
                wrong = "it was saved without trainer state"
            if wrong is None:
                return checkpoint
            report(f"passing over {path.name}: {wrong}")
        return None

    def begin(self, step: int) -> Path:
        """An empty `tmp_step_<N>` to write into, with its trainer_state folder."""
        temporary = self.path / f"tmp_step_{step}"
        if temporary.exists():
            shutil.rmtree(temporary)
        (temporary / STATE_NAME).mkdir(parents=True)
        return temporary

    def commit(
        self, step: int, epoch: float, metrics: dict[str, float], resumable: bool, steps_before: int = 0
    ) -> Checkpoint:
        """Make `tmp_step_<N>` the checkpoint of its step, durably. Replaces one that is there (a damaged one)."""
        temporary, final, old = (self.path / f"{prefix}step_{step}" for prefix in ("tmp_", "", "old_"))
        if not resumable:
            shutil.rmtree(temporary / STATE_NAME)
        record = {
            "version": 1,
            "step": step,
            "steps_before": steps_before,
            "epoch": epoch,
            "metrics": finite(metrics),
            "created_at": time.time(),
            "format": "hf",
            "trainer_state": resumable,
            "files": list_files(temporary),
        }
        durable.write_json(temporary / RECORD_NAME, record)
        if (final / PIN_NAME).exists():
            (temporary / PIN_NAME).touch()
        if self.awaited:
            (temporary / AWAITED_NAME).touch()
        durable.sync_tree(temporary)
        if final.exists():
            final.rename(old)
        temporary.rename(final)
        durable.sync_folder(self.path)
        if old.exists():
            shutil.rmtree(old)
        return Checkpoint(step, final, record["metrics"], resumable, record["files"], steps_before)

    def add_metrics(self, checkpoint: Checkpoint, metrics: dict[str, float]) -> None:
        """Add metrics that were measured after the checkpoint was saved."""
        path = checkpoint.path / RECORD_NAME
        record = json.loads(path.read_text(encoding="utf-8"))
        record["metrics"] |= finite(metrics)
        durable.write_json(path, record)

    def ranked(self) -> list[Checkpoint]:
        """The complete checkpoints, best first. A missing metric is worst; among equals the later one is better."""
        sign = 1 if self.mode == "min" else -1

        def badness(checkpoint: Checkpoint) -> tuple[float, int]:
            value = checkpoint.metrics.get(self.metric)
            return (math.inf if value is None else sign * value, -checkpoint.step)

        return sorted(self.complete(), key=badness)

    def thin_out(self) -> list[int]:
        """Delete all but the best `keep_top_k`, the newest, the pinned, the awaited and those that other jobs need.

        Returns the steps deleted.
        """
        if self.keep_top_k is None:
            return []
        ranked = self.ranked()
        newest = sorted(checkpoint.step for checkpoint in ranked)[-max(1, self.kept.get("last", 1)) :]
        best = max(self.keep_top_k, self.kept.get("best", 0))
        surplus = [checkpoint for checkpoint in ranked[best:] if checkpoint.step not in newest]
        return sorted(checkpoint.step for checkpoint in surplus if self.delete(checkpoint))

    def delete(self, checkpoint: Checkpoint) -> bool:
        """Delete a checkpoint unless it is pinned or awaited. The rename comes first, so that no half of one bears its name."""
        if checkpoint.pinned:
            return False
        if checkpoint.awaited:
            try:
                (checkpoint.path / SURPLUS_NAME).touch()
            except FileNotFoundError:
                # The daemon was done with it, and it had been surplus before.
                return True
            # Whose wait ended just before the mark was set does not come back for it.
            if checkpoint.awaited:
                return False
        doomed = self.path / f"tmp_deleted_step_{checkpoint.step}"
        try:
            checkpoint.path.rename(doomed)
        except FileNotFoundError:
            return True
        if (doomed / PIN_NAME).exists():
            # It was pinned just before the rename.
            doomed.rename(checkpoint.path)
            return False
        shutil.rmtree(doomed)
        return True


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """Without NaN and infinities, which strict JSON cannot hold and no ranking can use."""
    return {key: value for key, value in metrics.items() if value is not None and math.isfinite(value)}


def list_files(folder: Path) -> dict[str, list[int]]:
    """Every file below a folder with its size in bytes and its CRC-32."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): [path.stat().st_size, crc32(path)] for path in paths}


def crc32(path: Path) -> int:
    """The CRC-32 of a file, read in pieces of 8 MiB."""
    checksum = 0
    with open(path, "rb") as file:
        while piece := file.read(8 << 20):
            checksum = zlib.crc32(piece, checksum)
    return checksum
