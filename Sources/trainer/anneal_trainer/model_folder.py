"""Is a folder a Hugging Face causal language model that can be trained? Asked before torch is loaded."""

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


def has_chat_template(folder: Path) -> bool:
    """Whether the model brings a chat template, in a file of its own or inside the tokenizer's configuration."""
    if (folder / "chat_template.jinja").is_file():
        return True
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
