"""Add a LoRA adapter to the weights of its model, by PEFT."""

from __future__ import annotations

from pathlib import Path

from .errors import BadRequest, Problem
from .model_folder import config_of, model_class
from .weight_files import read_header

POINTER = "/merge_lora/adapter"
CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"


def adapter_folder(folder: Path) -> Path:
    """The adapter's own folder: the given one, or where a checkpoint of a LoRA training has it, ours or NeMo RL's."""
    for candidate in (folder, folder / "adapter", folder / "policy/weights/model"):
        if (candidate / CONFIG_NAME).is_file():
            if not (candidate / WEIGHTS_NAME).is_file():
                raise BadRequest.at(POINTER, f"{candidate} has {CONFIG_NAME} and no {WEIGHTS_NAME}")
            return candidate
    raise BadRequest.at(POINTER, f"{folder} is no adapter: neither it nor its folder 'adapter' has {CONFIG_NAME}")


def merge(model: Path, config: dict, adapter: Path, dtype: str | None, target: Path, max_shard_size: int) -> None:
    """Write the merged weights and configuration into `target`.

    The whole model is in memory. It is computed with in the stored type, or in `dtype` (a name of torch's) where given.
    Raises `BadRequest` where the adapter does not fit the model, and where a merged weight is no finite number.
    """
    import torch
    from peft import PeftModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = adapter_folder(adapter)
    try:
        base = model_class(config).from_pretrained(
            model, dtype=getattr(torch, dtype) if dtype else "auto", local_files_only=True
        )
        adapted = PeftModel.from_pretrained(base, str(folder))
        check_all_loaded(adapted, folder)
        untie_adapted(base)
        merged = adapted.merge_and_unload(safe_merge=True)
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise BadRequest.at(POINTER, f"the adapter {folder} cannot be merged into {model}: {error}") from error
    merged.save_pretrained(str(target), max_shard_size=max_shard_size)


def check_all_loaded(adapted, folder: Path) -> None:
    """PEFT passes over tensors that find no place, and leaves others at their start: no such thing is merged."""
    from peft import get_peft_model_state_dict

    wanted = set(get_peft_model_state_dict(adapted))
    given = set(read_header(folder / WEIGHTS_NAME))
    problems = [Problem(f"holds {name}, for which the model has no place", POINTER) for name in sorted(given - wanted)]
    problems += [Problem(f"lacks {name}, which its configuration asks for", POINTER) for name in sorted(wanted - given)]
    if problems:
        raise BadRequest(f"the adapter {folder} does not fit the model: {problems[0].detail}", problems)


def untie_adapted(base) -> None:
    """Part tied embeddings of which the adapter changes one: merged into the weight of both it would change the other.

    Where the adapter changes both alike (PEFT's `ensure_weight_tying`) they stay one.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    ends = [base.get_input_embeddings(), base.get_output_embeddings()]
    adapted = [isinstance(end, BaseTunerLayer) for end in ends]
    plain = [getattr(end, "base_layer", end) for end in ends]
    if adapted[0] == adapted[1] or getattr(plain[0], "weight", 0) is not getattr(plain[1], "weight", 1):
        return
    other = plain[adapted.index(False)]
    other.weight = torch.nn.Parameter(other.weight.detach().clone(), requires_grad=False)
    base.config.tie_word_embeddings = False


def untied(config: dict, merged: Path) -> dict:
    """The model's configuration, without tied embeddings where the adapter has changed one of the two."""
    if config_of(merged, POINTER).get("tie_word_embeddings") is False:
        return config | {"tie_word_embeddings": False}
    return config
