"""Reward models: the four losses, data in pairs and with numbers, and what is saved."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import logsigmoid

from anneal_trainer.errors import BadData, BadRequest
from conftest import curve, read_metrics
from test_preference import pairs


def labelled(numbers) -> list[dict]:
    """Texts of other lengths; the second number is missing in every third."""
    return [{"text": f"{i}*10={i * 10}<|im_end|>", "label": [i / 10, -100 if i % 3 == 0 else 1.0]} for i in numbers]


@pytest.fixture
def score(training):
    """Makes reward jobs, otherwise as `training`."""

    def make(name, params, records, **options):
        attempt = training(name, {"global_batch_size": 8, "learning_rate": 1e-2, **params}, records=records, **options)
        attempt.spec["method"] = "reward"
        return attempt

    return make


def load(path):
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()


def scores_by_hand(path, texts) -> torch.Tensor:
    """Each text alone, so no padding: [texts, numbers]."""
    from transformers import AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(path), load(path)
    with torch.no_grad():
        ids = [torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]]) for text in texts]
        return torch.cat([model(each).logits for each in ids])


def texts_of(records, key) -> list[str]:
    asked = [record["prompt"][0]["content"] for record in records]
    return [
        f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{record[key]}<|im_end|>\n"
        for question, record in zip(asked, records, strict=True)
    ]


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_it_learns_to_score_and_the_saved_model_gives_the_validated_scores(score, lora):
    held_out = pairs(range(40, 48))
    options = {"validation": held_out, "checkpoint": {"metric": "val_acc", "mode": "max"}}
    attempt = score("run", {"epochs": 4, "micro_batch_size": 4, "lora": lora}, pairs(range(24)), **options)
    _, outputs, summary = attempt.here()
    assert summary["val_acc"] == 1 and outputs["checkpoint.best"]["metrics"]["val_acc"] == 1
    path = outputs["model"]["path"]
    sides = ("chosen_response", "rejected_response")
    chosen, rejected = (scores_by_hand(path, texts_of(held_out, key))[:, 0] for key in sides)
    both = torch.cat([chosen, rejected])
    last = [line for line in read_metrics(attempt.metrics) if "validation/loss" in line][-1]
    expected = {
        "loss": -logsigmoid(chosen - rejected).mean(),
        "acc": (chosen > rejected).float().mean(),
        "rewards_chosen_mean": chosen.mean(),
        "rewards_rejected_mean": rejected.mean(),
        "rewards_all_mean": both.mean(),
        "rewards_all_std": both.std(),
    }
    for name, value in expected.items():
        assert last[f"validation/{name}"] == pytest.approx(value.item(), abs=1e-4, rel=1e-4), name
    assert load(path).config.architectures == ["LlamaForSequenceClassification"]
    lines = read_metrics(Path(outputs["scores"]["path"]))
    assert [line["chosen_score"] for line in lines] == pytest.approx(chosen.tolist(), abs=1e-4)
    assert {line["generation"] for line in lines} == {line["expected_answer"] for line in lines} == {"chosen"}
    assert lines[0]["rejected"][-1] == {"role": "assistant", "content": "No."} and outputs["scores"]["rows"] == 8


def test_margins_below_zero_are_refused(score):
    wrong = pairs([0])[0] | {"chosen_reward": -1.0, "rejected_reward": 0.5}
    for name, options in (("train", {"records": [*pairs(range(8)), wrong]}), ("held-out", {"validation": [*pairs(range(8)), wrong]})):
        with pytest.raises(BadData, match="1 pair.* line 9, /chosen_reward: the chosen response has a reward of -1"):
            score(name, {"loss": "scaled"}, options.pop("records", pairs(range(8))), **options).here()


@pytest.mark.parametrize("loss", ["margin", "scaled"])
def test_margins_come_from_the_rewards_of_the_data(score, plain_model, loss):
    records = pairs(range(8))
    attempt = score("run", {"max_steps": 1, "loss": loss, "reward_scale": 0.5}, records, model=plain_model)
    attempt.here()
    margins = torch.tensor([0.5 * (record["chosen_reward"] + 0.5) for record in records])
    mean = curve(attempt.metrics, "train/rewards_chosen_mean")[0][1]
    gap = mean - curve(attempt.metrics, "train/rewards_rejected_mean")[0][1]
    found = curve(attempt.metrics, "train/loss")[0][1]
    assert curve(attempt.metrics, "train/weights") == [(1, 8)]
    # The scores of an untrained head hardly differ, so the mean gap stands for all.
    by_hand = -logsigmoid(gap - margins) if loss == "margin" else -margins * logsigmoid(torch.tensor(gap))
    assert found == pytest.approx(by_hand.mean().item(), abs=0.02)


def test_regression_counts_every_known_label_once_whatever_the_micro_batches(score, plain_model):
    records = labelled(range(24))
    runs = []
    for micro in (1, 4):
        params = {"loss": "regression", "micro_batch_size": micro, "epochs": 2}
        attempt = score(f"micro-{micro}", params, records, validation=labelled(range(8)), model=plain_model)
        outputs = attempt.here()[1]
        runs.append([value for key in ("loss", "grad_norm") for _, value in curve(attempt.metrics, f"train/{key}")])
    assert len(runs[0]) == 12 and runs[0] == pytest.approx(runs[1], abs=1e-5, rel=1e-4)
    assert runs[0][5] < runs[0][0]
    labels = torch.tensor([record["label"] for record in labelled(range(8))])
    scores = scores_by_hand(outputs["model"]["path"], [record["text"] for record in labelled(range(8))])
    by_hand = (scores - labels)[labels != -100].square().mean().item()
    assert curve(attempt.metrics, "validation/val_loss")[-1][1] == pytest.approx(by_hand, abs=1e-5)
    assert sum(value for _, value in curve(attempt.metrics, "train/global_valid_toks")) == 2 * (24 * 2 - 8)
    assert load(outputs["model"]["path"]).config.num_labels == 2


@pytest.mark.parametrize("lora", [None, {"rank": 4, "dropout": 0.1}])
def test_a_resumed_run_keeps_its_head(score, lora):
    attempt = score("run", {"epochs": 2, "lora": lora}, pairs(range(24)), checkpoint={"every": 3})
    attempt.here()
    whole = curve(attempt.metrics, "train/loss")
    weights = (attempt.checkpoints / "step_6" / "model.safetensors").read_bytes()
    (attempt.checkpoints / "step_6").rename(attempt.checkpoints / "tmp_step_6")
    attempt.here()
    assert curve(attempt.metrics, "train/loss") == whole[3:]
    assert (attempt.checkpoints / "step_6" / "model.safetensors").read_bytes() == weights


def test_lines_of_text_are_pairs_by_turns(tmp_path):
    from anneal_trainer.reward_data import read_reward_pairs
    from conftest import write_lines

    path = write_lines(tmp_path / "texts.jsonl", [{"text": text} for text in ("good", "bad", "better", "worse")])
    read = read_reward_pairs(path, "/dataset")
    assert [(pair.line, pair.chosen.text, pair.rejected.text) for pair in read] == [
        (1, "good", "bad"),
        (3, "better", "worse"),
    ]
    for records, words in (([{"text": "alone"}], "1 records"), ([{"text": "x"}, *pairs([1])], "1 of 2 records")):
        with pytest.raises(BadData, match=words):
            read_reward_pairs(write_lines(tmp_path / "bad.jsonl", records), "/dataset")


BAD = [
    ([{"text": "a"}], "must be a number or a list of numbers"),
    ([{"text": "a", "label": []}], "must be a number or a list of numbers"),
    ([{"text": "a", "label": [1, "x"]}], "must be a number or a list of numbers"),
    ([{"text": "a", "messages": [], "label": 1}], "either 'text' or 'messages'"),
    ([{"label": 1}], "either 'text' or 'messages'"),
    ([{"text": "a", "label": 1}, {"text": "a", "label": [1, 2]}], "line 2, /labels: has 2 number"),
]


@pytest.mark.parametrize("records, words", BAD)
def test_bad_labels_are_refused(tmp_path, records, words):
    from anneal_trainer.reward_data import read_labelled
    from conftest import write_lines

    with pytest.raises(BadData) as caught:
        read_labelled(write_lines(tmp_path / "bad.jsonl", records), "/dataset")
    assert any(words in str(problem) for problem in caught.value.problems)


def test_wrong_settings_are_refused(score):
    with pytest.raises(BadRequest, match="regression has no accuracy"):
        score("metric", {"loss": "regression"}, labelled(range(8)), checkpoint={"metric": "val_acc"}).here()
    with pytest.raises(BadRequest, match="must be one of bradley_terry"):
        score("loss", {"loss": "hinge"}, pairs(range(8))).here()
    with pytest.raises(BadData, match="has 7 record"):
        score("validation", {}, pairs(range(8)), validation=pairs(range(7))).here()
