"""Safetensors files: what is written is read back by the library itself, and what is broken is named."""

import json
import struct
import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file

from anneal_trainer.errors import BadData
from anneal_trainer.weight_files import INDEX_NAME, Tensors, TensorSpec, WeightFiles, cast, read_header, write_weights

WEIGHTS = {
    "a.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "b.bias": torch.tensor([1.5, -2.0, 0.25], dtype=torch.bfloat16),
    "c.count": torch.tensor(7, dtype=torch.int64),
    "d.mask": torch.tensor([True, False, True]),
    "e.empty": torch.zeros(0, 4),
    "f.half": torch.tensor([65504.0], dtype=torch.float16),
}


def stored(folder, weights=None):
    """A folder with one file, written by safetensors."""
    save_file(WEIGHTS if weights is None else weights, folder / "model.safetensors", metadata={"format": "pt"})
    return WeightFiles(folder)


def load(folder) -> dict[str, torch.Tensor]:
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


@pytest.mark.parametrize(("limit", "files"), [(10**9, 1), (64, 2), (1, 6)])
def test_what_is_written_is_read_back_whatever_the_size_of_the_shards(tmp_path, limit, files):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    said = []
    names = write_weights(tmp_path / "out", stored(tmp_path / "in").tensors(), limit, said.append)
    found = load(tmp_path / "out")
    assert len(names) == files == len(said) and found.keys() == WEIGHTS.keys()
    for name, tensor in WEIGHTS.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name
    again = WeightFiles(tmp_path / "out")
    assert (again.index is None) == (files == 1)
    if files > 1:
        assert names[0] == f"model-00001-of-{files:05d}.safetensors"
        total = json.loads((tmp_path / "out" / INDEX_NAME).read_text())["metadata"]["total_size"]
        assert total == sum(tensor.numel() * tensor.element_size() for tensor in WEIGHTS.values())
        for shard in again.files.values():
            assert len(shard) == 1 or sum(spec.bytes for spec in shard.values()) <= limit


def test_each_tensor_begins_at_a_multiple_of_its_types_size(tmp_path):
    (tmp_path / "in").mkdir()
    write_weights(tmp_path, stored(tmp_path / "in").tensors(), 10**9, print)
    with open(tmp_path / "model.safetensors", "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
    assert length % 8 == 0 and header.pop("__metadata__") == {"format": "pt"}
    assert all(entry["data_offsets"][0] % WEIGHTS[name].element_size() == 0 for name, entry in header.items())


def test_a_dtype_changes_weights_alone_and_back_gives_the_rounded_ones(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "back").mkdir()
    source = stored(tmp_path, {**WEIGHTS, "a.weight": torch.randn(8, 8)})
    write_weights(tmp_path / "there", cast(source.tensors(), "bfloat16"), 10**9, print)
    there = load(tmp_path / "there")
    assert (
        there["a.weight"].dtype == torch.bfloat16
        and there["c.count"].dtype == torch.int64
        and there["d.mask"].dtype == torch.bool
    )
    write_weights(tmp_path / "back", cast(WeightFiles(tmp_path / "there").tensors(), "float32"), 10**9, print)
    back = load(tmp_path / "back")
    assert torch.equal(back["a.weight"], source.read("a.weight").to(torch.bfloat16).to(torch.float32))
    unchanged = cast(source.tensors(), None)
    assert unchanged.specs == source.tensors().specs


def test_a_type_that_cannot_hold_a_weight_names_it(tmp_path):
    tensors = cast(stored(tmp_path, {"x": torch.tensor([70000.0])}).tensors(), "float16")
    with pytest.raises(BadData, match=r"x has weights up to 70000, which float16 cannot hold"):
        tensors.read("x")
    # An infinity that was there before stays one.
    infinite = cast(stored(tmp_path, {"x": torch.tensor([float("inf")])}).tensors(), "float16")
    assert torch.isinf(infinite.read("x")).all()


def sharded(tmp_path):
    folder = tmp_path / "sharded"
    folder.mkdir()
    (tmp_path / "in").mkdir()
    write_weights(folder, stored(tmp_path / "in").tensors(), 64, lambda text: None)
    return folder


def set_index(folder, change):
    index = json.loads((folder / INDEX_NAME).read_text())
    change(index)
    (folder / INDEX_NAME).write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda index: index["weight_map"].update({"z": "model-00001-of-00002.safetensors"}),
            "places z in model-00001",
        ),
        (
            lambda index: index["weight_map"].pop("a.weight"),
            "holds a.weight, which model.safetensors.index.json does not name",
        ),
        (lambda index: index["weight_map"].update({"a.weight": "other.safetensors"}), "other.safetensors is missing"),
        (lambda index: index["weight_map"].update({"a.weight": "../x.safetensors"}), "is no name of a file"),
        (lambda index: index.pop("weight_map"), "has no weight_map"),
    ],
)
def test_an_index_that_does_not_fit_its_files_is_refused(tmp_path, change, words):
    folder = sharded(tmp_path)
    set_index(folder, change)
    with pytest.raises(BadData) as caught:
        WeightFiles(folder)
    assert any(words in problem.detail for problem in caught.value.problems), caught.value.problems


def test_broken_files_are_named(tmp_path):
    folder = sharded(tmp_path)
    first, second = sorted(folder.glob("*.safetensors"))
    whole = first.read_bytes()
    for content, words in [
        (whole[:-1], "its header describes"),
        (whole + b"x", "its header describes"),
        (b"", "or was cut off"),
        (b"\xff" * 16, "or was cut off"),
        (whole[:8] + b"[" + whole[9:], "not JSON"),
        (struct.pack("<Q", 8) + b'{"a":{}}', "cannot be understood"),
    ]:
        first.write_bytes(content)
        with pytest.raises(BadData) as caught:
            WeightFiles(folder)
        assert first.name in caught.value.problems[0].detail and words in caught.value.problems[0].detail
    first.write_bytes(whole)
    (folder / INDEX_NAME).write_text("{")
    with pytest.raises(BadData, match=r"index.json cannot be read"):
        WeightFiles(folder)
    (folder / INDEX_NAME).unlink()
    with pytest.raises(BadData, match=r"2 .*safetensors files and no model.safetensors.index.json"):
        WeightFiles(folder)
    for path in (first, second):
        path.unlink()
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(BadData, match=r"pytorch_model.bin is of an older format"):
        WeightFiles(folder)


def test_one_tensor_is_in_memory_at_a_time(tmp_path):
    alive = weakref.WeakSet()
    most = []

    def read(name: str) -> torch.Tensor:
        most.append(len(alive))
        tensor = torch.zeros(4)
        alive.add(tensor)
        return tensor

    write_weights(tmp_path, Tensors({f"w{i}": TensorSpec("F32", (4,)) for i in range(9)}, read), 40, lambda text: None)
    assert len(most) == 9 and max(most) <= 1


def test_a_tensor_that_is_not_what_was_announced_is_never_written(tmp_path):
    tensors = Tensors({"x": TensorSpec("F32", (2,))}, lambda name: torch.zeros(3))
    with pytest.raises(RuntimeError, match=r"x is torch.float32"):
        write_weights(tmp_path, tensors, 10**9, print)


def test_headers_are_read_as_the_library_reads_them(tmp_path):
    stored(tmp_path)
    specs = read_header(tmp_path / "model.safetensors")
    assert {name: spec.shape for name, spec in specs.items()} == {
        name: tuple(tensor.shape) for name, tensor in WEIGHTS.items()
    }
    assert str(specs["b.bias"]) == "BF16[3]"
