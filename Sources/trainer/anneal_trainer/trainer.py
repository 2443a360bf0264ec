"""Anneal's steps, metrics, validation, checkpoints and stop signals, over any of TRL's trainers."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler

from transformers.trainer import SCHEDULER_NAME

from . import micro_batches, optimizer_state, schedule, sharding, stage
from .checkpoints import STATE_NAME, Checkpoint, CheckpointFolder
from .merged import save_merged, save_merged_anew
from .metrics import MetricsLog
from .request import TrainRequest
from .signals import StopSignals
from .steps import RunOrder, StepCallback, StepRules
from .validation import validation_values

if TYPE_CHECKING:
    from .training import Progress


class AnnealTrainer(ABC):
    """What Anneal changes in a trainer of transformers or TRL, whose loop it leaves alone; to be inherited before it.

    A method's trainer says what a micro-batch holds (`count`), what a step has to tell (`step_values`) and what a
    validation measures (`validation_batch`, `validation_result`).
    """

    #: Sequences of a sample. Where they are several, a batch has the first of all its samples, then the second of all.
    SEQUENCES: ClassVar[int] = 1

    def __init__(self, *, request: TrainRequest, rules: StepRules, **options: Any):
        self.request = request
        self.rules = rules
        self.stopped = False
        #: The checkpoint that the run goes on from.
        self.resumed_from: Checkpoint | None = None
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
        count = self.accelerator.num_processes
        spread = "" if count == 1 else f", {'fsdp' if self.is_fsdp_enabled else 'ddp'} over {count} processes"
        share = "" if self.parameters == self.trainable_parameters else f", {self.trainable_parameters:,} trained"
        return f"{self.parameters:,} parameters{share}, {precision} on {self.args.device}{spread}"

    def say(self, text: str) -> None:
        """Print a line of the log at once, on rank 0 only."""
        if self.is_world_process_zero():
            print(text, flush=True)

    # What transformers asks for

    def create_accelerator_and_postprocess(self) -> None:
        sharding.complete_plugin(self)
        super().create_accelerator_and_postprocess()
        sharding.shard_on_cpu(self)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return RunOrder(len(self.train_dataset), self.rules)

    def get_decay_parameter_names(self, model: Any) -> list[str]:
        """All of them: AdamW decays every trained parameter, as NeMo RL does (transformers spares biases and norms)."""
        return [name for name, _ in model.named_parameters()]

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        if self.lr_scheduler is None:
            request, before = self.request, stage.steps_before(self.request)
            total = before + self.rules.total

            def factor(step: int) -> float:
                peak, floor, warmup = request.learning_rate, request.min_learning_rate, request.warmup_steps
                return schedule.learning_rate(before + step, total, request.schedule, peak, floor, warmup) / peak

            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Nothing: the weights were loaded from the checkpoint when the model was made."""

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Both, as `save_state` wrote them; the optimizer's part may come from another number of processes."""
        if checkpoint is None or not optimizer_state.is_there(Path(checkpoint)):
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        optimizer_state.load(self.model, self.optimizer, Path(checkpoint))
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """The random states of this process, where the checkpoint has them: another number of processes draws anew."""
        alone = self.accelerator.num_processes == 1
        name = "rng_state.pth" if alone else f"rng_state_{self.accelerator.process_index}.pth"
        if checkpoint is not None and not (Path(checkpoint) / name).exists():
            self.say("the checkpoint is of another number of processes: dropout is drawn anew, data and weights go on")
            return
        super()._load_rng_state(checkpoint)

    # Steps

    def reset_step(self) -> None:
        """Start counting a new step."""
        self.step_loss: torch.Tensor | float = 0.0
        self.step_tokens = 0
        self.step_samples = 0
        self.step_parts = 0

    @abstractmethod
    def count(self, inputs: dict) -> tuple[torch.Tensor | int, torch.Tensor | int]:
        """How many samples of a micro-batch take part in the loss, and how many of its tokens do. Numbers that are on the
        device stay there until the step's end: to read one is to wait for it."""

    def step_values(self) -> dict[str, float]:
        """The method's own metrics of the finished step, by full name; starts the next step's count."""
        return {}

    def log_words(self, values: dict[str, float]) -> str:
        """What the log line of a step says beside loss, gradient norm and rate."""
        return f"{values['train/global_valid_toks']} tokens"

    def training_step(self, model: Any, inputs: dict, num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro-batch, or several of unlike size under dynamic batching. Their shares of the step's loss, their samples
        and their tokens are summed up."""
        parts = self.micro_batches(inputs)
        total: torch.Tensor | float = 0.0
        for number, part in enumerate(parts, start=1):
            # Gradients are exchanged between processes once, after the last.
            waits = self.accelerator.no_sync(model) if number < len(parts) else contextlib.nullcontext()
            with waits:
                total = total + super().training_step(model, part, num_items_in_batch)
            samples, tokens = self.count(part)
            self.step_samples += samples
            self.step_tokens += tokens
            self.step_parts += 1
        self.step_loss = self.step_loss + total
        return total

    def micro_batches(self, inputs: dict) -> list[dict]:
        """What the loader gave, divided by the budget of tokens where there is one; equally often on every process."""
        rule = self.request.batching.dynamic
        if rule is None:
            return [inputs]
        lengths = inputs["attention_mask"].sum(1).view(self.SEQUENCES, -1).amax(0).tolist()
        parts = micro_batches.divide(lengths, rule, self.SEQUENCES)
        if self.accelerator.num_processes > 1:
            count = torch.tensor([len(parts)], device=self.args.device)
            least = int(self.accelerator.gather(count).max())
            parts = micro_batches.divide(lengths, rule, self.SEQUENCES, least)
        return micro_batches.cut(inputs, parts, lengths, rule, self.SEQUENCES)

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
            "train/micro_batches": self.step_parts,
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
        """The sum, mean or max of a number over all processes."""
        if self.accelerator.num_processes == 1:
            return float(value)
        tensor = torch.as_tensor(value, dtype=torch.float64, device=self.args.device)
        if how == "max":
            return float(self.accelerator.gather(tensor.reshape(1)).max())
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
            **self.further_names(self.step_seconds),
        }
        if torch.cuda.is_available():
            values["gpu/peak_memory_gb"] = self.over_ranks(torch.cuda.max_memory_allocated() / 1e9, "max")
        step = self.state.global_step
        self.metrics.write(step, values)
        self.say(
            f"step {step}/{self.rules.total}  loss {values['train/loss']:.4f}  grad_norm {logs['grad_norm']:.3f}  "
            f"lr {logs['learning_rate']:.3g}  {self.log_words(values)}  {self.step_seconds:.3f} s"
        )

    def further_names(self, seconds: float) -> dict[str, float]:
        """What a step, which took so long, is told under further names, by full name."""
        return {}

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

    @abstractmethod
    def validation_batch(self, rows: list[dict]) -> tuple[dict[str, float], float]:
        """The metrics of one batch of the validation set, and the weight with which they enter the mean."""

    def validation_result(self, means: dict[str, float], weight: float) -> dict[str, float]:
        """The metrics of the whole validation set from the batches' weighted means and the sum of the weights. Names
        that begin with `val_` can rank checkpoints."""
        return means

    def validation_metrics(self, found: dict[str, float]) -> dict[str, float]:
        """What a validation found, by the names of its curves."""
        return {f"validation/{name}": value for name, value in found.items()}

    def validate(self, step: int) -> dict[str, float] | None:
        """Measure the validation set and log it at `step`; returns what ranks checkpoints, or None when a stop signal
        interrupted it."""
        begun = time.monotonic()
        found = validation_values(self)
        self._metrics["eval"].clear()
        if found is None:
            return None
        seconds = time.monotonic() - begun
        timed = {"timing/validation/total_validation_time": seconds} | self.further_validation_names(found, seconds)
        self.metrics.write(step, self.validation_metrics(found) | timed)
        ranking = {name: value for name, value in found.items() if name.startswith("val_")}
        self.last_losses |= ranking
        words = "  ".join(f"{name} {value:.4f}" for name, value in ranking.items())
        self.say(f"step {step}/{self.rules.total}  {words}  {seconds:.3f} s")
        self.lap()
        return ranking

    def further_validation_names(self, found: dict[str, float], seconds: float) -> dict[str, float]:
        """What a validation, which took so long, is told under further names, by full name."""
        return {}

    def take_over_optimizer(self) -> None:
        """A run that starts takes the moments of the stage before, where they are to be kept."""
        if self.resumed_from is None and self.request.batching.keeps_optimizer:
            stage.restore_optimizer(self.request, self.model, self.optimizer)

    def validate_before_training(self) -> None:
        """The validation that is due before the first step of this attempt, now that the model is where it trains."""
        resume = self.resumed_from
        if self.eval_dataset is None:
            return
        if resume is None and self.request.validate_at_start:
            self.validate(0)
        elif resume is not None and not any(name.startswith("val_") for name in resume.metrics):
            # A stop came before this step's validation: it is made up for now, so nothing is missing in the curve.
            found = self.validate(resume.step)
            if found is not None and self.is_world_process_zero():
                self.folder.add_metrics(resume, found)

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
            self.folder.commit(step, self.rules.epoch(step), self.last_losses, resumable, stage.steps_before(self.request))
            deleted = self.folder.thin_out()
            seconds = time.monotonic() - begun
            self.metrics.write(step, {"timing/train/checkpointing": seconds})
            gone = f", deleted {', '.join(f'step_{step}' for step in deleted)}" if deleted else ""
            self.say(f"step {step}/{self.rules.total}  saved step_{step}{gone}  {seconds:.3f} s")
        self.accelerator.wait_for_everyone()
        self.lap()

    def save_weights(self, folder: Path) -> None:
        """A model that a server can load; under LoRA the merged one, with the adapter beside it."""
        if self.is_fsdp_enabled:
            self.save_sharded_weights(folder)
        elif self.request.lora is None:
            self.save_model(str(folder), _internal_call=True)
            # transformers pickles its arguments beside the model: of no use to a reader, and unsafe to load.
            (folder / "training_args.bin").unlink(missing_ok=True)
        elif self.is_world_process_zero():
            save_merged(self.accelerator.unwrap_model(self.model), folder)
            self.processing_class.save_pretrained(folder)

    def save_sharded_weights(self, folder: Path) -> None:
        """The same from shards: rank 0 puts them together in main memory."""
        weights = sharding.whole_weights(self.model, trained_only=self.request.lora is not None)
        if not self.is_world_process_zero():
            return
        if self.request.lora is None:
            self.accelerator.unwrap_model(self.model).save_pretrained(folder, state_dict=weights)
        else:
            save_merged_anew(self.accelerator.unwrap_model(self.model), weights, self.request.model, folder)
        self.processing_class.save_pretrained(folder)

    def save_state(self, folder: Path) -> None:
        """Everything else that the next step depends on: optimizer, schedule, random states, step count."""
        optimizer_state.save(self.model, self.optimizer, folder)
        if self.is_world_process_zero():
            torch.save(self.lr_scheduler.state_dict(), folder / SCHEDULER_NAME)
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))
        if self.is_world_process_zero():
            self.state.save_to_json(str(folder / "trainer_state.json"))
            self.progress.write(folder)
