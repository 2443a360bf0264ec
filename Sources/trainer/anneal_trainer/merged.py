"""Save a LoRA model as a server wants it: the weights merged at the top, the adapter alone in a folder beside."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer


def save_merged(model: PeftModel, folder: Path) -> None:
    """Write `folder` (merged model, in the base weights' type) and `folder/adapter` (PEFT's own files).

    The merge is computed beside the model: merging in place and undoing it would round the weights, and a resumed run
    would no longer equal an uninterrupted one.
    """
    model.save_pretrained(str(folder / "adapter"))
    base = model.get_base_model()
    base.save_pretrained(str(folder), state_dict=merged_weights(base))


def save_merged_anew(model: PeftModel, adapter: dict[str, torch.Tensor], base: Path, folder: Path) -> None:
    """The same where the model at hand holds shards only: `adapter` has the adapters' whole weights, and the model's own are read from
    its folder once more, into main memory. Its layers may be wrapped, by which PEFT does not find their adapters, so fresh ones are filled."""
    own = model.get_base_model()
    whole = type(own).from_pretrained(base, config=own.config, dtype=own.dtype, local_files_only=True)
    filled = get_peft_model(whole, copy.deepcopy(model.peft_config["default"]))
    unknown = filled.load_state_dict(adapter, strict=False).unexpected_keys
    if unknown:
        raise RuntimeError(f"the adapters have weights that a model of theirs lacks: {', '.join(unknown)}")
    save_merged(filled, folder)


def merged_weights(base: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state of the model as if it had never had adapters: W + scaling · B A where a layer has one."""
    layers = {name: module for name, module in base.named_modules() if isinstance(module, LoraLayer)}
    weights = {}
    for key, tensor in base.state_dict().items():
        if ".original_module." in key:
            # What was there before a module that is trained whole beside the adapters, such as a reward model's head.
            continue
        key = key.replace(".modules_to_save.default.", ".")
        owner = next((name for name in layers if key.startswith(f"{name}.")), None)
        if owner is None:
            weights[key] = tensor
        elif key.startswith(f"{owner}.base_layer."):
            name = key.removeprefix(f"{owner}.base_layer.")
            if name == "weight":
                delta = layers[owner].get_delta_weight("default")
                tensor = tensor + delta.to(tensor.dtype)
            weights[f"{owner}.{name}"] = tensor
    return weights
