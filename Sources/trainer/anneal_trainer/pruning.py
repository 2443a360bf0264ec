"""Leave layers out of a model: their weights go, those behind move up, and the configuration counts again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import BadRequest
from .weight_files import Tensors

if TYPE_CHECKING:
    import torch

POINTER = "/prune/layers"
COUNT_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
#: Where a model of several parts keeps the configuration of its decoder.
DECODER_KEYS = ("text_config", "llm_config", "language_config", "thinker_config")
#: Parts whose layers are not those of the decoder.
OTHER_PARTS = ("vision", "visual", "audio", "image", "encoder.")
#: Settings that name layers by their number or by a rhythm; with fewer layers they would silently mean others.
NUMBERED_KEYS = (
    *("cross_attention_layers", "first_k_dense_replace", "mlp_only_layers", "no_rope_layer_interval"),
    *("full_attention_interval", "attn_layer_period", "expert_layer_period", "num_kv_shared_layers"),
)


def without_layers(tensors: Tensors, config: dict, dropped: list[int]) -> tuple[Tensors, dict]:
    """The model without these layers (counted from 0), and its configuration. Raises `BadRequest`."""
    decoder, key = decoder_config(config)
    count = decoder[key]
    beyond = [layer for layer in dropped if layer >= count]
    if beyond:
        raise BadRequest.at(POINTER, f"the model has no layer {beyond[0]}: its {count} layers are numbered from 0")
    if len(set(dropped)) == count:
        raise BadRequest.at(POINTER, f"these are all {count} layers of the model; one must stay")
    numbered = [name for name in NUMBERED_KEYS if decoder.get(name)]
    if numbered:
        raise BadRequest.at(
            POINTER, f"the model's {numbered[0]} speaks of layers by their number; such models are not pruned"
        )
    prefix = layer_prefix(tensors, count)
    kept = [layer for layer in range(count) if layer not in set(dropped)]
    names = renamed(tensors, prefix, kept)

    def read(name: str) -> torch.Tensor:
        return tensors.read(names[name])

    specs = {name: tensors.specs[names[name]] for name in sorted(names)}
    changed = {name: one_per_kept(value, count, kept) for name, value in decoder.items()} | {key: len(kept)}
    if decoder is config:
        return Tensors(specs, read), changed
    holder = next(name for name in DECODER_KEYS if config.get(name) is decoder)
    return Tensors(specs, read), config | {holder: changed}


def decoder_config(config: dict) -> tuple[dict, str]:
    """The configuration that counts the decoder's layers, and its key for them."""
    for part in (config, *(config.get(name) for name in DECODER_KEYS)):
        for key in COUNT_KEYS:
            if isinstance(part, dict) and isinstance(part.get(key), int):
                return part, key
    raise BadRequest.at(POINTER, "config.json does not say how many layers the model has")


def layer_prefix(tensors: Tensors, count: int) -> str:
    """What stands before the number in the names of the layers' tensors, such as `model.layers`."""
    found: dict[str, set[int]] = {}
    for name in tensors.specs:
        prefix, number = split_number(name)
        if number is not None and not any(part in prefix for part in OTHER_PARTS):
            found.setdefault(prefix, set()).add(number)
    fitting = [prefix for prefix, numbers in found.items() if numbers == set(range(count))]
    if len(fitting) != 1:
        raise BadRequest.at(
            POINTER, f"it cannot be told which tensors are the model's {count} layers; candidates: {fitting or 'none'}"
        )
    return fitting[0]


def split_number(name: str) -> tuple[str, int | None]:
    """`model.layers.3.mlp.weight` → `model.layers` and 3; the first number counts, as experts have numbers too."""
    parts = name.split(".")
    for position, part in enumerate(parts):
        if part.isdecimal():
            return ".".join(parts[:position]), int(part)
    return name, None


def renamed(tensors: Tensors, prefix: str, kept: list[int]) -> dict[str, str]:
    """New name → old name of every tensor that stays."""
    places = {old: new for new, old in enumerate(kept)}
    names = {}
    for name in tensors.specs:
        found, number = split_number(name)
        if found != prefix:
            names[name] = name
        elif number in places:
            names[f"{prefix}.{places[number]}{name.removeprefix(f'{prefix}.{number}')}"] = name
    return names


def one_per_kept(value: object, count: int, kept: list[int]) -> object:
    """Of a list with one entry for each layer those of the layers that stay; anything else as it is."""
    if isinstance(value, list) and len(value) == count:
        return [value[layer] for layer in kept]
    return value
