"""What a train job asks for: its parameters, checked and with the defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import BadRequest, Problem
from .fields import Fields, describe
from .job import Job

#: Keys of any job's body, which the daemon acts on and a worker passes over.
COMMON_KEYS = frozenset(
    "kind needs if matrix env workdir priority resources cache timeout retry grace description name group "
    "preemptible concurrency hold stall nan_steps".split()
)


@dataclass(frozen=True)
class LoraParams:
    """Low-rank adapters (PEFT's names: r, lora_alpha, lora_dropout)."""

    rank: int
    alpha: float
    dropout: float
    target_modules: str | list[str]


@dataclass(frozen=True)
class CheckpointRules:
    """When checkpoints are saved and which are kept."""

    every: int | None
    keep_top_k: int | None
    metric: str
    mode: str
    save_optimizer: bool


@dataclass(frozen=True)
class TrainRequest:
    """A supervised fine-tuning run. Lengths are in tokens, sizes in samples, rates per optimizer step."""

    model: Path
    dataset: Path
    validation: Path | None
    checkpoint: CheckpointRules
    lora: LoraParams | None
    epochs: int
    max_steps: int | None
    global_batch_size: int
    micro_batch_size: int
    #: Micro-batches of one process in one step: global / (micro × world size).
    accumulation: int
    max_length: int
    learning_rate: float
    min_learning_rate: float
    schedule: str
    warmup_steps: int
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float
    max_grad_norm: float
    validate_every: int
    validate_at_start: bool
    validation_batches: int
    validation_batch_size: int
    shuffle: bool
    seed: int
    precision: str
    gradient_checkpointing: bool
    only_final_turn: bool
    log_every: int
    chat_template: str | None

    @classmethod
    def parse(cls, job: Job, environment: Mapping[str, str]) -> TrainRequest:
        """Check the whole body. Raises `BadRequest` with every problem found."""
        problems: list[Problem] = []
        body = Fields(job.spec, "", problems)
        body.known |= COMMON_KEYS
        body.choice("engine", "trl", ("trl",))
        body.choice("method", "sft", ("sft",))
        model = body.text("model", "", required=True)
        dataset = body.text("dataset", "", required=True)
        validation = body.text("validation", None)
        body.known |= {"params", "checkpoint"}
        body.finish("key of a train job")
        rules = parse_checkpoint(Fields(job.spec.get("checkpoint"), "/checkpoint", problems))
        values = parse_params(Fields(job.spec.get("params"), "/params", problems), validation is not None)
        halve_micro_batch(values, job.micro_batch_divisor, problems)
        values["accumulation"] = accumulation(values, environment, problems)
        if problems:
            raise BadRequest(f"the train job has {len(problems)} error(s): {problems[0]}", problems)
        return cls(
            model=job.input_path("/model", model),
            dataset=job.input_path("/dataset", dataset),
            validation=job.input_path("/validation", validation) if validation else None,
            checkpoint=rules,
            **values,
        )


def parse_checkpoint(fields: Fields) -> CheckpointRules:
    """The `checkpoint` mapping. An explicit `keep_top_k: null` keeps all."""
    keeps_all = "keep_top_k" in fields.values and fields.values["keep_top_k"] is None
    rules = CheckpointRules(
        every=fields.integer("every", None, minimum=1),
        keep_top_k=fields.integer("keep_top_k", None if keeps_all else 3, minimum=1),
        metric=fields.choice("metric", "val_loss", ("val_loss", "train_loss")),
        mode=fields.choice("mode", "min", ("min", "max")),
        save_optimizer=fields.flag("save_optimizer", True),
    )
    fields.finish("key of checkpoint")
    return rules


def parse_params(fields: Fields, has_validation: bool) -> dict:
    """The `params` mapping of method sft. Defaults are those of NeMo RL's SFT."""
    values = dict(
        epochs=fields.integer("epochs", 1, minimum=1),
        max_steps=fields.integer("max_steps", None, minimum=1),
        global_batch_size=fields.integer("global_batch_size", 32, minimum=1),
        micro_batch_size=fields.integer("micro_batch_size", 1, minimum=1),
        max_length=fields.integer("max_length", 1024, minimum=2),
        learning_rate=fields.number("learning_rate", 5e-6, 0, above=True),
        min_learning_rate=fields.number("min_learning_rate", 0, 0),
        schedule=fields.choice("schedule", "constant", ("constant", "linear", "cosine")),
        warmup_steps=fields.integer("warmup_steps", 0, minimum=0),
        weight_decay=fields.number("weight_decay", 0.1, 0),
        beta1=fields.number("beta1", 0.9, 0, below=1),
        beta2=fields.number("beta2", 0.98, 0, below=1),
        epsilon=fields.number("epsilon", 1e-5, 0, above=True),
        max_grad_norm=fields.number("max_grad_norm", 1.0, 0),
        validate_every=fields.integer("validate_every", 0, minimum=0),
        validate_at_start=fields.flag("validate_at_start", has_validation),
        validation_batches=fields.integer("validation_batches", 0, minimum=0),
        validation_batch_size=fields.integer("validation_batch_size", 32, minimum=1),
        shuffle=fields.flag("shuffle", True),
        seed=fields.integer("seed", 42, minimum=0, maximum=2**32 - 1),
        precision=fields.choice("precision", "auto", ("auto", "fp32", "bf16")),
        gradient_checkpointing=fields.flag("gradient_checkpointing", False),
        only_final_turn=fields.flag("only_final_turn", False),
        log_every=fields.integer("log_every", 1, minimum=1),
        chat_template=fields.text("chat_template", None),
        lora=parse_lora(fields),
    )
    if values["min_learning_rate"] > values["learning_rate"]:
        fields.problem("min_learning_rate", "must not be above learning_rate")
    for key in ("validate_every", "validate_at_start"):
        if values[key] and not has_validation:
            fields.problem(key, "needs a validation dataset, and the job has none")
    fields.finish("parameter of method sft")
    return values


def parse_lora(params: Fields) -> LoraParams | None:
    """The `lora` mapping inside the parameters; absent or null means that all weights are trained."""
    params.known.add("lora")
    if params.values.get("lora") is None:
        return None
    fields = Fields(params.values["lora"], f"{params.pointer}/lora", params.problems)

    def check_targets(value: object) -> str | None:
        names = isinstance(value, list) and value and all(isinstance(name, str) and name for name in value)
        return None if names or value == "all-linear" else 'must be "all-linear" or a list of module names'

    lora = LoraParams(
        rank=fields.integer("rank", 8, minimum=1),
        alpha=fields.number("alpha", 32, 0, above=True),
        dropout=fields.number("dropout", 0, 0, below=1),
        target_modules=fields.take("target_modules", "all-linear", check_targets),
    )
    fields.finish("key of lora")
    return lora


def halve_micro_batch(values: dict, divisor: int, problems: list[Problem]) -> None:
    """Make the micro-batch smaller after an attempt ran out of GPU memory; accumulation then makes up for it."""
    size = values["micro_batch_size"]
    if size % divisor:
        problems.append(Problem(f"{size} cannot be divided by {divisor}", "/params/micro_batch_size"))
        return
    values["micro_batch_size"] = size // divisor


def accumulation(values: dict, environment: Mapping[str, str], problems: list[Problem]) -> int:
    """Micro-batches per process and step; the global batch must be a whole number of them."""
    world = environment.get("WORLD_SIZE", "1")
    if not world.isdigit() or int(world) < 1:
        problems.append(Problem(f"WORLD_SIZE must be a whole number of at least 1, not {describe(world)}"))
        return 1
    size, micro = values["global_batch_size"], values["micro_batch_size"]
    if size % (micro * int(world)):
        detail = f"{size} is not a multiple of micro_batch_size × processes = {micro} × {world}"
        problems.append(Problem(detail, "/params/global_batch_size"))
    return max(1, size // (micro * int(world)))
