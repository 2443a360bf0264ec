"""What a train job asks for: the parameters that all methods share, checked and with the defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import batching, methods, optimizers
from .errors import BadRequest, Problem, counted
from .fields import Fields, describe
from .job import Job
from .parallel import STRATEGIES, ShardingParams, parse_sharding

#: Keys of any job's body, which the daemon acts on and a worker passes over.
COMMON_KEYS = frozenset(
    "kind needs if matrix env workdir priority resources cache timeout retry grace description name group "
    "preemptible concurrency hold stall nan_steps alerts secrets container cluster".split()
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
    """A training run. Lengths are in tokens, sizes in samples, rates per optimizer step."""

    #: The method's name, and what its own parameters say (a type of the method's module).
    method: str
    settings: Any
    batching: batching.Batching
    model: Path
    dataset: Path
    validation: Path | None
    checkpoint: CheckpointRules
    lora: LoraParams | None
    #: Further arguments for TRL, as they were given; `arguments.py` checks them.
    args: dict
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
    #: `auto`, `none`, `ddp` or `fsdp`; and how it shards where it does.
    parallel: str
    fsdp: ShardingParams
    #: One of `optimizers.NAMES`.
    optimizer: str
    log_every: int
    chat_template: str | None

    @classmethod
    def parse(cls, job: Job, environment: Mapping[str, str]) -> TrainRequest:
        """Check the whole body. Raises `BadRequest` with every problem found."""
        problems: list[Problem] = []
        body = Fields(job.spec, "", problems)
        body.known |= COMMON_KEYS
        body.choice("engine", "trl", ("trl",))
        name = body.choice("method", "sft", methods.NAMES)
        method = methods.load(name)
        model = body.text("model", "", required=True)
        dataset = body.text("dataset", "", required=True)
        validation = body.text("validation", None)
        body.known |= {"params", "checkpoint"}
        args = body.take("args", {}, lambda value: None if isinstance(value, dict) else "must be a mapping")
        params = Fields(job.spec.get("params"), "/params", problems)
        settings = method.parse(params, body, job)
        batches = batching.parse(params, job) if method.has_batching else batching.Batching()
        body.finish("key of a train job")
        rules = parse_checkpoint(Fields(job.spec.get("checkpoint"), "/checkpoint", problems), method.metrics)
        values = parse_params(params, validation is not None, method.defaults)
        params.finish(f"parameter of method {name}")
        if batches.dynamic:
            # The loader hands over a process's whole share of a step, which is then divided by its lengths.
            values["micro_batch_size"] = max(1, values["global_batch_size"] // world_size(environment, problems))
        else:
            halve_micro_batch(values, job.micro_batch_divisor, problems)
        values["accumulation"] = accumulation(values, environment, problems)
        if problems:
            raise BadRequest(f"the train job has {counted(len(problems), 'error')}: {problems[0]}", problems)
        return cls(
            method=name,
            settings=settings,
            batching=batches,
            model=job.input_path("/model", model),
            dataset=job.input_path("/dataset", dataset),
            validation=job.input_path("/validation", validation) if validation else None,
            checkpoint=rules,
            args=args,
            **values,
        )


def parse_checkpoint(fields: Fields, metrics: tuple[str, ...]) -> CheckpointRules:
    """The `checkpoint` mapping; ranked by one of `metrics`, by default the first. An explicit `keep_top_k: null` keeps all."""
    keeps_all = "keep_top_k" in fields.values and fields.values["keep_top_k"] is None
    metric = fields.choice("metric", metrics[0], metrics)
    rules = CheckpointRules(
        every=fields.integer("every", None, minimum=1),
        keep_top_k=fields.integer("keep_top_k", None if keeps_all else 3, minimum=1),
        metric=metric,
        # Losses are to fall, everything else is to rise.
        mode=fields.choice("mode", "min" if metric.endswith("_loss") or metric.startswith("val_kl") else "max", ("min", "max")),
        save_optimizer=fields.flag("save_optimizer", True),
    )
    fields.finish("key of checkpoint")
    return rules


#: The defaults of NeMo RL's SFT (examples/configs/sft.yaml); a method may have others.
DEFAULTS = {
    "epochs": 1,
    "global_batch_size": 32,
    "micro_batch_size": 1,
    "max_length": 1024,
    "learning_rate": 5e-6,
    "weight_decay": 0.1,
    "beta1": 0.9,
    "beta2": 0.98,
    "epsilon": 1e-5,
    "max_grad_norm": 1.0,
    "schedule": "constant",
    "warmup_steps": 0,
    "min_learning_rate": 0.0,
}


def parse_params(fields: Fields, has_validation: bool, defaults: Mapping[str, Any]) -> dict:
    """The keys of `params` that all methods share; `defaults` are the method's own, where they differ."""
    default = DEFAULTS | defaults
    values = dict(
        epochs=fields.integer("epochs", default["epochs"], minimum=1),
        max_steps=fields.integer("max_steps", None, minimum=1),
        global_batch_size=fields.integer("global_batch_size", default["global_batch_size"], minimum=1),
        micro_batch_size=fields.integer("micro_batch_size", default["micro_batch_size"], minimum=1),
        max_length=fields.integer("max_length", default["max_length"], minimum=2),
        learning_rate=fields.number("learning_rate", default["learning_rate"], 0, above=True),
        min_learning_rate=fields.number("min_learning_rate", default["min_learning_rate"], 0),
        schedule=fields.choice("schedule", default["schedule"], ("constant", "linear", "cosine")),
        warmup_steps=fields.integer("warmup_steps", default["warmup_steps"], minimum=0),
        weight_decay=fields.number("weight_decay", default["weight_decay"], 0),
        beta1=fields.number("beta1", default["beta1"], 0, below=1),
        beta2=fields.number("beta2", default["beta2"], 0, below=1),
        epsilon=fields.number("epsilon", default["epsilon"], 0, above=True),
        max_grad_norm=fields.number("max_grad_norm", default["max_grad_norm"], 0),
        validate_every=fields.integer("validate_every", 0, minimum=0),
        validate_at_start=fields.flag("validate_at_start", has_validation),
        validation_batches=fields.integer("validation_batches", 0, minimum=0),
        validation_batch_size=fields.integer("validation_batch_size", 32, minimum=1),
        shuffle=fields.flag("shuffle", True),
        seed=fields.integer("seed", 42, minimum=0, maximum=2**32 - 1),
        precision=fields.choice("precision", "auto", ("auto", "fp32", "bf16")),
        gradient_checkpointing=fields.flag("gradient_checkpointing", False),
        parallel=fields.choice("parallel", "auto", STRATEGIES),
        fsdp=parse_sharding(fields),
        optimizer=fields.choice("optimizer", "auto", optimizers.NAMES),
        log_every=fields.integer("log_every", 1, minimum=1),
        chat_template=fields.text("chat_template", None),
        lora=parse_lora(fields),
    )
    if values["min_learning_rate"] > values["learning_rate"]:
        fields.problem("min_learning_rate", "must not be above learning_rate")
    for key in ("validate_every", "validate_at_start"):
        if values[key] and not has_validation:
            fields.problem(key, "needs a validation dataset, and the job has none")
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
    world = world_size(environment, problems)
    size, micro = values["global_batch_size"], values["micro_batch_size"]
    if size % (micro * world):
        detail = f"{size} is not a multiple of micro_batch_size × processes = {micro} × {world}"
        problems.append(Problem(detail, "/params/global_batch_size"))
    return max(1, size // (micro * world))


def world_size(environment: Mapping[str, str], problems: list[Problem]) -> int:
    """The number of processes, as torchrun tells it."""
    world = environment.get("WORLD_SIZE", "1")
    if world.isdigit() and int(world) > 0:
        return int(world)
    problem = Problem(f"WORLD_SIZE must be a whole number of at least 1, not {describe(world)}")
    if problem not in problems:
        problems.append(problem)
    return 1
