"""A train job: from a checked request to outputs.json, whatever the method."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import methods, model_folder, schedule, stage
from .checkpoints import Checkpoint, CheckpointFolder
from .errors import EXIT_RESUME, BadData, BadRequest, Problem, counted
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
    check_model(request, method)
    stage.check(request)
    method.read()
    if method.record_is_sample:
        check_enough(method.counts[0], method, f"{request.dataset.name} has {counted(method.counts[0], 'record')}")
    say = print if os.environ.get("RANK", "0") == "0" else lambda text: None

    # From here on torch and transformers are loaded, which takes seconds.
    from . import loading, ranks

    limit = length_limit(request, say)
    tokenizer = loading.load_tokenizer(request)
    samples, validation = method.tokenize(tokenizer, limit)
    say_dropped(say, "training", samples, limit)
    records = counted(method.counts[0], "record")
    check_enough(len(samples), method, f"only {counted(len(samples), samples.unit)} came of {records}")
    for note in samples.notes:
        say(note)
    if validation is not None:
        say_dropped(say, "validation", validation, limit)
        if not len(validation):
            detail = f"no validation sample is shorter than {limit} tokens"
            raise BadData(detail, [Problem(detail, "/validation")])
    steps = count_steps(method, samples, say)

    rules = request.checkpoint
    retention = (rules.metric, rules.mode, rules.keep_top_k)
    folder = CheckpointFolder(job.checkpoint_dir, *retention, job.checkpoints_awaited, job.checkpoints_kept)
    processes = ranks.processes(sharded=request.parallel == "fsdp")
    ranks.limit_memory()
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
        ranks.leave()
        return EXIT_RESUME, {}, {}
    outputs, summary = report(trainer, folder, steps, samples, validation)
    further, words = method.outputs(trainer)
    ranks.leave()
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
    dropped = {"data/dropped_long": len(samples.dropped_lines), **samples.metrics}
    if validation is not None:
        dropped |= {"data/validation_dropped_long": len(validation.dropped_lines), **validation.metrics}
    trainer.metrics.write(start, {"progress/total": steps, **dropped})
    trainer.say(f"{'resuming after' if resume else 'starting at'} step {start} of {steps}: {trainer.describe()}")
    if resume is not None:
        trainer.last_losses = dict(resume.metrics)
    if start < steps:
        trainer.resumed_from = resume
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


def count_steps(method: Method, samples: Samples, say) -> int:
    """The steps of the whole run: those of its epochs, fewer by max_steps or max_tokens.

    The order of the samples is known, so the step that reaches the token budget is, too: a resumed run ends at the same.
    """
    request = method.request
    size, budget = request.global_batch_size, request.batching.max_tokens
    steps = schedule.total_steps(method.steps_per_epoch(len(samples)), request.epochs, request.max_steps)
    if budget is None:
        return steps
    if samples.tokens is None:
        detail = "the samples of this run are made as it goes, so their tokens are not known; give max_steps"
        raise BadRequest.at("/params/max_tokens", detail)
    order = schedule.sample_order(len(samples), size, steps, request.shuffle, request.seed)
    found = schedule.steps_for_tokens(order, samples.tokens, size, budget)
    if found is None:
        say(f"warning: the run ends after its {steps} steps, before max_tokens {budget} is reached")
        return steps
    say(f"max_tokens {budget} is reached with step {found} of {steps}, which is the last")
    return found


def check_model(request: TrainRequest, method: Method) -> None:
    """Refuse a folder that is no model, before anything slow is loaded."""
    model_folder.read_config(request.model, "/model")
    if not method.needs_chat_template:
        return
    if request.chat_template is None and not model_folder.has_chat_template(request.model):
        detail = "the model has no chat template; give params.chat_template (chatml, or a Jinja text)"
        raise BadRequest.at("/params/chat_template", detail)


def check_enough(count: int, method: Method, what: str) -> None:
    """A run needs at least the samples of one step."""
    needed, key = method.needed()
    if count < needed:
        detail = f"{what}, and one step needs {needed} ({key})"
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

