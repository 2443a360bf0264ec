"""Validation: means over the whole set, whatever the batches and the processes."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy
import torch

if TYPE_CHECKING:
    from .trainer import AnnealTrainer


def validation_values(trainer: AnnealTrainer) -> dict[str, float] | None:
    """The method's metrics over the validation set, weighted means over its batches; None when a stop signal came.

    transformers' own evaluation averages the batches' means, which weighs short batches too much, and repeats samples
    to fill up the last batches of several processes. Here batch k belongs to process k mod world size; a process that
    has none left computes the last one again without counting it, because sharded models must all take part.
    """
    size, world = trainer.request.validation_batch_size, trainer.accelerator.num_processes
    batches = math.ceil(len(trainer.eval_dataset) / size)
    if trainer.request.validation_batches:
        batches = min(batches, trainer.request.validation_batches)
    totals: dict[str, float] = {}
    weights = 0.0
    trainer.model.eval()
    with frozen_randomness(), torch.no_grad(), trainer.accelerator.autocast():
        for first in range(0, batches, world):
            if trainer.any_rank(trainer.signals.stop_requested):
                return None
            mine = first + trainer.accelerator.process_index
            values, weight = trainer.validation_batch(rows_of(trainer, min(mine, batches - 1), size))
            for name, value in values.items():
                totals[name] = totals.get(name, 0.0) + (value * weight if mine < batches else 0.0)
            weights += weight if mine < batches else 0.0
    weights = max(trainer.over_ranks(weights, "sum"), 1e-9)
    means = {name: trainer.over_ranks(total, "sum") / weights for name, total in totals.items()}
    return trainer.validation_result(means, weights)


def rows_of(trainer: AnnealTrainer, index: int, size: int) -> list[dict]:
    """The samples of one batch of the validation set."""
    rows = trainer.eval_dataset[index * size : (index + 1) * size]
    return [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]


@contextlib.contextmanager
def frozen_randomness() -> Iterator[None]:
    """Put all random states back afterwards, so that a run is the same with validation and without."""
    states = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(states[0])
            numpy.random.set_state(states[1])
