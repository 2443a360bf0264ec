"""A train job: from a checked request to outputs.json, whatever the method."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import methods, model_folder, schedule
from .checkpoints import Checkpoint, CheckpointFolder
from .errors import EXIT_RESUME, BadData, BadRequest, Problem
from .job import Job
from .method import Method, Samples
from .metrics import MetricsLog
from .request import TrainRequest
from .signals import StopSignals

if TYPE_CHECKING:
    from .trainer import AnnealTrainer

#: Where a run's own counters lie inside a checkpoint's trainer_state.
PROGRESS_NAME = "progress.json"


@dataclass
class Progress:
    """What a run has done so far over all attempts: tokens with loss, and seconds of training."""

    tokens: int = 0
    seconds: float = 0.0

    @classmethod
    def read(cls, state: Path) -> Progress:
        return cls(**json.loads((state / PROGRESS_NAME).read_text(encoding="utf-8")))

    def write(self, state: Path) -> None:
        (state / PROGRESS_NAME).write_text(json.dumps(vars(self)), encoding="utf-8")


def train(job: Job, signals: StopSignals) -> tuple[int, dict, dict]:
    """Run a train job. Returns the exit code (0, or 75 when stopped and resumable), the outputs and the summary."""
    request = TrainRequest.parse(job, os.environ)
    method = methods.load(request.method)(request)
    check_model(request)
    method.read()
    check_enough(method.counts[0], request, f"{request.dataset.name} has {method.counts[0]} record(s)")
    say = print if os.environ.get("RANK", "0") == "0" else lambda text: None

    # From here on torch and transformers are loaded, which takes seconds.
    from . import loading

    limit = length_limit(request, say)
    tokenizer = loading.load_tokenizer(request)
    samples, validation = method.tokenize(tokenizer, limit)
    say_dropped(say, "training", samples, limit)
    check_enough(len(samples), request, f"{len(samples)} samples are left of {method.counts[0]}")
    if validation is not None:
        say_dropped(say, "validation", validation, limit)
        if not len(validation):
            detail = f"no validation sample is shorter than {limit} tokens"
            raise BadData(detail, [Problem(detail, "/validation")])
    steps = schedule.total_steps(len(samples), request.global_batch_size, request.epochs, request.max_steps)

    rules = request.checkpoint
    retention = (rules.metric, rules.mode, rules.keep_top_k)
    folder = CheckpointFolder(job.checkpoint_dir, *retention, job.checkpoints_awaited, job.checkpoints_kept)
    processes = loading.processes()
    if processes.is_main_process:
        folder.prepare()
    processes.wait_for_everyone()
    resume = folder.newest_sound(say)
    metrics = MetricsLog(job.metrics_path if processes.is_main_process else None)
    trainer = loading.build_trainer(method, tokenizer, samples, validation, steps, folder, resume)
    trainer.attach(folder, metrics, signals, Progress.read(resume.state) if resume else Progress())
    stopped = run(trainer, request, resume, steps, samples, validation)
    metrics.close()
    if stopped:
        say(f"stopped after step {trainer.state.global_step} of {steps}; a new attempt resumes there")
        return EXIT_RESUME, {}, {}
    outputs, summary = report(trainer, folder, steps, samples, validation)
    further, words = method.outputs(trainer)
    return 0, outputs | further, summary | words


def run(
    trainer: AnnealTrainer,
    request: TrainRequest,
    resume: Checkpoint | None,
    steps: int,
    samples: Samples,
    validation: Samples | None,
) -> bool:
    """Train from where the checkpoint left off. Returns whether a stop signal ended it early."""
    start = resume.step if resume else 0
    dropped = {"data/dropped_long": len(samples.dropped_lines)}
    if validation is not None:
        dropped["data/validation_dropped_long"] = len(validation.dropped_lines)
    trainer.metrics.write(start, {"progress/total": steps, **dropped})
    trainer.say(f"{'resuming after' if resume else 'starting at'} step {start} of {steps}: {trainer.describe()}")
    if validation is not None:
        if resume is None and request.validate_at_start:
            trainer.validate(0)
        elif resume is not None and not any(name.startswith("val_") for name in resume.metrics):
            # A stop came before this step's validation: it is made up for now, so nothing is missing in the curve.
            found = trainer.validate(start)
            if found is not None and trainer.is_world_process_zero():
                trainer.folder.add_metrics(resume, found)
    if resume is not None:
        trainer.last_losses = resume.metrics | trainer.last_losses
    if start < steps:
        trainer.train(resume_from_checkpoint=str(resume.state) if resume else None)
    return trainer.stopped


def report(
    trainer: AnnealTrainer,
    folder: CheckpointFolder,
    steps: int,
    samples: Samples,
    validation: Samples | None,
) -> tuple[dict, dict]:
    """The outputs and the summary of a finished run."""
    last, best = folder.complete()[-1], folder.ranked()[0]
    outputs = {"checkpoint.best": describe_checkpoint(best), "checkpoint.last": describe_checkpoint(last)}
    outputs["model"] = outputs["checkpoint.last"]
    summary = {
        "steps": steps,
        "val_loss": None,
        **trainer.last_losses,
        "best_step": best.step,
        "tokens": trainer.progress.tokens,
        "seconds": round(trainer.progress.seconds, 3),
        "dropped_long": len(samples.dropped_lines) + (len(validation.dropped_lines) if validation else 0),
        "parameters": trainer.parameters,
        "trainable_parameters": trainer.trainable_parameters,
    }
    return outputs, summary


def describe_checkpoint(checkpoint: Checkpoint) -> dict:
    return {
        "type": "checkpoint",
        "path": str(checkpoint.path),
        "step": checkpoint.step,
        "metrics": checkpoint.metrics,
    }


def check_model(request: TrainRequest) -> None:
    """Refuse a folder that is no model, before anything slow is loaded."""
    model_folder.read_config(request.model, "/model")
    if request.chat_template is None and not model_folder.has_chat_template(request.model):
        detail = "the model has no chat template; give params.chat_template (chatml, or a Jinja text)"
        raise BadRequest.at("/params/chat_template", detail)


def check_enough(count: int, request: TrainRequest, what: str) -> None:
    """A run needs at least one whole global batch."""
    if count < request.global_batch_size:
        detail = f"{what}, and one step needs {request.global_batch_size} (params.global_batch_size)"
        raise BadData(detail, [Problem(detail, "/dataset")])


def length_limit(request: TrainRequest, say) -> int:
    """Samples of this many tokens or more are dropped: max_length, or what the model's positions allow if less."""
    positions = model_folder.read_config(request.model, "/model").get("max_position_embeddings")
    if isinstance(positions, int) and positions < request.max_length:
        say(f"max_length {request.max_length} is more than the model's {positions} positions: {positions} holds")
        return positions
    return request.max_length


def say_dropped(say, name: str, samples: Samples, limit: int) -> None:
    """Over-long samples are never dropped in silence."""
    lines = samples.dropped_lines
    if lines:
        shown = ", ".join(map(str, lines[:10])) + (", …" if len(lines) > 10 else "")
        say(f"warning: {len(lines)} {name} sample(s) of {limit} tokens or more are left out (lines {shown})")

