"""The files that belong to a model beside its weights, and what a training leaves behind that does not."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path

#: What a converted model never has: other forms of the weights, and what trainings leave behind.
LEFT_OUT = (
    *("*.safetensors", "*.safetensors.index.json", "pytorch_model*", "*.bin", "*.pt", "*.pth", "*.gguf", "*.h5"),
    *("*.msgpack", "*.distcp", "trainer_state.json", "training_info.json", "checkpoint.json", "zero_to_fp32.py"),
    *("latest", "pinned", "awaited", "surplus", "adapter_config.json", "events.out.tfevents*", "*.log", ".*"),
    "config.json",
)
#: Folders that belong to a model; any other, such as trainer_state or adapter, stays behind.
FOLDERS = ("additional_chat_templates",)

TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model"),
)
TEMPLATE = ("chat_template.jinja", "chat_template.json")
GENERATION = ("generation_config.json",)
PROCESSOR = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
#: Files that `files_from` may give, in groups: of a group that the model has in part, only the lacking files are taken.
COMPANIONS = (*TOKENIZER, *TEMPLATE, *GENERATION, *PROCESSOR)


def copy_companions(source: Path, target: Path) -> list[str]:
    """Copy what belongs to a model but weights and configuration. Returns the names of what stayed behind."""
    behind = []
    for path in sorted(source.iterdir()):
        if path.is_dir() and path.name in FOLDERS:
            shutil.copytree(path, target / path.name)
        elif path.is_file() and not any(fnmatch(path.name, pattern) for pattern in LEFT_OUT):
            shutil.copyfile(path, target / path.name)
        elif path.name != "config.json" and not path.name.endswith((".safetensors", ".safetensors.index.json")):
            behind.append(path.name + ("/" if path.is_dir() else ""))
    return behind


def take_lacking(source: Path, target: Path) -> list[str]:
    """Copy the companions that `target` lacks and `source` has; returns their names.

    A chat template in another form than the source's counts as there: two that differ would be worse than none.
    """
    taken = []
    has_tokenizer = any(
        (target / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
    )
    for name in COMPANIONS:
        if (target / name).exists() or not (source / name).is_file():
            continue
        if name in TOKENIZER and has_tokenizer and name != "tokenizer_config.json":
            # A vocabulary of another model beside this one's own would contradict it.
            continue
        shutil.copyfile(source / name, target / name)
        taken.append(name)
    return taken
