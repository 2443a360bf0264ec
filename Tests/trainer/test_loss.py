"""The loss, its gradient and the update, against a computation by hand."""

import json

import pytest
import torch

from conftest import curve, read_metrics, times_ten

RECORDS = times_ten([3, 14, 159, 26, 5, 35, 8979, 323])
SYSTEM = {"role": "system", "content": "so it is longer"}


def tokenized(model, records):
    """(ids, labels) of each record, by the package's own tokenisation (tested apart)."""
    from transformers import AutoTokenizer

    from anneal_trainer.chat_tokens import ChatTokenizer
    from anneal_trainer.data import Conversation

    chat = ChatTokenizer(AutoTokenizer.from_pretrained(model), False)
    return [chat.encode(Conversation(line, record["messages"])) for line, record in enumerate(records, 1)]


def loss_by_hand(model, samples) -> torch.Tensor:
    """−Σ m log p / Σ m over all samples, one sample at a time, with plain logits."""
    total, count = torch.zeros(()), 0
    for ids, labels in samples:
        log_p = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        for position, label in enumerate(labels[1:]):
            if label != -100:
                total = total - log_p[position, label]
                count += 1
    return total / count


def load(path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)


def test_loss_gradient_and_update_equal_the_hand_computation(training, plain_model):
    params = {
        "global_batch_size": 8,
        "micro_batch_size": 2,
        "learning_rate": 1e-2,
        "weight_decay": 0.05,
        "beta1": 0.8,
        "beta2": 0.95,
        "epsilon": 1e-6,
        "max_grad_norm": 0.5,
    }
    records = [{"messages": [SYSTEM, *RECORDS[0]["messages"]]}, *RECORDS[1:]]
    attempt = training("run", params, records=records, model=plain_model)
    code, outputs, _ = attempt.here()
    assert code == 0

    model = load(plain_model)
    loss = loss_by_hand(model, tokenized(plain_model, records))
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    # Every parameter is decayed, norms too, as NeMo RL has it.
    torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.05).step()

    (step,) = [line for line in read_metrics(attempt.metrics) if "train/loss" in line]
    assert step["train/loss"] == pytest.approx(loss.item(), abs=1e-5)
    assert step["train/grad_norm"] == pytest.approx(norm.item(), rel=1e-4)
    assert step["train/lr"] == 1e-2
    tokens = sum(label != -100 for _, labels in tokenized(plain_model, records) for label in labels[1:])
    assert step["train/num_unmasked_tokens"] == step["train/global_valid_toks"] == tokens
    assert step["train/num_valid_samples"] == 8
    trained = load(outputs["model"]["path"])
    for (name, ours), (_, by_hand) in zip(trained.named_parameters(), model.named_parameters(), strict=True):
        torch.testing.assert_close(ours, by_hand, atol=2e-4, rtol=1e-3, msg=name)


def test_the_micro_batch_size_changes_nothing(training, plain_model):
    curves, weights = [], []
    for micro in (1, 4):
        params = {"global_batch_size": 8, "micro_batch_size": micro, "max_steps": 3, "learning_rate": 1e-3}
        attempt = training(f"micro-{micro}", params, model=plain_model)
        _, outputs, _ = attempt.here()
        curves.append([value for key in ("train/loss", "train/grad_norm") for _, value in curve(attempt.metrics, key)])
        weights.append(load(outputs["model"]["path"]))
    assert len(curves[0]) == 6
    assert curves[0] == pytest.approx(curves[1], abs=1e-5, rel=1e-5)
    for one, four in zip(weights[0].parameters(), weights[1].parameters(), strict=True):
        torch.testing.assert_close(one, four, atol=1e-4, rtol=1e-3)


def test_validation_loss_weighs_every_token_alike_whatever_the_batches(training, plain_model):
    """The batches differ in their numbers of tokens, so a mean of their means would be another number."""
    validation = [*times_ten([1, 2, 3]), *times_ten([123456, 7])]
    params = {"global_batch_size": 4, "max_steps": 1, "validation_batch_size": 2}
    attempt = training("run", params, validation=validation, model=plain_model)
    attempt.here()
    by_hand = loss_by_hand(load(plain_model), tokenized(plain_model, validation)).item()
    assert curve(attempt.metrics, "validation/val_loss")[0] == (0, pytest.approx(by_hand, abs=1e-5))


def test_validation_comes_at_the_start_at_its_steps_at_checkpoints_and_at_the_end(training):
    params = {"global_batch_size": 4, "epochs": 2, "max_steps": 11, "validate_every": 4}
    attempt = training("run", params, checkpoint={"every": 5, "keep_top_k": 9}, validation=times_ten(range(3)))
    code, outputs, summary = attempt.here()
    assert [step for step, _ in curve(attempt.metrics, "validation/val_loss")] == [0, 4, 5, 8, 10, 11]
    assert [step for step, _ in curve(attempt.metrics, "train/loss")] == list(range(1, 12))
    assert [step for step, _ in curve(attempt.metrics, "timing/train/checkpointing")] == [5, 10, 11]
    assert curve(attempt.metrics, "progress/total") == [(0, 11)]
    assert curve(attempt.metrics, "train/epoch")[-1] == (11, 1.1)
    saved = {path.name: json.loads((path / "checkpoint.json").read_text()) for path in attempt.checkpoints.iterdir()}
    assert sorted(saved) == ["step_10", "step_11", "step_5"]
    losses = dict(curve(attempt.metrics, "validation/val_loss"))
    assert {record["step"]: record["metrics"]["val_loss"] for record in saved.values()} == {
        step: losses[step] for step in (5, 10, 11)
    }
    assert outputs["checkpoint.best"]["step"] == min((5, 10, 11), key=lambda step: (losses[step], -step))
    assert outputs["checkpoint.last"]["step"] == 11 and outputs["model"] == outputs["checkpoint.last"]
    assert summary["steps"] == 11 and summary["val_loss"] == losses[11]


def test_validation_does_not_change_the_training(training):
    """Dropout's random numbers are the same with validation and without."""
    params = {"global_batch_size": 4, "max_steps": 4}
    with_it = training("with", params | {"validate_every": 1}, validation=times_ten(range(3)))
    without = training("without", params)
    with_it.here()
    without.here()
    assert curve(with_it.metrics, "train/loss") == curve(without.metrics, "train/loss")


def test_a_loss_that_is_not_a_number_is_logged_as_such(training):
    attempt = training("run", {"global_batch_size": 4, "max_steps": 3, "learning_rate": 1e30, "max_grad_norm": 0})
    code, outputs, _ = attempt.here()
    assert code == 0
    assert "NaN" in attempt.metrics.read_text()
    assert "train_loss" not in outputs["checkpoint.last"]["metrics"]


def test_only_some_steps_are_logged_when_asked(training):
    attempt = training("run", {"global_batch_size": 4, "max_steps": 5, "log_every": 2})
    attempt.here()
    assert [step for step, _ in curve(attempt.metrics, "train/loss")] == [2, 4, 5]


def test_gradient_checkpointing_gives_the_same_losses(training, plain_model):
    curves = []
    for name, on in (("off", False), ("on", True)):
        params = {"global_batch_size": 4, "max_steps": 2, "gradient_checkpointing": on}
        attempt = training(name, params, model=plain_model)
        attempt.here()
        curves.append([loss for _, loss in curve(attempt.metrics, "train/loss")])
    assert curves[0] == pytest.approx(curves[1], abs=1e-5)


def test_bf16_trains_and_keeps_its_weights_in_float32(training):
    attempt = training("run", {"global_batch_size": 4, "max_steps": 2, "precision": "bf16"})
    _, outputs, _ = attempt.here()
    from safetensors.torch import load_file

    weights = load_file(f"{outputs['model']['path']}/model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
