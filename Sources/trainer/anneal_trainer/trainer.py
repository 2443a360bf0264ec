"""Anneal's steps, metrics, validation, checkpoints and stop signals, over any of TRL's trainers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler

from . import schedule
from .checkpoints import STATE_NAME, CheckpointFolder
from .merged import save_merged
from .metrics import MetricsLog
from .request import TrainRequest
from .signals import StopSignals
from .steps import RunOrder, StepCallback, StepRules
from .validation import validation_values

if TYPE_CHECKING:
    from .training import Progress


class AnnealTrainer:
    """What Anneal changes in a trainer of transformers or TRL, whose loop it leaves alone; to be inherited before it.

    A method's trainer says what a micro-batch holds (`count`), what a step has to tell (`step_values`) and what a
    validation measures (`validation_batch`, `validation_result`).
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

    def count(self, inputs: dict) -> tuple[int, int]:
        """How many samples of a micro-batch take part in the loss, and how many of its tokens do."""
        raise NotImplementedError

    def step_values(self) -> dict[str, float]:
        """The method's own metrics of the finished step, by full name; starts the next step's count."""
        return {}

    def log_words(self, values: dict[str, float]) -> str:
        """What the log line of a step says beside loss, gradient norm and rate."""
        return f"{values['train/global_valid_toks']} tokens"

    def training_step(self, model: Any, inputs: dict, num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro-batch. Its share of the step's loss, its samples and its tokens are summed up."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        samples, tokens = self.count(inputs)
        self.step_samples += samples
        self.step_tokens += tokens
        self.step_loss = self.step_loss + loss
        return loss

    def end_step(self) -> None:
        """Take the finished step's numbers. The time is that of data, forward, backward and optimizer."""
        self.last_losses["train_loss"] = self.over_ranks(self.step_loss, "mean")
        for name in [name for name in self.last_losses if name.startswith("val_")]:
            self.last_losses.pop(name)
        tokens = int(self.over_ranks(self.step_tokens, "sum"))
        self.progress.tokens += tokens
        self.finished = {
            "train/loss": self.last_losses["train_loss"],
            "train/num_unmasked_tokens": tokens,
            "train/num_valid_samples": int(self.over_ranks(self.step_samples, "sum")),
            "train/global_valid_toks": tokens,
            "train/epoch": self.rules.epoch(self.state.global_step),
            **self.step_values(),
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
            f"lr {logs['learning_rate']:.3g}  {self.log_words(values)}  {self.step_seconds:.3f} s"
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

    def validation_batch(self, rows: list[dict]) -> tuple[dict[str, float], float]:
        """The metrics of one batch of the validation set, and the weight with which they enter the mean."""
        raise NotImplementedError

    def validate(self, step: int) -> dict[str, float] | None:
        """Measure the validation set and log it at `step`; None when a stop signal interrupted it."""
        begun = time.monotonic()
        found = validation_values(self)
        self._metrics["eval"].clear()
        if found is None:
            return None
        seconds = time.monotonic() - begun
        self.last_losses |= found
        values = {f"validation/{name}": value for name, value in found.items()}
        self.metrics.write(step, values | {"timing/validation/total_validation_time": seconds})
        words = "  ".join(f"{name} {value:.4f}" for name, value in found.items())
        self.say(f"step {step}/{self.rules.total}  {words}  {seconds:.3f} s")
        self.lap()
        return found

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
