"""The validation loss: the mean over every unmasked token of the set, whatever the batches and the processes."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy
import torch

from .chat_tokens import IGNORED

if TYPE_CHECKING:
    from .trainer import AnnealTrainer


def validation_loss(trainer: AnnealTrainer) -> float | None:
    """−Σ log p / number of unmasked tokens; None when a stop signal came in between.

    transformers' own evaluation averages the batches' means, which weighs short batches too much, and repeats samples
    to fill up the last batches of several processes. Here batch k belongs to process k mod world size; a process that
    has none left computes the last one again without counting it, because sharded models must all take part.
    """
    size, world = trainer.request.validation_batch_size, trainer.accelerator.num_processes
    batches = math.ceil(len(trainer.eval_dataset) / size)
    if trainer.request.validation_batches:
        batches = min(batches, trainer.request.validation_batches)
    total, count = 0.0, 0
    trainer.model.eval()
    with frozen_randomness(), torch.no_grad(), trainer.accelerator.autocast():
        for first in range(0, batches, world):
            if trainer.any_rank(trainer.signals.stop_requested):
                return None
            mine = first + trainer.accelerator.process_index
            loss, tokens = batch_loss(trainer, min(mine, batches - 1), size)
            if mine < batches:
                total += loss * tokens
                count += tokens
    return trainer.over_ranks(total, "sum") / max(1.0, trainer.over_ranks(count, "sum"))


def batch_loss(trainer: AnnealTrainer, index: int, size: int) -> tuple[float, int]:
    """The mean loss of one batch of the validation set, and how many tokens it is a mean of."""
    rows = trainer.eval_dataset[index * size : (index + 1) * size]
    samples = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
    inputs = trainer._prepare_inputs(trainer.data_collator(samples))
    tokens = int((inputs["labels"][:, 1:] != IGNORED).sum())
    return float(trainer.compute_loss(trainer.model, inputs)), tokens


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
