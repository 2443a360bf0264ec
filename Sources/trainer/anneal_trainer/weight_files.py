"""The weights of a model folder: safetensors files read header by header, and written tensor by tensor.

A file of safetensors is 8 bytes (little-endian) with the length of a JSON header, the header, and the tensors one after
the other; the header names each tensor with `dtype`, `shape` and `data_offsets`. Several files have an index beside
them (`model.safetensors.index.json`), whose `weight_map` says which tensor lies in which file.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BadData, Problem

if TYPE_CHECKING:
    import torch

SINGLE_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
#: Longer headers are refused by the safetensors library as well.
HEADER_BYTES_MAX = 100_000_000
#: The name of a type in a header → bytes of one number.
TYPE_BYTES = {
    **{"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1},
    **{"U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1},
}
#: The types of weights that are computed with, by their names in a spec.
FLOAT_TYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "float64": "F64"}


@dataclass(frozen=True)
class TensorSpec:
    """A tensor as a header describes it."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.count * TYPE_BYTES[self.dtype]

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOAT_TYPES.values()

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


@dataclass(frozen=True)
class Tensors:
    """Named tensors, none of which is in memory: `read(name)` makes one, of the type and shape that its spec tells."""

    specs: dict[str, TensorSpec]
    read: Callable[[str], torch.Tensor]

    @property
    def parameters(self) -> int:
        return sum(spec.count for spec in self.specs.values())


class WeightFiles:
    """The safetensors files of a folder, whose headers and index agree with each other."""

    def __init__(self, folder: Path):
        """Read index and headers. Raises `BadData` with everything that is wrong with them."""
        self.folder = folder
        problems: list[Problem] = []
        self.index = read_index(folder, problems)
        #: File name → its tensors.
        self.files: dict[str, dict[str, TensorSpec]] = {}
        for name in self.file_names(problems):
            try:
                self.files[name] = read_header(folder / name)
            except BadData as error:
                problems += error.problems
        if not problems:
            self.check_index(problems)
        if problems:
            raise BadData(f"the weights of {folder} are not sound: {problems[0].detail}", problems)
        #: Tensor → the file it lies in.
        self.places = {name: file for file, tensors in self.files.items() for name in tensors}
        self.open_files: dict = {}

    def file_names(self, problems: list[Problem]) -> list[str]:
        """The files that hold weights: those of the index, else the single one, else whatever is there."""
        if self.index is not None:
            return sorted(set(self.index.values()))
        found = sorted(path.name for path in self.folder.glob("*.safetensors"))
        if SINGLE_NAME in found:
            return [SINGLE_NAME]
        if len(found) > 1 and not problems:
            problems.append(Problem(f"there are {len(found)} *.safetensors files and no {INDEX_NAME}"))
        elif not found and not problems:
            others = sorted(path.name for path in self.folder.glob("pytorch_model*.bin"))
            hint = (
                f"; {others[0]} is of an older format, which transformers' save_pretrained brings into this one"
                if others
                else ""
            )
            problems.append(Problem(f"there are no *.safetensors files{hint}"))
        return found

    def check_index(self, problems: list[Problem]) -> None:
        """Each tensor of the index must lie in its file, and each tensor of a file must stand in the index, once."""
        if self.index is None:
            return
        for name, file in self.index.items():
            if name not in self.files[file]:
                problems.append(Problem(f"{INDEX_NAME} places {name} in {file}, which does not hold it"))
        for file, tensors in self.files.items():
            for name in tensors:
                if name not in self.index:
                    problems.append(Problem(f"{file} holds {name}, which {INDEX_NAME} does not name"))
                elif self.index[name] != file and name in self.files[self.index[name]]:
                    problems.append(Problem(f"{name} lies in {file} and in {self.index[name]}"))

    def tensors(self) -> Tensors:
        """All tensors, in the order of their names."""
        specs = {name: self.files[self.places[name]][name] for name in sorted(self.places)}
        return Tensors(specs, self.read)

    def read(self, name: str) -> torch.Tensor:
        """One tensor, copied out of its file."""
        from safetensors import safe_open

        file = self.places[name]
        if file not in self.open_files:
            self.open_files[file] = safe_open(self.folder / file, framework="pt")
        return self.open_files[file].get_tensor(name)

    def close(self) -> None:
        """Let go of the files, which are mapped into memory while tensors are read."""
        self.open_files.clear()


def read_index(folder: Path, problems: list[Problem]) -> dict[str, str] | None:
    """Tensor → file, or None where there is no index, or none that can be read."""
    try:
        index = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        problems.append(Problem(f"{INDEX_NAME} cannot be read: {error}"))
        return None
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not places:
        problems.append(Problem(f"{INDEX_NAME} has no weight_map"))
        return None
    for name, file in places.items():
        if not isinstance(file, str) or os.sep in file or not file.endswith(".safetensors"):
            problems.append(
                Problem(f"{INDEX_NAME} places {name} in {file!r}, which is no name of a file of safetensors")
            )
            return None
    return places


def read_header(path: Path) -> dict[str, TensorSpec]:
    """The tensors of a file. Raises `BadData` where the header does not describe the whole file."""

    def wrong(detail: str) -> BadData:
        return BadData(f"{path}: {detail}", [Problem(f"{path.name} {detail}")])

    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(HEADER_BYTES_MAX, size - 8):
                raise wrong("is no file of safetensors, or was cut off")
            header = json.loads(file.read(length))
    except FileNotFoundError as error:
        raise wrong("is missing") from error
    except OSError as error:
        raise wrong(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise wrong(f"has a header that is not JSON: {error}") from error
    try:
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        specs = {name: TensorSpec(entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()}
        spans = sorted((*entries[name]["data_offsets"], spec.bytes, name) for name, spec in specs.items())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise wrong(f"has a header that cannot be understood: {error!r}") from error
    end = 0
    for begin, stop, expected, name in spans:
        if begin != end or stop - begin != expected:
            raise wrong(f"gives {name} a place that does not fit its type and shape")
        end = stop
    if 8 + length + end != size:
        raise wrong(f"has {size} bytes, and its header describes {8 + length + end}")
    return specs


def write_weights(folder: Path, tensors: Tensors, max_shard_size: int, report: Callable[[str], None]) -> list[str]:
    """Write all tensors, one in memory at a time, and the index where there are several files. Returns their names.

    A file has at most `max_shard_size` bytes of weights; a larger tensor has one of its own.
    """
    shards = plan_shards(tensors.specs, max_shard_size)
    width = f"model-{{:05d}}-of-{len(shards):05d}.safetensors"
    names = [SINGLE_NAME] if len(shards) == 1 else [width.format(number) for number in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        size = write_file(folder / name, {key: tensors.specs[key] for key in shard}, tensors.read)
        report(f"wrote {name}: {len(shard)} tensors, {size:,} bytes")
    if len(shards) > 1:
        total = sum(spec.bytes for spec in tensors.specs.values())
        places = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        (folder / INDEX_NAME).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return names


def plan_shards(specs: dict[str, TensorSpec], max_shard_size: int) -> list[list[str]]:
    """The tensors of each file, in the order of `specs`."""
    shards: list[list[str]] = [[]]
    room = max_shard_size
    for name, spec in specs.items():
        if spec.bytes > room and shards[-1]:
            shards.append([])
            room = max_shard_size
        shards[-1].append(name)
        room -= spec.bytes
    return shards


def write_file(path: Path, specs: dict[str, TensorSpec], read: Callable[[str], torch.Tensor]) -> int:
    """Write one file of safetensors; returns its size in bytes."""
    # Larger types first, so that each tensor begins at a multiple of its type's size.
    names = sorted(specs, key=lambda name: -TYPE_BYTES[specs[name].dtype])
    header: dict = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        begin, end = end, end + specs[name].bytes
        header[name] = {"dtype": specs[name].dtype, "shape": list(specs[name].shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for name in names:
            file.write(data_of(read(name), specs[name], name))
    return 8 + len(text) + end


def data_of(tensor: torch.Tensor, spec: TensorSpec, name: str) -> memoryview:
    """The bytes of a tensor, which must be what its spec says."""
    import torch

    if tuple(tensor.shape) != spec.shape or tensor.element_size() != TYPE_BYTES[spec.dtype]:
        raise RuntimeError(f"{name} is {tensor.dtype}{list(tensor.shape)}, and {spec} was announced")
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def cast(tensors: Tensors, dtype: str | None) -> Tensors:
    """All weights in another floating-point type (a name of `FLOAT_TYPES`); whole numbers and truth values stay.

    Reading a weight that the type cannot hold raises `BadData`: float16 ends at 65504.
    """
    if dtype is None or not any(changes(spec, dtype) for spec in tensors.specs.values()):
        return tensors
    import torch

    def read(name: str) -> torch.Tensor:
        before = tensors.read(name)
        if not changes(tensors.specs[name], dtype):
            return before
        after = before.to(getattr(torch, dtype))
        if not bool(torch.isfinite(after).all()) and bool(torch.isfinite(before).all()):
            detail = f"{name} has weights up to {float(before.abs().max()):g}, which {dtype} cannot hold; bfloat16 can"
            raise BadData(detail, [Problem(detail, "/dtype")])
        return after

    specs = {
        name: TensorSpec(FLOAT_TYPES[dtype], spec.shape) if changes(spec, dtype) else spec
        for name, spec in tensors.specs.items()
    }
    return Tensors(specs, read)


def changes(spec: TensorSpec, dtype: str) -> bool:
    """Whether a tensor has another form in this type."""
    return spec.is_float and spec.dtype != FLOAT_TYPES[dtype]


def float_types(specs: Iterable[TensorSpec]) -> set[str]:
    """The floating-point types among tensors, by their names in a spec."""
    return {name for name, stored in FLOAT_TYPES.items() if any(spec.dtype == stored for spec in specs)}
