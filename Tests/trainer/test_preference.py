"""Preference training: loss, metrics and reference against what a person computes by hand."""

import json

import pytest
import torch
from torch.nn.functional import log_softmax

from anneal_trainer.errors import BadData, BadRequest
from conftest import curve, read_metrics, write_lines


def pairs(numbers) -> list[dict]:
    """The right answer is preferred to a refusal; the lengths differ from pair to pair."""
    return [
        {
            "prompt": [{"role": "user", "content": f"{i}*10=?"}],
            "chosen_response": f"{i * 10}",
            "rejected_response": "I cannot say." if i % 2 else "No.",
            "chosen_reward": i % 5,
            "rejected_reward": -0.5,
        }
        for i in numbers
    ]


@pytest.fixture
def prefer(training):
    """Makes preference jobs: `prefer(name, params, method=…, reference=…, …)`, otherwise as `training`."""

    def make(name, params, method="dpo", reference=None, **options):
        records = options.pop("records", None) or pairs(range(24))
        attempt = training(name, {"global_batch_size": 8, "learning_rate": 1e-2, **params}, records=records, **options)
        attempt.spec["method"] = method
        if reference is not None:
            attempt.spec["reference"] = str(reference)
        return attempt

    return make


def load(path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def log_probs(model, path, records) -> torch.Tensor:
    """Σ and number of tokens of each response: [pairs, 2 sides, (log π, tokens)], from plain logits."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    rows = []
    for record in records:
        for key in ("chosen_response", "rejected_response"):
            prompt = tokenizer.apply_chat_template(record["prompt"], add_generation_prompt=True, tokenize=False)
            before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            answer = tokenizer(f"{record[key]}<|im_end|>", add_special_tokens=False)["input_ids"]
            logits = model(torch.tensor([before + answer])).logits[0, len(before) - 1 : -1]
            found = log_softmax(logits, dim=-1)[range(len(answer)), answer]
            rows.append(torch.stack([found.sum(), torch.tensor(float(len(answer)))]))
    return torch.stack(rows).view(len(records), 2, 2)


def one_step(attempt) -> dict:
    (step,) = [line for line in read_metrics(attempt.metrics) if "train/loss" in line]
    return step


@pytest.mark.parametrize("average", [False, True])
def test_a_step_has_the_loss_and_the_metrics_computed_by_hand(prefer, plain_model, tmp_path, average):
    """Against another reference than the model, or all ratios were zero."""
    records = pairs(range(8))
    attempt = prefer("start", {"max_steps": 1, "epochs": 9}, method="ipo", records=records, model=plain_model)
    policy = attempt.here()[1]["model"]["path"]
    params = {
        "max_steps": 1,
        "beta": 0.3,
        "reward_scale": 0.5,
        "sft_loss_weight": 0.25,
        "preference_loss_weight": 2,
        "preference_average_log_probs": average,
        "sft_average_log_probs": average,
    }
    options = {"records": records, "validation": records, "model": policy, "reference": plain_model}
    attempt = prefer("run", params | {"validation_batch_size": 3}, method="rpo_sq", **options)
    attempt.here()

    with torch.no_grad():
        mine, base = log_probs(load(policy), policy, records), log_probs(load(plain_model), policy, records)
    ratio, likelihood = mine[..., 0] - base[..., 0], mine[:, 0, 0]
    if average:
        ratio, likelihood = ratio / mine[..., 1], likelihood / mine[:, 0, 1]
    gap = 0.5 * torch.tensor([record["chosen_reward"] + 0.5 for record in records])
    preference = (0.3 * (ratio[:, 0] - ratio[:, 1]) - gap).square().mean().item()
    expected = {
        "loss": 2 * preference - 0.25 * likelihood.mean().item(),
        "preference_loss": preference,
        "sft_loss": -likelihood.mean().item(),
        "acc": (ratio[:, 0] > ratio[:, 1]).float().mean().item(),
        "rewards_chosen_mean": 0.3 * ratio[:, 0].mean().item(),
        "rewards_rejected_mean": 0.3 * ratio[:, 1].mean().item(),
        "rewards_all_mean": 0.3 * ratio.mean().item(),
        "rewards_all_std": 0.3 * ratio.std().item(),
        "rewards_chosen_mean_unscaled": ratio[:, 0].mean().item(),
        "rewards_all_std_unscaled": ratio.std().item(),
    }
    step, validation = one_step(attempt), read_metrics(attempt.metrics)[1]
    for name, value in expected.items():
        assert step[f"train/{name}"] == pytest.approx(value, abs=2e-5, rel=1e-4), name
        assert validation[f"validation/{name}"] == pytest.approx(value, abs=2e-5, rel=1e-4), name
        assert validation[f"val/{name}"] == validation[f"validation/{name}"], name
    assert validation["validation/val_loss"] == validation["validation/loss"]
    assert validation["validation/val_acc"] == validation["validation/acc"]
    assert (step["train/consumed_samples"], step["train/epoch"], validation["val/consumed_samples"]) == (8, 1, 0)
    assert step["train/step_time"] > 0 and validation["val/validation_step_time"] > 0
    assert step["train/num_valid_samples"] == 8 and step["train/global_valid_toks"] == mine[..., 1].sum()


@pytest.mark.parametrize("lora", [None, {"rank": 4, "dropout": 0.2}])
def test_an_untrained_policy_equals_its_reference(prefer, lora):
    """Bitwise, though the policy has dropout: validation has none, and neither has the reference."""
    attempt = prefer("run", {"max_steps": 1, "lora": lora}, validation=pairs(range(9)))
    attempt.here()
    first = next(line for line in read_metrics(attempt.metrics) if "validation/loss" in line)
    assert first["validation/rewards_all_std"] == 0 and first["validation/acc"] == 0
    assert first["validation/loss"] == pytest.approx(0.6931471805599453)


@pytest.mark.parametrize("averages", [False, True])
def test_the_micro_batch_size_changes_nothing(prefer, plain_model, averages):
    curves, weights = [], []
    for micro in (1, 4):
        params = {
            "micro_batch_size": micro,
            "max_steps": 3,
            "sft_loss_weight": 0.5,
            "sft_average_log_probs": averages,
            "preference_average_log_probs": averages,
            "learning_rate": 1e-3,
        }
        attempt = prefer(f"micro-{micro}", params, model=plain_model)
        _, outputs, _ = attempt.here()
        keys = ("loss", "grad_norm", "acc", "rewards_all_std", "sft_loss")
        curves.append([value for key in keys for _, value in curve(attempt.metrics, f"train/{key}")])
        weights.append(load(outputs["model"]["path"]))
    assert len(curves[0]) == 15
    assert curves[0] == pytest.approx(curves[1], abs=1e-5, rel=1e-5)
    for one, four in zip(weights[0].parameters(), weights[1].parameters(), strict=True):
        torch.testing.assert_close(one, four, atol=1e-4, rtol=1e-3)


LORA = {"rank": 4, "dropout": 0.1}


def test_precomputed_references_give_the_same_run(prefer):
    curves = []
    for ahead in (False, True):
        params = {"max_steps": 2, "precompute_reference": ahead}
        attempt = prefer(f"ahead-{ahead}", params, validation=pairs(range(8)))
        attempt.here()
        keys = ("train/loss", "validation/loss", "train/rewards_all_std")
        curves.append([value for key in keys for _, value in curve(attempt.metrics, key)])
    assert len(curves[0]) == 6 and curves[0] == pytest.approx(curves[1], abs=1e-5)


@pytest.mark.parametrize("ahead", [False, True])
def test_a_resumed_run_with_adapters_keeps_its_first_reference(prefer, ahead):
    """The policy has moved by then: a reference made of it would show in every number."""
    attempt = prefer("run", {"epochs": 2, "lora": LORA, "precompute_reference": ahead}, checkpoint={"every": 3})
    attempt.here()
    keys = ("train/loss", "train/rewards_chosen_mean", "train/grad_norm")
    whole = {key: curve(attempt.metrics, key) for key in keys}
    files = {path: path.stat().st_mtime_ns for path in attempt.checkpoints.glob("reference/*")}
    assert len(files) == ahead
    weights = (attempt.checkpoints / "step_6" / "model.safetensors").read_bytes()
    # As if it had been killed before it saved step 6.
    (attempt.checkpoints / "step_6").rename(attempt.checkpoints / "tmp_step_6")
    attempt.here()
    assert {key: curve(attempt.metrics, key) for key in keys} == {key: whole[key][3:] for key in keys}
    assert (attempt.checkpoints / "step_6" / "model.safetensors").read_bytes() == weights
    assert {path: path.stat().st_mtime_ns for path in attempt.checkpoints.glob("reference/*")} == files


def test_it_learns_what_is_preferred_and_ranks_by_accuracy(prefer):
    rules = {"every": 6, "metric": "val_acc", "mode": "max"}
    attempt = prefer("run", {"epochs": 6, "validate_every": 3}, validation=pairs(range(40, 48)), checkpoint=rules)
    _, outputs, summary = attempt.here()
    losses = [value for _, value in curve(attempt.metrics, "train/loss")]
    assert losses[-1] < losses[0] / 2 and summary["val_acc"] == 1
    assert outputs["checkpoint.best"]["metrics"]["val_acc"] == 1
    assert "loss" not in outputs["checkpoint.best"]["metrics"]


def test_text_hugging_face_and_ranked_records_are_the_same_pairs(prefer, plain_model):
    ours = pairs(range(8))
    for record in ours:
        del record["chosen_reward"], record["rejected_reward"]
    said = [
        {key: [{"role": "assistant", "content": record[f"{key}_response"]}] for key in ("chosen", "rejected")}
        for record in ours
    ]
    forms = {
        "texts": [
            {
                "prompt": f"<|im_start|>user\n{record['prompt'][0]['content']}<|im_end|>\n<|im_start|>assistant\n",
                "chosen": f"{record['chosen_response']}<|im_end|>",
                "rejected": f"{record['rejected_response']}<|im_end|>",
            }
            for record in ours
        ],
        "messages": [{"prompt": record["prompt"], **both} for record, both in zip(ours, said, strict=True)],
        "whole": [
            {key: record["prompt"] + messages for key, messages in both.items()}
            for record, both in zip(ours, said, strict=True)
        ],
        "ranked": [
            {
                "context": record["prompt"],
                "completions": [
                    {"rank": 2, "completion": both["rejected"]},
                    {"rank": 1, "completion": both["chosen"]},
                ],
            }
            for record, both in zip(ours, said, strict=True)
        ],
    }
    tokens = {name: tokenized(plain_model, records) for name, records in {"ours": ours, **forms}.items()}
    for name in forms:
        assert tokens[name] == tokens["ours"], name


def tokenized(model, records) -> list[list[int]]:
    """The ids that are learned and those before them, of each side of each pair."""
    from transformers import AutoTokenizer

    from anneal_trainer.preference_data import parse
    from anneal_trainer.preference_tokens import DefaultRewards, PairTokenizer

    problems = []
    read = [parse(record, line, problems) for line, record in enumerate(records, start=1)]
    assert problems == []
    tokenizer = AutoTokenizer.from_pretrained(model)
    samples = PairTokenizer(tokenizer, [], DefaultRewards(1, 0)).samples(read, 10_000)
    found = []
    for row in samples.dataset:
        for ids, labels in zip(row["input_ids"], row["labels"], strict=True):
            learned = [index for index, label in enumerate(labels) if label != -100]
            # White space after the end mark is no part of what is learned, nor does it change anything before it.
            found.append((ids[: learned[-1] + 1], learned))
    return found


USER = [{"role": "user", "content": "?"}]
YES = [{"role": "assistant", "content": "yes"}]
BAD = [
    ({"prompt": "a", "chosen": "b"}, "/rejected: is missing"),
    ({"prompt": "a"}, "must have chosen_response and rejected_response"),
    ({"prompt": "a", "chosen": "b", "rejected": "c", "chosen_response": "d"}, "in one spelling"),
    ({"chosen": "b", "rejected": "c"}, "/prompt: is missing"),
    ({"prompt": "", "chosen": "b", "rejected": "c"}, "/prompt: is empty"),
    ({"prompt": "a", "chosen": "b", "rejected": ""}, "/rejected: is empty"),
    ({"prompt": "a", "chosen": YES, "rejected": "c"}, "both must be of one sort"),
    ({"prompt": USER + YES, "chosen": "b", "rejected": "c"}, "must not be the assistant's"),
    ({"prompt": USER, "chosen": USER, "rejected": YES}, "the last message must be from the assistant"),
    ({"chosen": YES, "rejected": YES}, "has no prompt"),
    ({"prompt": "a", "chosen": "b", "rejected": "c", "chosen_reward": "x"}, "/chosen_reward: must be a finite number"),
    (
        {"prompt": [{"role": "system", "content": "s"}] * 2 + USER, "chosen": YES, "rejected": YES},
        "more than one system message",
    ),
    ({"context": USER, "completions": [{"rank": 1, "completion": YES}]}, "a list of two completions"),
    ({"context": USER, "completions": [{"rank": 1, "completion": YES}] * 2}, "the same rank"),
    ({"context": USER, "completions": [{"rank": "a", "completion": YES}] * 2}, "/completions/0/rank: must be a number"),
    ({"context": USER, "completions": [3, 4]}, "/completions/0: must be an object"),
]


@pytest.mark.parametrize("record, words", BAD)
def test_bad_records_are_refused_with_their_lines(tmp_path, record, words):
    from anneal_trainer.preference_data import read_pairs

    path = write_lines(tmp_path / "pairs.jsonl", [*pairs([1]), record])
    with pytest.raises(BadData) as caught:
        read_pairs(path, "/dataset")
    assert any(words in str(problem) and problem.line == 2 for problem in caught.value.problems)


def test_a_prompt_whose_tokens_are_no_prefix_is_refused(plain_model):
    """`<|im_end|>` is one token, so a prompt cannot end within it."""
    record = {"prompt": "2*10=?<|im_", "chosen": "end|>20", "rejected": "end|>no"}
    with pytest.raises(BadData) as caught:
        tokenized(plain_model, [record])
    assert {str(problem).split(":")[0] for problem in caught.value.problems} == {"line 1, /chosen"}
    assert "no prefix" in caught.value.message


def test_long_pairs_are_counted_and_left_out(prefer, capsys):
    long = pairs([3])[0] | {"rejected_response": "no " * 90}
    attempt = prefer("run", {"max_steps": 1}, records=[*pairs(range(8)), long])
    _, _, summary = attempt.here()
    assert summary["dropped_long"] == 1
    assert curve(attempt.metrics, "data/dropped_long") == [(0, 1)]
    assert "1 training sample(s) of 64 tokens or more are left out (lines 9)" in capsys.readouterr().out


def test_texts_without_an_end_mark_are_told(prefer, capsys):
    ended = {"prompt": "<|im_start|>user\n1<|im_end|>\n", "chosen": "1<|im_end|>\n", "rejected": "no<|im_end|>"}
    prefer("run", {"max_steps": 1}, records=[*[ended] * 7, ended | {"rejected": "no"}]).here()
    assert "warning: 1 response(s) that are text end without an end mark (<|im_end|>" in capsys.readouterr().out


def test_less_than_a_global_batch_is_refused_in_either_file(prefer):
    with pytest.raises(BadData, match="has 7 record"):
        prefer("train", {}, records=pairs(range(7))).here()
    with pytest.raises(BadData, match="validation.jsonl has 7 pair"):
        prefer("validation", {}, validation=pairs(range(7))).here()
    long = pairs([3])[0] | {"rejected_response": "no " * 90}
    with pytest.raises(BadData, match="7 of 8 validation pairs are shorter than 64 tokens"):
        prefer("long", {}, validation=[*pairs(range(7)), long]).here()


def test_wrong_settings_are_refused(prefer, plain_model, tmp_path):
    params = {"preference_loss_weight": 0, "sft_loss_weight": 0, "beta": 0, "reward_scale": -1}
    with pytest.raises(BadRequest) as caught:
        prefer("wrong", params).here()
    pointers = {problem.pointer for problem in caught.value.problems}
    assert pointers == {"/params/preference_loss_weight", "/params/beta", "/params/reward_scale"}
    other = tmp_path / "other"
    other.mkdir()
    for path in plain_model.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"vocab_size": 7}))
    with pytest.raises(BadRequest, match="the reference has a vocabulary of 7 tokens"):
        prefer("reference", {}, reference=other).here()
    with pytest.raises(BadRequest, match="lm_head cannot have adapters"):
        prefer("head", {"lora": {"target_modules": ["q_proj", "lm_head"]}}).here()
