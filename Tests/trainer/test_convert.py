"""Convert: what is averaged, merged, cast, pruned, completed and checked is what transformers and PEFT make of it."""

import json
import shutil
import sys
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from anneal_trainer.errors import BadData, BadRequest
from conftest import Attempt


def converting(tmp_path, name="job", **spec) -> Attempt:
    return Attempt(
        tmp_path / name,
        "convert",
        {key: str(value) if key in ("model", "files_from") else value for key, value in spec.items()},
    )


def weights_of(folder) -> dict[str, torch.Tensor]:
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


def load(folder, **arguments):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, **arguments).eval()


@pytest.fixture
def variants(tiny_model, tmp_path):
    """Makes models that differ from the tiny one by noise: `variants(name, seed)`."""

    def make(name: str, seed: int, **changes):
        folder = tmp_path / name
        shutil.copytree(tiny_model, folder)
        torch.manual_seed(seed)
        weights = {key: tensor + torch.randn_like(tensor) for key, tensor in weights_of(tiny_model).items()}
        save_file(
            changes.get("change", lambda found: found)(weights), folder / "model.safetensors", metadata={"format": "pt"}
        )
        return folder

    return make


def refused(attempt: Attempt) -> list[tuple[str, str]]:
    """The pointers and details of a job that is refused, of which nothing is left; the message where it has none."""
    with pytest.raises((BadRequest, BadData)) as caught:
        attempt.here()
    assert not attempt.outputs.exists() or list(attempt.outputs.iterdir()) == []
    return [(problem.pointer, problem.detail) for problem in caught.value.problems] or [("", caught.value.message)]


@pytest.mark.parametrize("shares", [None, [3, 1, 4]])
def test_a_mean_is_what_is_computed_by_hand(variants, tmp_path, shares):
    models = [variants(name, seed) for seed, name in enumerate("abc")]
    average = {"checkpoints": [str(model) for model in models]} | ({"weights": shares} if shares else {})
    code, outputs, summary = converting(tmp_path, average=average).here()
    found, sources = weights_of(tmp_path / "job/outputs/model"), [weights_of(model) for model in models]
    parts = [share / sum(shares) for share in shares] if shares else [1 / 3] * 3
    assert code == 0 and summary["models"] == 3 and found.keys() == sources[0].keys()
    for name, tensor in found.items():
        expected = sum(part * source[name].double() for part, source in zip(parts, sources, strict=True))
        torch.testing.assert_close(tensor.double(), expected, atol=1e-6, rtol=1e-6)
    assert summary["parameters"] == load(outputs["model"]["path"]).num_parameters()


def test_a_mean_is_added_up_in_float32(tmp_path, variants):
    def half(value, weights):
        return {name: torch.full_like(tensor, value).to(torch.bfloat16) for name, tensor in weights.items()}

    models = [variants(f"m{number}", 0, change=partial(half, value)) for number, value in enumerate((1, 1, 1.0078125))]
    converting(tmp_path, average={"checkpoints": [str(model) for model in models]}, dtype="float32").here()
    found = weights_of(tmp_path / "job/outputs/model")
    # bfloat16 has no number between 1 and 1.0078125.
    assert all(torch.allclose(tensor, torch.full_like(tensor, 3.0078125 / 3)) for tensor in found.values())
    assert json.loads((tmp_path / "job/outputs/model/config.json").read_text())["dtype"] == "float32"


def test_models_that_have_no_mean_are_refused_and_the_tensor_is_named(tiny_model, variants, tmp_path):
    def cut(weights):
        return weights | {"model.norm.weight": weights["model.norm.weight"][:-1].clone()}

    def fewer(weights):
        return {name: tensor for name, tensor in weights.items() if name != "model.norm.weight"} | {
            "extra": torch.zeros(1)
        }

    def halved(weights):
        return weights | {"model.norm.weight": weights["model.norm.weight"].half()}

    def counted(weights):
        return weights | {"model.steps": torch.tensor(len(str(weights)))}

    for change, words in [
        (cut, "model.norm.weight has the shape [31], and in the first model [32]"),
        (fewer, "lacks model.norm.weight"),
        (halved, "model.norm.weight is F16, and in the first model F32; say 'dtype'"),
    ]:
        other = variants(change.__name__, 1, change=change)
        found = refused(converting(tmp_path, average={"checkpoints": [str(tiny_model), str(other)]}))
        assert found[-1][0] == "/average/checkpoints/1" and any(words in detail for _, detail in found), found
    one, two = (
        variants("one", 1, change=counted),
        variants("two", 2, change=lambda found: found | {"model.steps": torch.tensor(-1)}),
    )
    found = refused(converting(tmp_path, average={"checkpoints": [str(one), str(two)]}))
    assert "model.steps holds I64 numbers other than those of the first model" in found[0][1]
    broken = variants("broken", 1, change=lambda found: {name: tensor / 0 for name, tensor in found.items()})
    found = refused(converting(tmp_path, average={"checkpoints": [str(tiny_model), str(broken)]}))
    assert found[0][0] == "/average/checkpoints/1" and "NaN or infinite" in found[0][1]
    other = variants("other", 1)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"model_type": "qwen2"}))
    found = refused(converting(tmp_path, average={"checkpoints": [str(tiny_model), str(other)]}))
    assert found == [
        (
            "/average/checkpoints/1",
            "has model_type 'qwen2', and the first model 'llama'; only models of one architecture have a mean",
        )
    ]


def test_whole_numbers_that_are_equal_and_tied_weights_that_one_model_saved_are_no_hindrance(
    tiny_model, variants, tmp_path
):
    def tied(weights):
        return weights | {"lm_head.weight": weights["model.embed_tokens.weight"].clone(), "steps": torch.tensor(5)}

    other, third = (
        variants("other", 1, change=tied),
        variants("third", 2, change=lambda found: found | {"steps": torch.tensor(5)}),
    )
    converting(tmp_path, average={"checkpoints": [str(other), str(third)]}).here()
    found = weights_of(tmp_path / "job/outputs/model")
    assert found["steps"] == 5 and "lm_head.weight" not in found
    # Whatever writes the weights anew writes them once.
    for name, change in {"cast": {"dtype": "bfloat16"}, "sharded": {"max_shard_size": "20KB"}}.items():
        converting(tmp_path, name, model=other, **change).here()
        assert "lm_head.weight" not in weights_of(tmp_path / name / "outputs/model")


LORA = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}


@pytest.fixture
def adapter(tiny_model, tmp_path):
    """Makes an adapter with random weights by PEFT: `adapter(**settings)`."""

    def make(**settings):
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(3)
        adapted = get_peft_model(load(tiny_model), LoraConfig(task_type="CAUSAL_LM", **(LORA | settings)))
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        folder = tmp_path / "adapter"
        adapted.save_pretrained(folder)
        return folder, adapted

    return make


@pytest.mark.parametrize(
    "settings",
    [{}, {"use_rslora": True}, {"use_dora": True}]
    + [{"modules_to_save": ["embed_tokens"]}, {"modules_to_save": ["lm_head"]}],
)
def test_a_merge_is_pefts(tiny_model, adapter, tmp_path, settings):
    folder, adapted = adapter(**settings)
    _, outputs, _ = converting(tmp_path, model=tiny_model, merge_lora={"adapter": str(folder)}).here()
    expected = adapted.merge_and_unload().eval()
    merged = load(outputs["model"]["path"])
    for (name, ours), (_, theirs) in zip(merged.named_parameters(), expected.named_parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0, msg=name)
    names = {path.name for path in (tmp_path / "job/outputs/model").iterdir()}
    assert {
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "model.safetensors",
    } <= names and "adapter_config.json" not in names
    assert [path.name for path in (tmp_path / "job/outputs").iterdir()] == ["model"]


@pytest.mark.parametrize("end", ["embed_tokens", "lm_head"])
def test_an_adapter_of_one_of_two_tied_embeddings_parts_them(tiny_model, adapter, tmp_path, end):
    folder, adapted = adapter(target_modules=[end, "q_proj"])
    tokens = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = adapted.eval()(tokens).logits
        attempt = converting(tmp_path, model=tiny_model, merge_lora={"adapter": str(folder)}, export="check")
        _, outputs, _ = attempt.here()
        torch.testing.assert_close(load(outputs["model"]["path"])(tokens).logits, before, atol=1e-4, rtol=0)
    assert json.loads((tmp_path / "job/outputs/model/config.json").read_text())["tie_word_embeddings"] is False


@pytest.mark.parametrize("place", ["adapter", "policy/weights/model"])
def test_an_adapter_lies_in_a_checkpoint_too_and_a_merge_can_be_cast_and_sharded(tiny_model, adapter, tmp_path, place):
    folder, adapted = adapter()
    (tmp_path / "step_1" / place).parent.mkdir(parents=True)
    folder.rename(tmp_path / "step_1" / place)
    attempt = converting(
        tmp_path,
        model=tiny_model,
        merge_lora={"adapter": str(tmp_path / "step_1")},
        dtype="bfloat16",
        max_shard_size="20KB",
        export="check",
    )
    _, outputs, _ = attempt.here()
    expected = {name: tensor.to(torch.bfloat16) for name, tensor in adapted.merge_and_unload().state_dict().items()}
    merged = load(outputs["model"]["path"], dtype="auto")
    assert merged.dtype == torch.bfloat16 and len(list((attempt.outputs / "model").glob("*.safetensors"))) > 2
    assert all(torch.equal(tensor, expected[name]) for name, tensor in merged.state_dict().items())


def test_an_adapter_that_does_not_fit_is_refused(tiny_model, adapter, tmp_path):
    folder, _ = adapter()
    path = folder / "adapter_model.safetensors"
    whole = load_file(path)
    first = min(whole)
    for weights, words in [
        ({name: tensor for name, tensor in whole.items() if name != first}, f"lacks {first}"),
        (
            whole | {"base_model.model.model.layers.9.q_proj.lora_A.weight": torch.zeros(1)},
            "layers.9.q_proj.lora_A.weight, for which",
        ),
        ({name: tensor[:1].clone() for name, tensor in whole.items()}, "size mismatch"),
        (whole | {first: torch.full_like(whole[first], float("nan"))}, "NaN"),
    ]:
        save_file(weights, path)
        found = refused(converting(tmp_path, model=tiny_model, merge_lora={"adapter": str(folder)}))
        assert found[0][0] == "/merge_lora/adapter" and words in found[0][1], found
    path.unlink()
    assert (
        "no adapter_model.safetensors"
        in refused(converting(tmp_path, model=tiny_model, merge_lora={"adapter": str(folder)}))[0][1]
    )
    assert (
        "is no adapter"
        in refused(converting(tmp_path, model=tiny_model, merge_lora={"adapter": str(tiny_model)}))[0][1]
    )


def test_a_dtype_there_and_back(tiny_model, tmp_path):
    _, there, _ = converting(tmp_path, "there", model=tiny_model, dtype="bfloat16").here()
    _, _, summary = converting(tmp_path, "back", model=there["model"]["path"], dtype="float32").here()
    assert load(there["model"]["path"], dtype="auto").dtype == torch.bfloat16
    assert json.loads((tmp_path / "there/outputs/model/config.json").read_text())["dtype"] == "bfloat16"
    before, after = weights_of(tiny_model), weights_of(tmp_path / "back/outputs/model")
    assert all(torch.equal(after[name], tensor.to(torch.bfloat16).float()) for name, tensor in before.items())
    assert summary["parameters"] == sum(tensor.numel() for tensor in before.values())


def test_shards_hold_what_the_one_file_held(tiny_model, tmp_path):
    converting(tmp_path, model=tiny_model, max_shard_size="30KB", export="check").here()
    folder = tmp_path / "job/outputs/model"
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert (
        set(index["weight_map"].values()) == {path.name for path in folder.glob("*.safetensors")}
        and not (folder / "model.safetensors").exists()
    )
    before, after = weights_of(tiny_model), weights_of(folder)
    assert before.keys() == after.keys() and all(torch.equal(after[name], tensor) for name, tensor in before.items())
    # Put together again, byte by byte what they were but for the header's order.
    converting(tmp_path, "one", model=folder, max_shard_size="1GiB").here()
    assert (tmp_path / "one/outputs/model/model.safetensors").exists()
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights_of(tmp_path / "one/outputs/model").items())


def test_layers_that_are_left_out_are_gone_and_the_others_move_up(tiny_model, tmp_path):
    _, outputs, _ = converting(tmp_path, model=tiny_model, prune={"layers": [0]}, export="check").here()
    model, before = load(outputs["model"]["path"]), load(tiny_model)
    assert model.config.num_hidden_layers == 1 and len(model.model.layers) == 1
    for (name, ours), (_, theirs) in zip(
        model.model.layers[0].named_parameters(), before.model.layers[1].named_parameters(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    for layers, words in [([2], "the model has no layer 2"), ([0, 1], "these are all 2 layers")]:
        found = refused(converting(tmp_path, "no", model=tiny_model, prune={"layers": layers}))
        assert found == [("/prune/layers", found[0][1])] and words in found[0][1]


def test_what_a_training_left_behind_is_no_part_of_the_model(tiny_model, tmp_path, capsys):
    step = tmp_path / "step_5"
    shutil.copytree(tiny_model, step)
    for name in ("trainer_state", "adapter"):
        (step / name).mkdir()
        (step / name / "optimizer.pt").touch()
    for name in ("checkpoint.json", "optimizer.pt", "training_args.bin", "pinned", "README.md"):
        (step / name).write_text("{}")
    converting(tmp_path, model=step, export="check").here()
    expected = {path.name for path in tiny_model.iterdir()} | {"README.md"}
    assert {path.name for path in (tmp_path / "job/outputs/model").iterdir()} == expected
    assert (
        "adapter/, checkpoint.json, optimizer.pt, pinned, trainer_state/, training_args.bin" in capsys.readouterr().out
    )
    # Nothing asked for a change of the weights, so that the file is the same to the byte.
    assert (tmp_path / "job/outputs/model/model.safetensors").read_bytes() == (
        tiny_model / "model.safetensors"
    ).read_bytes()


def test_missing_files_are_named_and_taken_from_another_model(tiny_model, tmp_path, capsys):
    bare = tmp_path / "bare"
    shutil.copytree(tiny_model, bare)
    for name in ("chat_template.jinja", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        (bare / name).unlink()
    expected = (
        "the export is not whole: it lacks tokenizer.json, tokenizer_config.json, a chat template "
        "(chat_template.jinja), generation_config.json; 'files_from' takes such files from another model"
    )
    assert refused(converting(tmp_path, model=bare, export="check")) == [("", expected)]
    # Without the check it is only told of.
    converting(tmp_path, "told", model=bare, dtype="bfloat16").here()
    assert "the export lacks generation_config.json" in capsys.readouterr().out
    converting(tmp_path, "taken", model=bare, files_from=tiny_model, export="check").here()
    assert {path.name for path in (tmp_path / "taken/outputs/model").iterdir()} == {
        path.name for path in tiny_model.iterdir()
    }


def test_an_exported_vision_model_lacks_its_template_and_its_picture_settings(tiny_model, tmp_path):
    from anneal_trainer.export_check import check_files

    export = tmp_path / "export"
    shutil.copytree(tiny_model, export)
    (export / "chat_template.jinja").unlink()
    config = json.loads((export / "config.json").read_text()) | {
        "model_type": "mllama",
        "vision_config": {"image_size": 560},
    }
    assert check_files(export, config).missing == ["chat_template.json", "preprocessor_config.json"]
    for name in ("chat_template.json", "preprocessor_config.json"):
        (export / name).write_text("{}")
    findings = check_files(export, config)
    assert findings.faults == [] and findings.missing == []
    (export / "preprocessor_config.json").unlink()
    (export / "processor_config.json").write_text('{"image_processor": {}}')
    assert check_files(export, config).missing == []
    (export / "preprocessor_config.json").write_text("{")
    assert "preprocessor_config.json cannot be read" in check_files(export, config).faults[0].detail


def test_tensors_that_the_architecture_lacks_or_has_not_fail_the_check(variants, tmp_path):
    def other(weights):
        wide = weights["model.layers.1.mlp.up_proj.weight"]
        weights = {name: tensor for name, tensor in weights.items() if name != "model.norm.weight"}
        return weights | {
            "model.layers.7.extra": torch.zeros(1),
            "model.layers.1.mlp.up_proj.weight": wide[:-1].clone(),
        }

    found = [
        detail for _, detail in refused(converting(tmp_path, model=variants("v", 1, change=other), export="check"))
    ]
    assert "the tensor model.norm.weight is missing" in found
    assert "the tensor model.layers.7.extra belongs to no part of the model" in found
    assert any("up_proj.weight has the shape [63, 32]; config.json gives it [64, 32]" in detail for detail in found), (
        found
    )


def test_a_damaged_model_is_refused_without_the_check_too(tiny_model, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    with open(broken / "model.safetensors", "r+b") as file:
        file.truncate(1000)
    assert "model.safetensors" in refused(converting(tmp_path, model=broken, dtype="bfloat16"))[0][1]
    assert refused(converting(tmp_path, model=tmp_path, dtype="bfloat16"))[0][0] == "/model"
    found = refused(converting(tmp_path, model="some/name-on-a-hub", dtype="bfloat16"))
    assert found[0][0] == "/model" and "downloaded first" in found[0][1]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("chat_template.jinja", "a\n{% for x in %}", "line 2 of the chat template is not valid Jinja"),
        ("chat_template.jinja", " \n", "it lacks a chat template"),
        ("generation_config.json", '{"eos_token_id": [1, 99999]}', "has eos_token_id 99999, and the embeddings"),
    ],
)
def test_companion_files_that_cannot_be_used_fail_the_check(tiny_model, tmp_path, name, text, words):
    export = tmp_path / "export"
    shutil.copytree(tiny_model, export)
    (export / name).write_text(text)
    assert words in refused(converting(tmp_path, model=export, export="check"))[0][1]


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({}, "/model"),
        ({"model": "m", "average": {"checkpoints": ["a", "b"]}}, "/model"),
        ({"average": {"checkpoints": ["a"]}}, "/average/checkpoints"),
        ({"average": {"checkpoints": ["a", "b"], "weights": [1]}}, "/average/weights"),
        ({"average": {"checkpoints": ["a", "b"]}, "merge_lora": {"adapter": "x"}}, "/merge_lora"),
        ({"model": "m", "merge_lora": {}}, "/merge_lora/adapter"),
        ({"model": "m", "prune": {"layers": [-1]}}, "/prune/layers"),
        ({"model": "m", "prune": {"layers": [0.5]}}, "/prune/layers"),
        ({"model": "m", "max_shard_size": "big"}, "/max_shard_size"),
        ({"model": "m", "dtype": "int4"}, "/dtype"),
        ({"model": "m", "seed": 1}, "/seed"),
        ({"model": "m", "engine": "nemo"}, "/command"),
        ({"model": "m", "export": "it"}, "/export"),
        ({"model": "m", "what": 1}, "/what"),
    ],
)
def test_requests_that_make_no_sense_are_refused(tmp_path, spec, pointer):
    assert pointer in [found for found, _ in refused(converting(tmp_path, **spec))]


MAKE = """
import pathlib, sys
for name in sys.argv[3:]:
    path = pathlib.Path(sys.argv[2], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
"""
COPY = """
import shutil, sys
shutil.copytree(sys.argv[1], sys.argv[2], ignore=shutil.ignore_patterns("*.jinja", "generation*"))
"""


def program(*names):
    return [sys.executable, "-c", MAKE, "{model}", "{output}", *names]


def test_a_program_makes_the_layout_of_its_engine(tiny_model, tmp_path):
    _, _, summary = converting(
        tmp_path, engine="tensorrt-llm", model=tiny_model, command=program("config.json", "rank0.engine")
    ).here()
    assert {path.name for path in (tmp_path / "job/outputs/model").iterdir()} == {
        "config.json",
        "rank0.engine",
    } and summary["bytes"] == 2
    found = refused(
        converting(
            tmp_path, "no", engine="nemo", model=tiny_model, command=program("context/io.json", "weights/.metadata")
        )
    )
    assert "layout of nemo: it lacks context/model.yaml, context/nemo_tokenizer with one of" in found[0][1]
    assert "weights/common.pt, weights/__0_0.distcp; it holds context/, weights/" in found[0][1]


def test_a_program_that_fails_leaves_nothing(tiny_model, tmp_path, capfd):
    failing = [sys.executable, "-c", "import sys, os; os.mkdir(sys.argv[1]); sys.exit(65)", "{output}", "{model}"]
    attempt = converting(tmp_path, engine="megatron", model=tiny_model, command=failing)
    assert attempt.here() == (1, {}, {}) and list(attempt.outputs.iterdir()) == []
    assert "ended with exit code 65" in capfd.readouterr().err
    assert (
        refused(
            converting(tmp_path, "none", engine="nemo", model=tiny_model, command=["/nonesuch", "{model}", "{output}"])
        )[0][0]
        == "/command/0"
    )


def test_a_program_may_export_to_hugging_face_and_what_it_forgets_is_taken(tiny_model, tmp_path):
    command = [sys.executable, "-c", COPY, "{model}", "{output}"]
    spec = {"engine": "nemo", "to": "hf", "model": tiny_model, "command": command, "export": "check"}
    detail = refused(converting(tmp_path, "no", **spec))[0][1]
    assert "it lacks a chat template (chat_template.jinja), generation_config.json" in detail
    _, outputs, _ = converting(tmp_path, **spec, files_from=tiny_model).here()
    assert load(outputs["model"]["path"]).config.num_hidden_layers == 2
