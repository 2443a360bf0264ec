"""The mean of several models' weights, computed one tensor at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import BadRequest, Problem
from .weight_files import FLOAT_TYPES, Tensors, TensorSpec, WeightFiles

if TYPE_CHECKING:
    import torch

POINTER = "/average/checkpoints"
#: What two models must have in common; the rest of a configuration may differ, such as the version that wrote it.
SAME_KEYS = ("model_type", "architectures", "num_hidden_layers", "hidden_size", "vocab_size", "tie_word_embeddings")
#: How the names of embeddings end, whatever part of a model they stand in.
INPUT_EMBEDDINGS = ("embed_tokens.weight", "wte.weight")
OUTPUT_EMBEDDINGS = "lm_head.weight"


def check_configs(configs: list[dict]) -> None:
    """Refuse models of different architectures."""
    problems = []
    for index, config in enumerate(configs):
        for key in SAME_KEYS:
            ours, theirs = config.get(key), configs[0].get(key)
            if ours != theirs:
                detail = (
                    f"has {key} {ours!r}, and the first model {theirs!r}; only models of one architecture have a mean"
                )
                problems.append(Problem(detail, f"{POINTER}/{index}"))
    refuse(problems)


def average(sources: list[WeightFiles], weights: list[float] | None, config: dict, stays_wide: bool) -> Tensors:
    """The weighted mean, added up in float32 (float64 where a model is stored in it), in the type that the models have.

    Weights are relative to each other. Whole numbers and truth values have no mean: they must be equal everywhere.
    With `stays_wide` the mean is given as it was added up, for a caller that brings it into a type of its own; only
    then may the models be stored in different types.
    """
    stored = [tied_away(source, config) for source in sources]
    check_alike([tensors.specs for tensors in stored], stays_wide)
    total = sum(weights) if weights else len(sources)
    shares = [weight / total for weight in weights] if weights else [1 / total] * len(sources)

    def read(name: str) -> torch.Tensor:
        import torch

        spec = stored[0].specs[name]
        first = stored[0].read(name)
        if not spec.is_float:
            for index, tensors in enumerate(stored[1:], start=1):
                if not torch.equal(first, tensors.read(name)):
                    detail = (
                        f"{name} holds {spec.dtype} numbers other than those of the first model, and such have no mean"
                    )
                    raise BadRequest.at(f"{POINTER}/{index}", detail)
            return first
        wide = torch.float64 if spec.dtype == FLOAT_TYPES["float64"] else torch.float32
        mean = first.to(wide) * shares[0]
        for tensors, share in zip(stored[1:], shares[1:], strict=True):
            mean.add_(tensors.read(name).to(wide), alpha=share)
        if not bool(torch.isfinite(mean).all()):
            refuse_not_finite(stored, name)
        return mean if stays_wide else mean.to(first.dtype)

    specs = {name: widened(spec) if stays_wide else spec for name, spec in stored[0].specs.items()}
    return Tensors(specs, read)


def refuse_not_finite(stored: list[Tensors], name: str) -> None:
    """Name the model whose tensor holds what is no finite number: a training that went wrong."""
    import torch

    for index, tensors in enumerate(stored):
        if not bool(torch.isfinite(tensors.read(name)).all()):
            raise BadRequest.at(f"{POINTER}/{index}", f"{name} holds NaN or infinite weights; leave this model out")


def widened(spec: TensorSpec) -> TensorSpec:
    """A tensor in the type that it is added up in."""
    is_wide = not spec.is_float or spec.dtype == FLOAT_TYPES["float64"]
    return spec if is_wide else TensorSpec(FLOAT_TYPES["float32"], spec.shape)


def tied_away(source: WeightFiles, config: dict) -> Tensors:
    """The tensors without output embeddings that only repeat the input embeddings: some programs save them twice."""
    tensors = source.tensors()
    text = config.get("text_config")
    is_tied = config.get("tie_word_embeddings") or (isinstance(text, dict) and text.get("tie_word_embeddings"))
    outputs = next((name for name in tensors.specs if name.endswith(OUTPUT_EMBEDDINGS)), None)
    inputs = next((name for name in tensors.specs if name.endswith(INPUT_EMBEDDINGS)), None)
    if not is_tied or outputs is None or inputs is None:
        return tensors
    import torch

    if not torch.equal(tensors.read(outputs), tensors.read(inputs)):
        return tensors
    specs = {name: spec for name, spec in tensors.specs.items() if name != outputs}
    return Tensors(specs, tensors.read)


def check_alike(models: list[dict[str, TensorSpec]], mixed_types: bool) -> None:
    """Refuse models whose tensors have other names, shapes or types than those of the first."""
    first = models[0]
    problems = []
    for index, specs in enumerate(models[1:], start=1):
        pointer = f"{POINTER}/{index}"
        lacking = [name for name in first if name not in specs]
        further = [name for name in specs if name not in first]
        if lacking:
            problems.append(Problem(f"lacks {listed(lacking)}, which the first model has", pointer))
        if further:
            problems.append(Problem(f"has {listed(further)}, which the first model lacks", pointer))
        for name in first.keys() & specs.keys():
            if specs[name].shape != first[name].shape:
                detail = (
                    f"{name} has the shape {list(specs[name].shape)}, and in the first model {list(first[name].shape)}"
                )
                problems.append(Problem(detail, pointer))
            elif specs[name].dtype != first[name].dtype and not (
                mixed_types and specs[name].is_float and first[name].is_float
            ):
                detail = f"{name} is {specs[name].dtype}, and in the first model {first[name].dtype}; say 'dtype'"
                problems.append(Problem(detail, pointer))
    refuse(sorted(problems, key=lambda problem: (problem.pointer, problem.detail)))


def listed(names: list[str]) -> str:
    """Some names, and how many more there are."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def refuse(problems: list[Problem]) -> None:
    if problems:
        raise BadRequest(f"these models cannot be averaged: {problems[0]}", problems)
