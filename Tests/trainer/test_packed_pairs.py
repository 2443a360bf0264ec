"""Packing and token budgets for preference pairs: the numbers are those of the same pairs one by one."""

import json

import pytest

from anneal_trainer import lengths, packing
from anneal_trainer.errors import BadData, BadRequest
from anneal_trainer.packed_pairs import PackedPairCollator, response_tokens
from anneal_trainer.packed_samples import PackCollator
from conftest import curve, read_metrics, write_lines
from test_packing import plan_file
from test_preference import pairs

RECORDS = pairs([3, 14, 159, 26, 5, 35, 8979, 323, 84626, 43, 3, 8327, 9, 50, 288, 4197])
NAMES = ("loss", "preference_loss", "sft_loss", "acc", "grad_norm", "num_unmasked_tokens", "num_valid_samples") + tuple(
    f"rewards_{which}{unit}" for which in ("chosen_mean", "rejected_mean", "all_mean", "all_std") for unit in ("", "_unscaled")
)
#: One global batch of everything, so that the pairs of the step are the same.
WHOLE = {"global_batch_size": 16, "micro_batch_size": 4, "shuffle": False, "learning_rate": 1e-2, "epochs": 2, "beta": 0.3}
SETTINGS = {"sft_loss_weight": 0.5, "preference_average_log_probs": True, "reward_scale": 0.5}


@pytest.fixture
def prefer(training, plain_model):
    """Makes preference jobs on RECORDS: `prefer(name, params, method=…, …)`, otherwise as `training`."""

    def make(name, params, method="dpo", checkpoint=None, validation=None, records=RECORDS):
        attempt = training(name, params, checkpoint, records, validation, plain_model)
        attempt.spec["method"] = method
        return attempt

    return make


def numbers(attempt) -> dict:
    """All metrics of all steps and validations."""
    keys = [f"train/{name}" for name in NAMES] + ["validation/val_loss", "validation/rewards_all_std"]
    return {key: [value for _, value in curve(attempt.metrics, key)] for key in keys}


def in_packs(capacity: int, sizes: list[int], **params) -> dict:
    """Parameters by which all pairs are one global batch of packs."""
    packs = len(packing.pack(sizes, "first_fit_decreasing", capacity))
    assert 3 <= packs < 12
    online = {"online": "first_fit_decreasing", "capacity": capacity}
    return WHOLE | {"global_batch_size": packs, "micro_batch_size": 1, "packing": online} | params


def measured(folder, model, records, *arguments) -> tuple[str, list]:
    """The file of lengths that prepare's pack makes for these pairs, and [chosen, rejected] of each."""
    data, out = write_lines(folder / "measured.jsonl", records), folder / "lengths.jsonl"
    options = ["--data", str(data), "--model", str(model), "--output", str(out), "--kind", "dpo", *arguments]
    assert lengths.main(options) == 0
    header, *lines = [json.loads(line) for line in out.read_text().splitlines()]
    return header, [[line["chosen"], line["rejected"]] for line in lines]


@pytest.mark.parametrize("method", ["ipo", "rpo_sq"])
def test_packs_and_budgets_have_the_numbers_of_their_pairs(prefer, plain_model, tmp_path, method):
    """The second step has a policy that is not its reference."""
    _, sizes = measured(tmp_path, plain_model, RECORDS)
    sizes = [sum(both) for both in sizes]
    validation = RECORDS[:7] + RECORDS
    alone = prefer("alone", WHOLE | SETTINGS, method, validation=validation)
    alone.here()
    expected = numbers(alone)
    assert len(expected["train/loss"]) == 2 and expected["train/rewards_all_std"][1] > 1e-3
    ways = {
        "packed": in_packs(130, sizes),
        "ahead": in_packs(250, sizes, precompute_reference=True),
        "dynamic": {key: value for key, value in WHOLE.items() if key != "micro_batch_size"}
        | {"dynamic_batching": {"tokens": 200, "round": 8}, "precompute_reference": method == "ipo"},
    }
    for name, params in ways.items():
        attempt = prefer(name, params | SETTINGS, method, validation=validation)
        attempt.here()
        for key, values in numbers(attempt).items():
            assert values == pytest.approx(expected[key], abs=1e-5, rel=1e-5), (name, key)
    assert all(1 < count < 16 for _, count in curve(attempt.metrics, "train/micro_batches"))


def test_packs_of_adapters_resume_to_the_last_bit_and_end_by_their_tokens(prefer):
    """With dropout, and with references that are computed ahead once."""
    params = {"global_batch_size": 1, "epochs": 3, "lora": {"rank": 4, "dropout": 0.1}, "precompute_reference": True}
    params |= {"packing": {"online": "first_fit_shuffle"}, "max_tokens": 400}
    attempt = prefer("run", params, checkpoint={"every": 2, "keep_top_k": None})
    _, _, summary = attempt.here()
    losses, last = curve(attempt.metrics, "train/loss"), summary["steps"]
    tokens = [value for _, value in curve(attempt.metrics, "train/global_valid_toks")]
    assert sum(tokens) >= 400 > sum(tokens[:-1]) and last > 3
    (cache,) = attempt.checkpoints.glob("reference/*")
    written = cache.stat().st_mtime_ns
    weights = (attempt.checkpoints / f"step_{last}" / "model.safetensors").read_bytes()
    for path in attempt.checkpoints.glob("step_*"):
        if path.name != "step_2":
            path.rename(path.with_name(f"tmp_{path.name}"))
    attempt.here()
    assert curve(attempt.metrics, "train/loss") == losses[2:] and cache.stat().st_mtime_ns == written
    assert (attempt.checkpoints / f"step_{last}" / "model.safetensors").read_bytes() == weights


def test_a_plan_has_the_lengths_that_training_counts(prefer, plain_model, tmp_path):
    said = {key: [{"role": "assistant", "content": text}] for key, text in (("chosen", "70"), ("rejected", "I will not."))}
    asked = [{"role": "user", "content": "7*10=?"}]
    long = {"prompt": asked, "chosen": "no " * 60, "rejected": "70"}
    text = "<|im_start|>user\n7*10=?<|im_end|>\n<|im_start|>assistant\n"
    records = [
        *RECORDS[:2],
        {"prompt": asked, **said},
        long,
        {key: asked + answer for key, answer in said.items()},
        {"prompt": text, "chosen_response": "70<|im_end|>", "rejected_response": "no"},
        {
            "context": asked,
            "completions": [{"rank": 2 - (key == "chosen"), "completion": answer} for key, answer in said.items()],
        },
    ]
    header, found = measured(tmp_path, plain_model, records)
    hashes = {key: header[key] for key in ("dataset_sha256", "tokenizer_sha256")}
    bins = [[5, 0], [2, 1], [6, 4]]
    plan = plan_file(tmp_path / "plan.jsonl", len(records), bins, found, [3], kind="dpo", capacity=140, **hashes)
    params = {"global_batch_size": 3, "shuffle": False, "packing": {"plan": str(plan)}}
    attempt = prefer("run", params, records=records)
    _, _, summary = attempt.here()
    (step,) = [line for line in read_metrics(attempt.metrics) if "train/loss" in line]
    assert step["train/num_valid_samples"] == 6 and summary["dropped_long"] == 1
    assert curve(attempt.metrics, "packing/num_sequences") == [(0, 6)]
    found[4] = found[4][::-1]
    plan_file(plan, len(records), bins, found, [3], kind="dpo", capacity=140, **hashes)
    with pytest.raises(BadData, match="record 4 has"):
        prefer("other", params, records=records).here()
    plan_file(plan, len(records), bins, found, [3], capacity=140, **hashes)
    with pytest.raises(BadRequest, match="packs sft records, and this job takes dpo ones"):
        prefer("kind", params, records=records).here()


def test_pairs_that_fit_no_pack_or_budget_are_told(prefer):
    with pytest.raises(BadRequest, match="a pair of .* tokens does not fit a pack of 40"):
        prefer("pack", {"packing": {"online": "first_fit", "capacity": 40}, "global_batch_size": 1}).here()
    with pytest.raises(BadRequest, match="a sample has 2 × "):
        prefer("budget", {"dynamic_batching": {"tokens": 40, "round": 8}, "global_batch_size": 1}).here()


@pytest.mark.parametrize("flat", [False, True])
def test_sums_come_by_side_whatever_the_rows(flat):
    """A pack of two pairs and, as validation has it, a pair on its own; in one row without padding for flash attention."""
    pack = {"input_ids": list(range(1, 13)), "seq_lengths": [3, 4, 3, 2], "rewards": [[1, 0], [5, 4]]}
    pack |= {"labels": [-100, 2, 3, -100, -100, 6, 7, -100, -100, 10, -100, 12], "reference_log_probs": [[-1, -2], [-3, -4]]}
    alone = {"input_ids": [[1, 2, 3], [1, 4]], "labels": [[-100, 2, 3], [-100, 4]], "rewards": [7, 6], "reference_log_probs": [-5, -6]}
    batch = PackedPairCollator(PackCollator(0, flat))([pack, alone])
    assert batch["input_ids"].shape == ((1, 17) if flat else (2, 12)) and "attention_mask" not in batch
    assert response_tokens(batch).tolist() == [2, 1, 2, 2, 1, 1]
    assert batch["rewards"].tolist() == [[1, 5, 7], [0, 4, 6]]
    assert batch["reference_log_probs"].tolist() == [-1, -3, -5, -2, -4, -6]
