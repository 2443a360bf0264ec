"""TRL's SFTTrainer with Anneal's steps, metrics, validation, checkpoints and stop signals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState
from trl import SFTTrainer

from . import schedule
from .chat_tokens import IGNORED
from .checkpoints import STATE_NAME, CheckpointFolder
from .merged import save_merged
from .metrics import MetricsLog
from .request import TrainRequest
from .signals import StopSignals
from .validation import validation_loss

if TYPE_CHECKING:
    from .sft import Progress


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


class AnnealTrainer(SFTTrainer):
    """SFTTrainer whose loop is transformers' own; what differs is said at each override.

    The loss is TRL's: Σ over the global batch's unmasked tokens of −log p, divided by their number over all
    micro-batches and ranks (`num_items_in_batch`).
    """

    def __init__(self, *, request: TrainRequest, rules: StepRules, **options: Any):
        self.request = request
        self.rules = rules
        self.stopped = False
        self.last_losses: dict[str, float] = {}
        self.clock = time.monotonic()
        super().__init__(**options)
        self.add_callback(StepCallback(self))
        self.parameters = sum(tensor.numel() for tensor in self.model.parameters())
        self.trainable_parameters = sum(tensor.numel() for tensor in self.model.parameters() if tensor.requires_grad)
        self.reset_step()

    def attach(self, folder: CheckpointFolder, metrics: MetricsLog, signals: StopSignals, progress: Progress) -> None:
        """Give the trainer what it writes to and listens to. Must come before `train` and `validate`."""
        self.folder = folder
        self.metrics = metrics
        self.signals = signals
        self.progress = progress

    def describe(self) -> str:
        """One line about the run, for its log."""
        precision = "bf16" if self.args.bf16 else "fp32"
        share = "" if self.parameters == self.trainable_parameters else f", {self.trainable_parameters:,} trained"
        return f"{self.parameters:,} parameters{share}, {precision} on {self.args.device}"

    def say(self, text: str) -> None:
        """Print a line of the log at once, on rank 0 only."""
        if self.is_world_process_zero():
            print(text, flush=True)

    # What transformers asks for

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return RunOrder(len(self.train_dataset), self.rules)

    def get_decay_parameter_names(self, model: Any) -> list[str]:
        """All of them: AdamW decays every trained parameter, as NeMo RL does (transformers spares biases and norms)."""
        return [name for name, _ in model.named_parameters()]

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        if self.lr_scheduler is None:
            request, total = self.request, self.rules.total

            def factor(step: int) -> float:
                peak, floor = request.learning_rate, request.min_learning_rate
                return schedule.learning_rate(step, total, request.schedule, peak, floor, request.warmup_steps) / peak

            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Nothing: the weights were loaded from the checkpoint when the model was made."""

    # Steps

    def reset_step(self) -> None:
        """Start counting a new step."""
        self.step_loss: torch.Tensor | float = 0.0
        self.step_tokens = 0
        self.step_samples = 0

    def training_step(self, model: Any, inputs: dict, num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro-batch. Its share of the step's loss, and its samples, are summed up."""
        self.step_samples += int((inputs["labels"][:, 1:] != IGNORED).any(dim=1).sum())
        self.step_tokens = int(num_items_in_batch)
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.step_loss = self.step_loss + loss
        return loss

    def end_step(self) -> None:
        """Take the finished step's numbers. The time is that of data, forward, backward and optimizer."""
        self.last_losses["train_loss"] = self.over_ranks(self.step_loss, "mean")
        self.last_losses.pop("val_loss", None)
        self.progress.tokens += self.step_tokens
        self.finished = {
            "train/loss": self.last_losses["train_loss"],
            "train/num_unmasked_tokens": self.step_tokens,
            "train/num_valid_samples": int(self.over_ranks(self.step_samples, "sum")),
            "train/global_valid_toks": self.step_tokens,
            "train/epoch": self.rules.epoch(self.state.global_step),
        }
        self.step_seconds = self.lap()
        self.reset_step()

    def lap(self) -> float:
        """Seconds since the last lap; they count as training time."""
        now = time.monotonic()
        seconds, self.clock = now - self.clock, now
        self.progress.seconds += seconds
        return seconds

    def over_ranks(self, value: torch.Tensor | float, how: str) -> float:
        """A number summed or averaged over all processes."""
        if self.accelerator.num_processes == 1:
            return float(value)
        tensor = torch.as_tensor(value, dtype=torch.float64, device=self.args.device)
        return float(self.accelerator.reduce(tensor, how))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Write a step's metrics and log line. transformers calls this after a step, and once at the very end."""
        self._metrics["train"].clear()
        if "loss" not in logs:
            return
        rate = self.step_tokens_per_second()
        values = self.finished | {
            "train/grad_norm": logs["grad_norm"],
            "train/lr": logs["learning_rate"],
            "timing/train/total_step_time": self.step_seconds,
            "timing/train/valid_tokens_per_sec_per_gpu": rate,
        }
        step = self.state.global_step
        self.metrics.write(step, values)
        self.say(
            f"step {step}/{self.rules.total}  loss {values['train/loss']:.4f}  grad_norm {logs['grad_norm']:.3f}  "
            f"lr {logs['learning_rate']:.3g}  {self.finished['train/global_valid_toks']} tokens  "
            f"{self.step_seconds:.3f} s"
        )

    def step_tokens_per_second(self) -> float:
        """Tokens with loss per second and process."""
        return self.finished["train/global_valid_toks"] / max(self.step_seconds, 1e-9) / self.accelerator.num_processes

    # Validation

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The validation that is due after a step; a stop signal cuts it short, and then the step is saved at once."""
        self.control.should_evaluate = False
        if self.validate(self.state.global_step) is None:
            self.control.should_save = True
            self.stop()
        return {}

    def stop(self) -> None:
        """End training after this step, resumable."""
        self.stopped = True
        self.control.should_training_stop = True

    def validate(self, step: int) -> float | None:
        """Compute the validation loss and log it at `step`; None when a stop signal interrupted it."""
        begun = time.monotonic()
        loss = validation_loss(self)
        self._metrics["eval"].clear()
        if loss is None:
            return None
        seconds = time.monotonic() - begun
        self.last_losses["val_loss"] = loss
        self.metrics.write(step, {"validation/val_loss": loss, "timing/validation/total_validation_time": seconds})
        self.say(f"step {step}/{self.rules.total}  val_loss {loss:.4f}  {seconds:.3f} s")
        self.lap()
        return loss

    def any_rank(self, flag: bool) -> bool:
        """Whether any process has the flag: signals reach processes at different moments, steps are common."""
        return self.over_ranks(float(flag), "sum") > 0

    # Checkpoints

    def _save_checkpoint(self, model: Any, trial: Any = None) -> None:
        """Write and commit the checkpoint of this step, then thin out the older ones."""
        begun = time.monotonic()
        self.lap()
        step, main = self.state.global_step, self.is_world_process_zero()
        resumable = self.request.checkpoint.save_optimizer or self.stopped
        temporary = self.folder.begin(step) if main else self.folder.path / f"tmp_step_{step}"
        self.accelerator.wait_for_everyone()
        self.save_weights(temporary)
        if resumable:
            self.save_state(temporary / STATE_NAME)
        self.accelerator.wait_for_everyone()
        if main:
            self.folder.commit(step, self.rules.epoch(step), self.last_losses, resumable)
            deleted = self.folder.thin_out()
            seconds = time.monotonic() - begun
            self.metrics.write(step, {"timing/train/checkpointing": seconds})
            gone = f", deleted {', '.join(f'step_{step}' for step in deleted)}" if deleted else ""
            self.say(f"step {step}/{self.rules.total}  saved step_{step}{gone}  {seconds:.3f} s")
        self.accelerator.wait_for_everyone()
        self.lap()

    def save_weights(self, folder: Path) -> None:
        """A model that a server can load; under LoRA the merged one, with the adapter beside it."""
        if self.request.lora is None:
            self.save_model(str(folder), _internal_call=True)
            # transformers pickles its arguments beside the model: of no use to a reader, and unsafe to load.
            (folder / "training_args.bin").unlink(missing_ok=True)
        elif self.is_world_process_zero():
            save_merged(self.accelerator.unwrap_model(self.model), folder)
            self.processing_class.save_pretrained(folder)

    def save_state(self, folder: Path) -> None:
        """Everything else that the next step depends on: optimizer, schedule, random states, step count."""
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))
        if self.is_world_process_zero():
            self.state.save_to_json(str(folder / "trainer_state.json"))
            self.progress.write(folder)


class StepCallback(TrainerCallback):
    """Decides after each step what is due, by the rules and the signals."""

    def __init__(self, trainer: AnnealTrainer):
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
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
