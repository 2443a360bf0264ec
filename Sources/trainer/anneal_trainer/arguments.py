"""Further arguments of TRL's configuration, which a job passes through as `args`: what there is, and what may be given.

`python -m anneal_trainer.arguments [METHOD ...]` prints what the installed TRL knows as one JSON object. The daemon asks so once
for each installation and checks `args` when jobs are submitted; where it gets no answer, a job is accepted with a warning. The
trainer checks again before it starts: the installation may have changed, and only it knows how arguments go together.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import inspect
import json
import os
import signal
import sys
import types
import typing

from .errors import EXIT_FAILED, BadRequest, Problem, counted
from .fields import describe, escape

#: The configuration for each method: TRL's, or of methods with a trainer of our own that of transformers.
CONFIGS = {
    **dict.fromkeys(("sft", "pretrain", "distill"), "SFTConfig"),
    **dict.fromkeys(("dpo", "ipo", "rpo_sq", "rpo_bwd_kl", "rpo_fwd_kl"), "DPOConfig"),
    **dict.fromkeys(("reward", "grpo"), "TrainingArguments"),
}

#: Arguments that follow from a job's own keys, and the key to use. A name that ends with * stands for all that begin so.
RESERVED = {
    "output_dir": "",
    "max_steps": "params.max_steps",
    "num_train_epochs": "params.epochs",
    "per_device_train_batch_size": "params.micro_batch_size",
    "gradient_accumulation_steps": "params.global_batch_size",
    "auto_find_batch_size": "params.micro_batch_size",
    "per_device_eval_batch_size": "params.validation_batch_size",
    "learning_rate": "params.learning_rate",
    "weight_decay": "params.weight_decay",
    "adam_beta1": "params.beta1",
    "adam_beta2": "params.beta2",
    "adam_epsilon": "params.epsilon",
    "max_grad_norm": "params.max_grad_norm",
    "optim": "params.optimizer",
    "lr_scheduler_*": "params.schedule",
    "warmup_*": "params.warmup_steps",
    "seed": "params.seed",
    "data_seed": "params.seed",
    "bf16*": "params.precision",
    "fp16*": "params.precision",
    "use_cpu": "resources.gpus",
    "gradient_checkpointing": "params.gradient_checkpointing",
    "activation_checkpointing": "params.gradient_checkpointing",
    "max_length": "params.max_length",
    "truncation_mode": "params.max_length",
    "pad_to_multiple_of": "",
    "packing*": "params.packing",
    "eval_packing": "params.packing",
    "padding_free": "params.packing",
    "completion_only_loss": "",
    "assistant_only_loss": "",
    "eos_token": "model",
    "pad_token": "model",
    "trust_remote_code": "model",
    "chat_template_path": "params.chat_template",
    "shuffle_dataset": "params.shuffle",
    "dataset_*": "dataset",
    "logging_*": "params.log_every",
    "log_on_each_node": "params.log_every",
    "report_to": "",
    "disable_tqdm": "",
    "eval_strategy": "params.validate_every",
    "eval_steps": "params.validate_every",
    "eval_delay": "params.validate_every",
    "eval_on_start": "params.validate_at_start",
    "do_*": "",
    "save_*": "checkpoint.every",
    "load_best_model_at_end": "checkpoint.keep_top_k",
    "metric_for_best_model": "checkpoint.metric",
    "greater_is_better": "checkpoint.mode",
    "resume_from_checkpoint": "",
    "ignore_data_skip": "",
    "push_to_hub": "",
    "hub_*": "",
    "deepspeed": "resources.gpus",
    "fsdp*": "resources.gpus",
    "local_rank": "resources.gpus",
    "ddp_find_unused_parameters": "",
    "dataloader_pin_memory": "",
    "model_init_kwargs": "model",
    "remove_unused_columns": "",
}

#: The same for preference methods, whose losses and samples are made without those of TRL.
RESERVED_OF_PREFERENCE = {
    "beta": "params.beta",
    "loss_type": "method",
    "loss_weights": "params.preference_loss_weight",
    "precompute_ref_log_probs": "params.precompute_reference",
    "precompute_ref_batch_size": "params.micro_batch_size",
    "disable_dropout": "",
    "f_*": "method",
    "label_smoothing": "",
    "ld_alpha": "",
    "discopop_tau": "",
    "use_weighting": "",
    "sync_ref_model": "",
    "ref_model_*": "",
}

#: Seconds after which a listing ends by itself: nobody waits longer, and who asked may be gone.
LISTING_SECONDS_MAX = 120

#: The sorts of values that a spec can hold, by Python's type.
SORTS = {int: "int", float: "float", bool: "bool", str: "str", dict: "dict", list: "list", type(None): "null"}


def config_class(method: str) -> type:
    """The configuration class for a method. Imports TRL, which takes seconds. Raises `BadRequest` for others."""
    if method not in CONFIGS:
        raise BadRequest.at("/method", f"there are no further arguments for the method {describe(method)}")
    import transformers
    import trl

    name = CONFIGS[method]
    return getattr(transformers if name == "TrainingArguments" else trl, name)


def described(config: type) -> str:
    """A configuration class by its name and the installed version of its package."""
    package = config.__module__.partition(".")[0]
    return f"{config.__name__} of {'TRL' if package == 'trl' else package} {sys.modules[package].__version__}"


def sorts_of(hint: object) -> set[str]:
    """The sorts of values that an annotation takes, as names of `SORTS`; `any` takes all. Other types give none."""
    if hint is typing.Any:
        return {"any"}
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return set().union(*(sorts_of(part) for part in typing.get_args(hint)))
    if origin is typing.Literal:
        return {SORTS[type(value)] for value in typing.get_args(hint)}
    hint = origin or hint
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"str"}
    return {SORTS[hint]} if hint in SORTS else set()


def known_arguments(config: type) -> dict[str, set[str]]:
    """The arguments of a configuration that a spec can give, and the sorts of their values."""
    hints = typing.get_type_hints(config)
    found = {field.name: sorts_of(hints[field.name]) for field in dataclasses.fields(config) if field.init}
    return {name: sorts for name, sorts in found.items() if sorts - {"null"}}


def instead_of(name: str, config: type) -> str | None:
    """The key of a job from which Anneal sets an argument (empty where it has none); None for one that may be given."""
    preference = config.__name__ == "DPOConfig"
    for pattern, key in (RESERVED | RESERVED_OF_PREFERENCE if preference else RESERVED).items():
        if name == pattern or pattern.endswith("*") and name.startswith(pattern[:-1]):
            return key
    return None


def fits(value: object, sorts: set[str]) -> bool:
    """Whether a value is of one of the sorts; a whole number is also a float."""
    sort = SORTS.get(type(value))
    return "any" in sorts or sort in sorts or sort == "int" and "float" in sorts


def problem_with(name: str, value: object, known: dict[str, set[str]], config: type) -> str | None:
    """What is wrong with an argument of a configuration; None where nothing is."""
    key = instead_of(name, config)
    if key is not None:
        return f"is set by Anneal{f'; use {key}' if key else ' itself'}"
    if name not in known:
        near = difflib.get_close_matches(name, [other for other in known if instead_of(other, config) is None], 1)
        return f"is no argument of {described(config)}" + (f" (did you mean '{near[0]}'?)" if near else "")
    if not fits(value, known[name]):
        return f"must be {' or '.join(sorted(known[name]))}, not {describe(value)}"
    return None


def configured(config: type, further: dict[str, object], **own: object) -> typing.Any:
    """An instance of TRL's configuration from Anneal's own arguments and those of the job, which are checked first.

    Raises `BadRequest` with every problem, with a pointer into `args`.
    """
    known = known_arguments(config)
    found = {name: problem_with(name, value, known, config) for name, value in further.items()}
    problems = [Problem(detail, f"/args/{escape(name)}") for name, detail in found.items() if detail]
    if problems:
        raise BadRequest(f"'args' has {counted(len(problems), 'error')}: {problems[0]}", problems)
    try:
        return config(**(own | further))
    except (TypeError, ValueError) as error:
        # TRL checks how arguments go together when it makes its configuration.
        raise BadRequest.at("/args", f"{described(config)} refuses the arguments: {error}") from error


def listing(method: str) -> dict:
    """What the daemon checks `args` by: names with the sorts of their values, and those that Anneal sets."""
    config = config_class(method)
    known = known_arguments(config)
    return {
        "config": described(config),
        "arguments": {name: sorted(sorts) for name, sorts in known.items() if instead_of(name, config) is None},
        "reserved": {name: key for name in known if (key := instead_of(name, config)) is not None},
    }


def sources(methods: list[str]) -> list[dict]:
    """The files that the listings of methods are made from, with what tells of a change: the time of the last one in
    nanoseconds, and the size in bytes. Another version of TRL or transformers is other files, or other such figures."""
    classes = {part for method in methods for part in config_class(method).__mro__ if dataclasses.is_dataclass(part)}
    found = []
    for path in sorted({os.path.abspath(inspect.getfile(part)) for part in classes} | {os.path.abspath(__file__)}):
        status = os.stat(path)
        found.append({"path": path, "modified_ns": status.st_mtime_ns, "bytes": status.st_size})
    return found


def main(methods: list[str]) -> int:
    """Print the listings of some methods, or of all, as `{"files": sources, "methods": {method: listing}}`; where TRL or what it
    needs is not installed `{"error": why}`. Returns the exit status."""
    signal.alarm(LISTING_SECONDS_MAX)
    try:
        found = {method: listing(method) for method in methods or CONFIGS}
        print(json.dumps({"files": sources(list(found)), "methods": found}))
    except BadRequest as error:
        print(f"error: {error.message}", file=sys.stderr)
        return error.exit_code
    except ImportError as error:
        print(json.dumps({"error": str(error)}))
        return EXIT_FAILED
    finally:
        signal.alarm(0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
