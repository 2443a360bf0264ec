"""What is due after which step, and in which order the samples come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState

from . import schedule
from .request import TrainRequest

if TYPE_CHECKING:
    from .trainer import AnnealTrainer


@dataclass(frozen=True)
class StepRules:
    """What is due after which step. Steps count from 1, as completed steps."""

    total: int
    per_epoch: int
    request: TrainRequest

    def logs(self, step: int) -> bool:
        return step % self.request.log_every == 0 or step == self.total

    def saves(self, step: int) -> bool:
        every = self.request.checkpoint.every
        return step == self.total or (every is not None and step % every == 0)

    def validates(self, step: int) -> bool:
        """A checkpoint's step is validated too, because the checkpoint is ranked by it."""
        every = self.request.validate_every
        return self.saves(step) or (every > 0 and step % every == 0)

    def epoch(self, step: int) -> float:
        return step / self.per_epoch


class RunOrder(Sampler[int]):
    """The sample indices of the whole run as one pass, so that step N's batch is the same however often it resumed."""

    def __init__(self, samples: int, rules: StepRules):
        self.samples = samples
        self.rules = rules

    def __len__(self) -> int:
        return self.rules.total * self.rules.request.global_batch_size

    def __iter__(self) -> Iterator[int]:
        request = self.rules.request
        size, total = request.global_batch_size, self.rules.total
        return schedule.sample_order(self.samples, size, total, request.shuffle, request.seed)


class StepCallback(TrainerCallback):
    """Decides after each step what is due, by the rules and the signals."""

    def __init__(self, trainer: AnnealTrainer):
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.trainer.take_over_optimizer()
        self.trainer.validate_before_training()
        self.trainer.clock = time.monotonic()

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.trainer.signals.begin_stepping()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        trainer, signals, step = self.trainer, self.trainer.signals, state.global_step
        trainer.end_step()
        rules = trainer.rules
        control.should_log = rules.logs(step)
        control.should_save = rules.saves(step)
        control.should_evaluate = rules.validates(step)
        if trainer.any_rank(signals.save_requested):
            signals.save_requested = False
            control.should_save = control.should_evaluate = True
        if step < rules.total and trainer.any_rank(signals.stop_requested):
            # Saving comes first: the time until the kill is short. A resume makes up for the validation.
            control.should_evaluate = False
            control.should_save = True
            trainer.stop()
        control.should_evaluate = control.should_evaluate and trainer.eval_dataset is not None
