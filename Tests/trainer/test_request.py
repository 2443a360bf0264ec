"""Requests: defaults, and every error of one told at once with its pointer."""

import pathlib
import re

import pytest

from anneal_trainer.create_request import CreateRequest
from anneal_trainer.errors import BadRequest
from anneal_trainer.job import Job
from anneal_trainer.request import COMMON_KEYS, TrainRequest

CONTRACT = pathlib.Path(__file__).resolve().parents[2] / "openapi.yaml"


def job(tmp_path, kind="train", inputs=None, **spec) -> Job:
    return Job(kind, spec, inputs or {}, tmp_path, tmp_path, tmp_path / "metrics")


def train_problems(tmp_path, environment=None, **spec) -> dict[str, str]:
    body = {"model": "/m", "dataset": "/d"} | spec
    with pytest.raises(BadRequest) as caught:
        TrainRequest.parse(job(tmp_path, **body), environment or {})
    assert caught.value.exit_code == 64
    return {problem.pointer: problem.detail for problem in caught.value.problems}


def test_defaults_are_those_of_the_contract(tmp_path):
    request = TrainRequest.parse(job(tmp_path, model="/m", dataset="/d"), {})
    expected = {
        **{"epochs": 1, "max_steps": None, "global_batch_size": 32, "micro_batch_size": 1, "max_length": 1024},
        **{"learning_rate": 5e-6, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.98, "epsilon": 1e-5},
        **{"max_grad_norm": 1.0, "schedule": "constant", "warmup_steps": 0, "min_learning_rate": 0, "seed": 42},
        **{"validate_every": 0, "validate_at_start": False, "validation_batches": 0, "validation_batch_size": 32},
        **{"shuffle": True, "precision": "auto", "gradient_checkpointing": False},
        **{"log_every": 1, "lora": None, "chat_template": None, "accumulation": 32},
    }
    assert {key: getattr(request, key) for key in expected} == expected
    assert (request.method, request.settings.only_final_turn) == ("sft", False)
    rules = request.checkpoint
    assert (rules.every, rules.keep_top_k, rules.metric, rules.mode) == (None, 3, "val_loss", "min")


def test_validation_at_start_is_on_when_there_is_validation_data(tmp_path):
    request = TrainRequest.parse(job(tmp_path, model="/m", dataset="/d", validation="/v"), {})
    assert request.validate_at_start


def test_resolved_inputs_win_over_the_text_of_the_spec(tmp_path):
    inputs = {"/dataset": {"path": "/store/abc.jsonl"}}
    request = TrainRequest.parse(job(tmp_path, inputs=inputs, model="/m", dataset="data"), {})
    assert str(request.dataset) == "/store/abc.jsonl"


def test_every_error_is_told_at_once(tmp_path):
    found = train_problems(
        tmp_path,
        method="dop",
        modle="x",
        params={"learning_rat": 1, "epochs": 0, "beta1": 1.0, "shuffle": "y", "schedule": "step", "lora": {"rang": 4}},
        checkpoint={"every": -1, "keep": 3, "mode": "best"},
    )
    assert set(found) == {
        "/method",
        "/modle",
        "/params/learning_rat",
        "/params/epochs",
        "/params/beta1",
        "/params/shuffle",
        "/params/schedule",
        "/params/lora/rang",
        "/checkpoint/every",
        "/checkpoint/keep",
        "/checkpoint/mode",
    }
    assert "unknown parameter of method sft" in found["/params/learning_rat"]
    assert "learning_rate" in found["/params/learning_rat"]


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"global_batch_size": 10, "micro_batch_size": 4}, "/params/global_batch_size"),
        ({"min_learning_rate": 1e-2, "learning_rate": 1e-3}, "/params/min_learning_rate"),
        ({"validate_every": 10}, "/params/validate_every"),
        ({"validate_at_start": True}, "/params/validate_at_start"),
        ({"learning_rate": float("nan")}, "/params/learning_rate"),
        ({"max_steps": 2.5}, "/params/max_steps"),
        ({"epochs": True}, "/params/epochs"),
        ({"lora": {"target_modules": []}}, "/params/lora/target_modules"),
        ({"lora": 8}, "/params/lora"),
    ],
)
def test_a_value_that_cannot_be_is_refused(tmp_path, params, pointer):
    assert list(train_problems(tmp_path, params=params)) == [pointer]


def test_the_global_batch_must_divide_over_the_processes(tmp_path):
    found = train_problems(tmp_path, {"WORLD_SIZE": "8"}, params={"global_batch_size": 12})
    assert list(found) == ["/params/global_batch_size"]
    fits = TrainRequest.parse(job(tmp_path, model="/m", dataset="/d"), {"WORLD_SIZE": "8"})
    assert fits.accumulation == 4


def test_keep_top_k_null_keeps_all(tmp_path):
    request = TrainRequest.parse(job(tmp_path, model="/m", dataset="/d", checkpoint={"keep_top_k": None}), {})
    assert request.checkpoint.keep_top_k is None


def test_sizes_of_a_new_model_must_fit_each_other(tmp_path):
    create = {"architecture": "llama", "hidden_size": 30, "intermediate_size": 8, "num_hidden_layers": 1}
    cases = {
        "/create/num_attention_heads": {"num_attention_heads": 4},
        "/create/num_key_value_heads": {"num_attention_heads": 3, "num_key_value_heads": 2},
    }
    for pointer, sizes in cases.items():
        with pytest.raises(BadRequest) as caught:
            CreateRequest.parse(job(tmp_path, "convert", create=create | sizes, tokenizer={"train_on": "/d"}))
        assert [problem.pointer for problem in caught.value.problems] == [pointer]


def test_a_model_without_its_parts_is_refused(tmp_path):
    with pytest.raises(BadRequest) as caught:
        CreateRequest.parse(job(tmp_path, "convert"))
    assert {problem.pointer for problem in caught.value.problems} >= {"/create", "/tokenizer", "/tokenizer/train_on"}


def test_a_divided_micro_batch_keeps_the_global_batch(tmp_path):
    spec = {"method": "sft", "model": "m", "dataset": "d", "params": {"global_batch_size": 16, "micro_batch_size": 8}}
    job = Job("train", spec, {}, tmp_path, tmp_path, tmp_path / "metrics", micro_batch_divisor=4)
    request = TrainRequest.parse(job, {})
    assert (request.micro_batch_size, request.accumulation) == (2, 8)


def test_a_micro_batch_that_cannot_be_divided_is_refused(tmp_path):
    spec = {"method": "sft", "model": "m", "dataset": "d", "params": {"global_batch_size": 6, "micro_batch_size": 3}}
    job = Job("train", spec, {}, tmp_path, tmp_path, tmp_path / "metrics", micro_batch_divisor=2)
    with pytest.raises(BadRequest, match="cannot be divided by 2"):
        TrainRequest.parse(job, {})


def test_keys_of_any_job_are_those_of_the_contract():
    # A command takes no others beside its own two; what the daemon acts on must not be unknown to a worker.
    schema = re.search(r"^    CommandJob:\n(.*?)^    \w", CONTRACT.read_text(), re.MULTILINE | re.DOTALL)[1]
    keys = set(re.findall(r"^        (\w+):", schema, re.MULTILINE)) - {"command", "outputs", "log_dir"}
    assert keys <= COMMON_KEYS, keys - COMMON_KEYS
