"""Several processes train as one: sharded or not, and a run goes on with another number of them."""

import importlib.util

import pytest
import torch
from safetensors.torch import load_file

from anneal_trainer import optimizers, parallel
from anneal_trainer.errors import BadRequest
from conftest import curve, times_ten

PARAMS = {"epochs": 2, "global_batch_size": 8, "micro_batch_size": 2, "max_steps": 6, "validation_batch_size": 2, "schedule": "cosine"}
LOSSES = ("train_loss", "val_loss")
KEYS = ("train/loss", "train/grad_norm", "validation/val_loss")


def lose_checkpoints(attempt, *steps: int) -> None:
    """As if the run had been killed before it saved these steps."""
    for step in steps:
        (attempt.checkpoints / f"step_{step}").rename(attempt.checkpoints / f"tmp_step_{step}")


@pytest.fixture
def options(plain_model) -> dict:
    """Seven validation samples do not divide evenly over two processes."""
    validation = times_ten([1, 22, 333, 4444, 5, 66, 777])
    return {"checkpoint": {"every": 2, "keep_top_k": None}, "model": plain_model, "validation": validation}


def run_sharded(attempt) -> str:
    """Run an attempt as two processes with FSDP2 over gloo; returns what it printed."""
    attempt.gpus = 2
    attempt.spec["params"]["parallel"] = "fsdp"
    code, _, stdout = attempt.run()
    assert code == 0, attempt.stderr
    assert "fsdp over 2 processes" in stdout and "redundant AllGather" not in attempt.stderr and stdout.count("step 6/6  loss") == 1
    return stdout


def run_alone(attempt) -> dict:
    """Run an attempt in this process; returns the summary."""
    attempt.gpus = 0
    attempt.spec["params"]["parallel"] = "auto"
    return attempt.here()[2]


def assert_same(attempt, whole: dict, after: int) -> None:
    """The attempt's curves are those of `whole` behind a step."""
    for key, points in whole.items():
        expected = [(step, pytest.approx(value, abs=1e-5)) for step, value in points if step > after or not after]
        assert curve(attempt.metrics, key) == expected, key


@pytest.mark.slow
def test_two_processes_shard_what_one_has_begun_and_one_goes_on_with_what_two_have_left(training, options):
    """With activations computed twice, and weights and moments kept in main memory."""
    attempt = training("run", PARAMS | {"gradient_checkpointing": True, "fsdp": {"cpu_offload": True}}, **options)
    run_alone(attempt)
    whole = {key: curve(attempt.metrics, key) for key in KEYS}
    lose_checkpoints(attempt, 4, 6)
    assert "resuming after step 2" in run_sharded(attempt)
    assert_same(attempt, whole, after=2)
    lose_checkpoints(attempt, 6)
    run_alone(attempt)
    assert_same(attempt, whole, after=4)


@pytest.mark.slow
def test_sharded_adapters_are_trained_and_merged_as_on_one_process(training, options):
    params = PARAMS | {"lora": {"rank": 4, "alpha": 8}, "gradient_checkpointing": True}
    alone, pair = training("alone", params, **options), training("pair", params, **options)
    summary = run_alone(alone)
    run_sharded(pair)
    assert_same(pair, {key: curve(alone.metrics, key) for key in KEYS}, after=0)
    for name in ("model.safetensors", "adapter/adapter_model.safetensors"):
        mine, other = (load_file(attempt.checkpoints / "step_6" / name) for attempt in (pair, alone))
        assert mine.keys() == other.keys()
        assert all(torch.allclose(mine[key], other[key], atol=1e-5) for key in mine)
    lose_checkpoints(pair, 6)
    assert run_alone(pair) | {"seconds": 0} == summary | {"seconds": 0, **{key: pytest.approx(summary[key], abs=1e-5) for key in LOSSES}}


def test_auto_shards_what_does_not_fit_twice_into_a_gpu():
    gib = 2**30
    assert parallel.choose("auto", 1, 10**12, 0, 80 * gib) == "none"
    assert parallel.choose("auto", 8, 500 * 10**6, 0, 80 * gib) == "ddp"
    # 20 bytes a parameter: 2 × 10⁹ take 37 of 40 GiB, 3 × 10⁹ 56.
    assert parallel.choose("auto", 8, 2 * 10**9, 0, 80 * gib) == "ddp"
    assert parallel.choose("auto", 8, 3 * 10**9, 0, 80 * gib) == "fsdp"
    # Frozen weights of 2 bytes: 8 B parameters under adapters are replicated, 70 B are not.
    assert parallel.choose("auto", 8, 0, 2 * 8 * 10**9, 80 * gib) == "ddp"
    assert parallel.choose("auto", 8, 0, 2 * 70 * 10**9, 80 * gib) == "fsdp"
    # Moments of 8 bits leave 14 bytes a parameter: 40 and 43 GiB.
    assert parallel.choose("auto", 8, 3 * 10**9, 0, 80 * gib, optimizers.moment_bytes("adamw_8bit")) == "ddp"
    assert parallel.choose("auto", 8, 33 * 10**8, 0, 80 * gib, optimizers.moment_bytes("adamw_8bit")) == "fsdp"
    assert parallel.choose("auto", 2, 10**12, 0, None) == "ddp"
    assert parallel.choose("fsdp", 2, 1, 0, 80 * gib) == "fsdp"


def test_moments_of_eight_bits_are_those_of_bitsandbytes_or_refused(training, monkeypatch):
    attempt = training("run", {"optimizer": "adamw_8bit", "global_batch_size": 8, "max_steps": 2})
    if importlib.util.find_spec("bitsandbytes"):
        attempt.here()
        assert len(curve(attempt.metrics, "train/loss")) == 2
    else:
        with pytest.raises(BadRequest, match="not installed beside the trainer") as caught:
            attempt.here()
        assert [problem.pointer for problem in caught.value.problems] == ["/params/optimizer"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    optimizers.check("adamw_8bit", "ddp")
    with pytest.raises(BadRequest, match="fsdp shards them"):
        optimizers.check("adamw_8bit", "fsdp")
    assert [optimizers.transformers_name(name, on_gpu=True) for name in optimizers.NAMES] == [
        *("adamw_torch_fused", "adamw_torch", "adamw_torch_fused", "adamw_8bit")
    ]
