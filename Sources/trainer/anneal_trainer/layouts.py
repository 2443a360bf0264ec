"""What a folder must hold to be a model of NeMo, TensorRT-LLM or Megatron. Only names and small files are looked at.

NeMo 2.0: `context/{nemo_tokenizer/…, io.json, model.yaml}` and
`weights/{.metadata, __<rank>_<part>.distcp, common.pt, metadata.json}`.
TensorRT-LLM: `config.json` and one `rank<n>.engine` (built) or `rank<n>.safetensors` (checkpoint) for each rank.
Megatron: `latest_checkpointed_iteration.txt` and the folder that it names, `iter_<7 digits>` or `release`, with a
distributed checkpoint as NeMo's, or `mp_rank_<n>[_<n>]/model_optim_rng.pt`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

DISTRIBUTED_FILES = (".metadata", "metadata.json", "common.pt")
#: Each one makes a NeMo tokenizer folder usable.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
RANK_NAME = re.compile(r"rank(0|[1-9][0-9]*)\.(engine|safetensors)")


def lacks(layout: str, folder: Path) -> list[str]:
    """What is missing or does not fit, one sentence each; empty where the folder is a model of the layout."""
    if not folder.is_dir():
        return [
            f"{folder.name} is no folder" if folder.exists() else "the folder itself, which the program did not make"
        ]
    return CHECKS[layout](folder)


def hugging_face(folder: Path) -> list[str]:
    """A folder of Hugging Face files; `export_check` looks at it more closely."""
    weights = [] if next(folder.glob("*.safetensors"), None) else ["weights (*.safetensors)"]
    return missing_files(folder, ("config.json",), "") + weights


def nemo(folder: Path) -> list[str]:
    """NeMo 2.0's folder."""
    missing = missing_files(folder / "context", ("io.json", "model.yaml"), "context/")
    tokenizer = folder / "context" / "nemo_tokenizer"
    if not any((tokenizer / name).is_file() for name in TOKENIZER_FILES):
        missing.append(f"context/nemo_tokenizer with one of {', '.join(TOKENIZER_FILES)}")
    return missing + distributed(folder / "weights", "weights/")


def tensorrt_llm(folder: Path) -> list[str]:
    """TensorRT-LLM's folder: ranks from 0 on, as many as config.json's mapping says."""
    missing = missing_files(folder, ("config.json",), "")
    found = [match for match in (RANK_NAME.fullmatch(path.name) for path in sorted(folder.iterdir())) if match]
    kinds = {match[2] for match in found}
    if not found:
        return [*missing, "rank0.engine or rank0.safetensors"]
    if len(kinds) > 1:
        missing.append("one kind of rank files: there are both .engine and .safetensors")
    kind = "engine" if "engine" in kinds else "safetensors"
    ranks = {int(match[1]) for match in found if match[2] == kind}
    world = None if missing else world_size(folder / "config.json")
    for rank in range(max(world or 0, max(ranks) + 1)):
        if rank not in ranks:
            missing.append(f"rank{rank}.{kind}" + (f" (config.json has world_size {world})" if world else ""))
    if world and max(ranks) >= world:
        missing.append(f"room for rank{max(ranks)}.{kind}: config.json has world_size {world}")
    return missing + empty_files(folder, [match[0] for match in found], "")


def world_size(config: Path) -> int | None:
    """`mapping.world_size` of a checkpoint's config.json, or of an engine's `pretrained_config`, where it says one."""
    try:
        document = json.loads(config.read_text(encoding="utf-8"))
        mapping = (document.get("pretrained_config") or document).get("mapping") or {}
        size = mapping.get("world_size")
    except (OSError, ValueError, AttributeError):
        return None
    return size if isinstance(size, int) and 0 < size <= 65_536 else None


def megatron(folder: Path) -> list[str]:
    """Megatron's folder."""
    tracker = folder / "latest_checkpointed_iteration.txt"
    try:
        text = tracker.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return [tracker.name]
    if text != "release" and not re.fullmatch("[0-9]{1,9}", text):
        return [f"a number or 'release' in {tracker.name}, which holds {text[:60]!r}"]
    name = "release" if text == "release" else f"iter_{int(text):07d}"
    iteration = folder / name
    if not iteration.is_dir():
        return [f"{name}/, which {tracker.name} names"]
    ranks = [path for path in sorted(iteration.glob("mp_rank_*")) if path.is_dir()]
    if not ranks:
        return distributed(iteration, f"{name}/")
    legacy = "model_optim_rng.pt"
    return [lack for rank in ranks for lack in missing_files(rank, (legacy,), f"{name}/{rank.name}/")]


def distributed(folder: Path, prefix: str) -> list[str]:
    """A checkpoint of torch's distributed format."""
    missing = missing_files(folder, DISTRIBUTED_FILES, prefix)
    parts = sorted(path.name for path in folder.glob("__*_*.distcp")) if folder.is_dir() else []
    return missing + ([] if parts else [f"{prefix}__0_0.distcp"]) + empty_files(folder, parts, prefix)


def missing_files(folder: Path, names: tuple[str, ...], prefix: str) -> list[str]:
    """Those of `names` that are not there, and those that are empty."""
    missing = [prefix + name for name in names if not (folder / name).is_file()]
    return missing + empty_files(folder, [name for name in names if (folder / name).is_file()], prefix)


def empty_files(folder: Path, names: list[str], prefix: str) -> list[str]:
    return [f"content in {prefix}{name}, which is empty" for name in names if (folder / name).stat().st_size == 0]


CHECKS: dict[str, Callable[[Path], list[str]]] = {
    "hf": hugging_face,
    "nemo": nemo,
    "tensorrt-llm": tensorrt_llm,
    "megatron": megatron,
}
