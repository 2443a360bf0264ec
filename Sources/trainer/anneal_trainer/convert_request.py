"""What a convert job with `model` or `average` asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import BadRequest, Problem, counted
from .fields import Fields, is_number
from .job import Job
from .request import COMMON_KEYS

#: The engines that run a program.
PROGRAM_ENGINES = ("nemo", "tensorrt-llm", "megatron")
CREATION_KEYS = {"create", "tokenizer", "chat_template", "seed"}
SHARD_BYTES = 5 * 10**9


@dataclass(frozen=True)
class ConvertRequest:
    """What there is to convert, and what becomes of it, in the order of the fields."""

    engine: str
    #: One model, or those whose mean is taken.
    models: list[Path]
    is_average: bool
    #: What each model counts in the mean; None counts all the same.
    weights: list[float] | None
    adapter: Path | None
    dropped_layers: list[int]
    dtype: str | None
    #: Bytes; None leaves files as they are where nothing else changes the weights.
    max_shard_size: int | None
    files_from: Path | None
    is_checked: bool
    #: The program of another engine, and the layout it writes.
    command: list[str]
    layout: str

    @classmethod
    def parse(cls, job: Job) -> ConvertRequest:
        """Check the whole body. Raises `BadRequest` with every problem found."""
        problems: list[Problem] = []
        body = Fields(job.spec, "", problems)
        body.known |= COMMON_KEYS | CREATION_KEYS
        engine = body.choice("engine", "transformers", ("transformers", *PROGRAM_ENGINES))
        model = body.text("model", None)
        averaged = job.spec.get("average")
        if (model is None) == (averaged is None):
            body.problem("model", "must be given, or average, but not both")
        for key in CREATION_KEYS & job.spec.keys():
            body.problem(key, "stands only with create, which makes a model of its own")
        body.known |= {"average", "merge_lora", "prune"}
        models, weights = (
            parse_average(job, Fields(averaged, "/average", problems)) if averaged is not None else ([], None)
        )
        request = cls(
            engine=engine,
            models=models or [job.input_path("/model", model or "")],
            is_average=averaged is not None,
            weights=weights,
            adapter=parse_adapter(job, problems),
            dropped_layers=parse_layers(job, problems),
            dtype=body.choice("dtype", None, ("float32", "bfloat16", "float16")),
            max_shard_size=body.size("max_shard_size", None),
            files_from=input_folder(job, body, "files_from"),
            is_checked=body.choice("export", None, ("check",)) == "check",
            command=parse_command(body, engine),
            layout=body.choice("to", "hf" if engine == "transformers" else engine, ("hf", *PROGRAM_ENGINES)),
        )
        body.finish("key of a convert job")
        if problems:
            raise BadRequest(f"the convert job has {counted(len(problems), 'error')}: {problems[0]}", problems)
        return request


def input_folder(job: Job, fields: Fields, key: str) -> Path | None:
    """The folder that a key names."""
    value = fields.text(key, None)
    return job.input_path(f"{fields.pointer}/{key}", value) if value is not None else None


def parse_average(job: Job, fields: Fields) -> tuple[list[Path], list[float] | None]:
    """The `average` mapping; the daemon has put paths in the place of `${job.checkpoints}` with `last` or `best`."""

    def check_models(value: object) -> str | None:
        names = isinstance(value, list) and len(value) > 1 and all(isinstance(name, str) and name for name in value)
        return None if names else "must be a list of at least two models"

    def check_weights(value: object) -> str | None:
        numbers = isinstance(value, list) and all(is_number(number) and number > 0 for number in value)
        return None if numbers else "must be a list of numbers above zero"

    fields.known |= {"last", "best"}
    names = fields.take("checkpoints", [], check_models)
    weights = fields.take("weights", None, check_weights)
    if fields.values.get("checkpoints") is None:
        fields.problem("checkpoints", "is required")
    if weights is not None and len(weights) != len(names):
        fields.problem("weights", f"has {len(weights)} numbers for {len(names)} models")
    fields.finish("key of average")
    return [job.input_path(f"/average/checkpoints/{index}", name) for index, name in enumerate(names)], weights


def parse_adapter(job: Job, problems: list[Problem]) -> Path | None:
    """The `merge_lora` mapping."""
    if job.spec.get("merge_lora") is None:
        return None
    fields = Fields(job.spec["merge_lora"], "/merge_lora", problems)
    adapter = input_folder(job, fields, "adapter")
    if adapter is None and not problems:
        fields.problem("adapter", "is required")
    if job.spec.get("average") is not None:
        fields.problem("", "stands only with model")
    fields.finish("key of merge_lora")
    return adapter


def parse_layers(job: Job, problems: list[Problem]) -> list[int]:
    """The `prune` mapping."""
    if job.spec.get("prune") is None:
        return []

    def check_layers(value: object) -> str | None:
        whole = isinstance(value, list) and all(isinstance(number, int) and is_number(number) for number in value)
        return None if whole and value and min(value) >= 0 else "must be a list of numbers of layers"

    fields = Fields(job.spec["prune"], "/prune", problems)
    layers = fields.take("layers", [], check_layers)
    fields.finish("key of prune")
    return [int(layer) for layer in layers]


def parse_command(fields: Fields, engine: str) -> list[str]:
    """The program of an engine and its arguments."""

    def check_words(value: object) -> str | None:
        words = isinstance(value, list) and value and all(isinstance(word, str) for word in value)
        return None if words else "must be a list of text"

    command = fields.take("command", [], check_words)
    if engine in PROGRAM_ENGINES and fields.values.get("command") is None:
        fields.problem("command", f"is required: the engine {engine} runs a program")
    return command
