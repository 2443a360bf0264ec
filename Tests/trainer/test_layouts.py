"""The layouts of NeMo, TensorRT-LLM and Megatron: a whole one passes, and of a broken one every lack is named."""

import json

import pytest

from anneal_trainer.layouts import lacks

NEMO = [
    *(
        "context/io.json",
        "context/model.yaml",
        "context/nemo_tokenizer/tokenizer.json",
        "context/nemo_tokenizer/tokenizer_config.json",
    ),
    *(
        "context/nemo_tokenizer/special_tokens_map.json",
        "weights/.metadata",
        "weights/__0_0.distcp",
        "weights/__0_1.distcp",
    ),
    *("weights/common.pt", "weights/metadata.json"),
]
MEGATRON = [
    f"iter_0000100/{name}" for name in (".metadata", "metadata.json", "common.pt", "__0_0.distcp", "__1_0.distcp")
]


def folder(path, files, **contents):
    """A folder with these files; `contents` gives the text of some by their stem."""
    for name in files:
        target = path / "made" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(contents.get(target.stem, "x"))
    return path / "made"


def test_the_layout_that_nemos_import_leaves_is_whole(tmp_path):
    assert lacks("nemo", folder(tmp_path, NEMO)) == []


@pytest.mark.parametrize("name", [name for name in NEMO if "tokenizer/" not in name and "__0" not in name])
def test_each_file_of_nemo_is_missed(tmp_path, name):
    assert lacks("nemo", folder(tmp_path, [other for other in NEMO if other != name])) == [name]


def test_parts_of_nemo_are_missed(tmp_path):
    assert lacks("nemo", folder(tmp_path, [name for name in NEMO if "__0" not in name])) == ["weights/__0_0.distcp"]
    bare = folder(tmp_path / "b", [name for name in NEMO if "tokenizer" not in name])
    assert lacks("nemo", bare) == ["context/nemo_tokenizer with one of tokenizer.json, tokenizer.model, vocab.json"]
    made = folder(tmp_path / "c", NEMO)
    (made / "weights/common.pt").write_text("")
    assert lacks("nemo", made) == ["content in weights/common.pt, which is empty"]
    assert lacks("nemo", tmp_path / "none") == ["the folder itself, which the program did not make"]
    (tmp_path / "file").touch()
    assert lacks("nemo", tmp_path / "file") == ["file is no folder"]
    assert len(lacks("nemo", folder(tmp_path / "d", ["x"]))) == 7


ENGINE = json.dumps({"pretrained_config": {"mapping": {"world_size": 2}}, "build_config": {}})
CHECKPOINT = json.dumps({"architecture": "LlamaForCausalLM", "mapping": {"world_size": 1}})


@pytest.mark.parametrize(
    ("files", "config", "expected"),
    [
        (["config.json", "rank0.engine", "rank1.engine"], ENGINE, []),
        (["config.json", "rank0.safetensors"], CHECKPOINT, []),
        (["config.json", "rank0.safetensors"], "{}", []),
        (["config.json", "rank0.engine"], ENGINE, ["rank1.engine (config.json has world_size 2)"]),
        (["config.json", "rank1.safetensors"], "{}", ["rank0.safetensors"]),
        (
            ["config.json", "rank0.safetensors", "rank1.safetensors"],
            CHECKPOINT,
            ["room for rank1.safetensors: config.json has world_size 1"],
        ),
        (["config.json", "rank.engine"], ENGINE, ["rank0.engine or rank0.safetensors"]),
        (["rank0.engine"], "", ["config.json"]),
        (
            ["config.json", "rank0.engine", "rank0.safetensors"],
            "{}",
            ["one kind of rank files: there are both .engine and .safetensors"],
        ),
    ],
)
def test_tensorrt_llms_ranks_are_those_of_its_config(tmp_path, files, config, expected):
    assert lacks("tensorrt-llm", folder(tmp_path, files, config=config)) == expected


def test_megatrons_iteration_is_the_one_that_its_tracker_names(tmp_path):
    tracker = "latest_checkpointed_iteration.txt"
    made = folder(tmp_path, [tracker, *MEGATRON], latest_checkpointed_iteration="100\n")
    assert lacks("megatron", made) == []
    (made / tracker).write_text("200")
    assert lacks("megatron", made) == [f"iter_0000200/, which {tracker} names"]
    (made / tracker).write_text("soon")
    assert lacks("megatron", made) == [f"a number or 'release' in {tracker}, which holds 'soon'"]
    (made / tracker).unlink()
    assert lacks("megatron", made) == [tracker]
    legacy = folder(
        tmp_path / "l", [tracker, "release/mp_rank_00/model_optim_rng.pt"], latest_checkpointed_iteration="release"
    )
    assert lacks("megatron", legacy) == []
    (legacy / "release/mp_rank_00/model_optim_rng.pt").unlink()
    assert lacks("megatron", legacy) == ["release/mp_rank_00/model_optim_rng.pt"]
    parts = folder(tmp_path / "p", [tracker, "iter_0000001/common.pt"], latest_checkpointed_iteration="1")
    assert lacks("megatron", parts) == [
        "iter_0000001/.metadata",
        "iter_0000001/metadata.json",
        "iter_0000001/__0_0.distcp",
    ]
