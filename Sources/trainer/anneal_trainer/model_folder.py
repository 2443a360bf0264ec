"""What a folder of Hugging Face files is: asked before torch is loaded, and before a model is trained or converted."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from .errors import BadRequest, Problem

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")


def read_config(folder: Path, pointer: str) -> dict:
    """The parsed config.json of a model folder. Raises `BadRequest` with everything that the folder lacks."""
    if not folder.is_dir():
        raise BadRequest.at(pointer, f"{folder} is not a folder; a model is a folder of Hugging Face files")
    lacks = []
    if not any(next(folder.glob(pattern), None) for pattern in WEIGHTS):
        lacks.append("weights (*.safetensors)")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        lacks.append("a tokenizer (tokenizer.json)")
    config: object = None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        lacks.append("config.json")
    except (OSError, ValueError) as error:
        lacks.append(f"a readable config.json ({error})")
    if lacks:
        problems = [Problem(f"lacks {what}", pointer) for what in lacks]
        raise BadRequest(f"{folder} is not a model folder: it lacks {', '.join(lacks)}", problems)
    if not isinstance(config, dict):
        raise BadRequest.at(pointer, f"{folder}/config.json is not a JSON object")
    return config


def config_of(folder: Path, pointer: str) -> dict:
    """The parsed config.json of a folder that need not have anything else. Raises `BadRequest`."""
    if not folder.is_dir():
        detail = f"{folder} is no folder; a model on a hub is downloaded first, and its folder named here"
        raise BadRequest.at(pointer, detail)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadRequest.at(pointer, f"{folder} is no model in Hugging Face's format: config.json: {error}") from error
    if not isinstance(config, dict):
        raise BadRequest.at(pointer, f"{folder}/config.json is not a JSON object")
    return config


def model_class(config: dict):
    """The class of transformers that config.json names, else that of its causal language models. Loads transformers."""
    import transformers

    named = (config.get("architectures") or [""])[0]
    return getattr(transformers, named, transformers.AutoModelForCausalLM)


def has_chat_template(folder: Path) -> bool:
    """Whether the model brings a chat template, in a file of its own or inside the tokenizer's configuration."""
    try:
        if (folder / "chat_template.jinja").read_text(encoding="utf-8").strip():
            return True
    except (OSError, ValueError):
        # No such file, or one that loading the tokenizer will tell of.
        pass
    try:
        return bool(json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template"))
    except (OSError, ValueError, AttributeError):
        # Whatever is wrong with that file, it gives no template; loading the tokenizer tells more.
        return False


def chat_template_text(named: str) -> str:
    """The Jinja text of a chat template given by name (`chatml`) or as the text itself."""
    if named == "chatml":
        return resources.files(__package__).joinpath("templates/chatml.jinja").read_text(encoding="utf-8")
    return named
