"""Continued pre-training, runs that end by their tokens, and stages that go on where another ended."""

import pytest
import torch

from anneal_trainer.errors import BadData, BadRequest
from anneal_trainer.schedule import learning_rate, steps_for_tokens
from conftest import curve, times_ten

TEXTS = [{"text": f"{number} times ten is {number * 10}. " * (1 + number % 3)} for number in range(30)]


@pytest.fixture
def pretraining(training, plain_model):
    """Makes pre-training jobs on TEXTS: `pretraining(name, params, **options of training)`."""

    def make(name, params, records=TEXTS, **options):
        attempt = training(name, {"max_length": 32, "global_batch_size": 4} | params, records=records, **options)
        attempt.spec["method"] = "pretrain"
        return attempt

    return make


def document_tokens(model, records):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    return [[*tokenizer(record["text"])["input_ids"], tokenizer.eos_token_id] for record in records]


def test_documents_are_joined_with_eos_and_cut_into_blocks(pretraining, plain_model):
    from transformers import AutoModelForCausalLM

    documents = document_tokens(plain_model, TEXTS)
    tokens = [token for document in documents for token in document]
    blocks = [tokens[start : start + 32] for start in range(0, len(tokens), 32)]
    params = {"global_batch_size": len(blocks), "micro_batch_size": 1}
    attempt = pretraining("run", params, model=plain_model, validation=TEXTS[:3])
    _, _, summary = attempt.here()

    model = AutoModelForCausalLM.from_pretrained(plain_model)
    total = torch.zeros(())
    for block in blocks:
        log_p = model(torch.tensor([block])).logits[0].log_softmax(-1)
        total -= sum(log_p[place, token] for place, token in enumerate(block[1:]))
    learned = sum(len(block) - 1 for block in blocks)
    assert curve(attempt.metrics, "train/loss") == [(1, pytest.approx((total / learned).item(), abs=1e-5))]
    assert summary["tokens"] == learned
    assert curve(attempt.metrics, "data/tokens") == [(0, len(tokens))]
    assert curve(attempt.metrics, "data/validation_documents") == [(0, 3)]
    assert len(curve(attempt.metrics, "validation/val_loss")) == 2


def test_packed_documents_do_not_see_each_other(pretraining, plain_model):
    short = [record for record in TEXTS if len(record["text"]) < 25]
    counts = [len(document) - 1 for document in document_tokens(plain_model, short)]
    packed = pretraining("packed", {"packing": {"online": "first_fit_shuffle", "capacity": 64}}, short, model=plain_model)
    packed.here()
    assert curve(packed.metrics, "packing/num_sequences") == [(0, len(short))]
    params = {"dynamic_batching": {"tokens": 64, "round": 8}, "global_batch_size": 2, "max_tokens": sum(counts) // 2}
    dynamic = pretraining("dynamic", params, model=plain_model)
    dynamic.here()
    assert sum(value for _, value in curve(dynamic.metrics, "train/global_valid_toks")) >= sum(counts) // 2


def test_a_model_without_chat_template_and_one_long_document_do(pretraining, tiny_model, tmp_path):
    import shutil

    bare = tmp_path / "bare"
    shutil.copytree(tiny_model, bare, ignore=shutil.ignore_patterns("chat_template.jinja"))
    long = [{"text": "a long one, " * 300}]
    attempt = pretraining("long", {"max_steps": 2}, long, model=bare)
    assert attempt.here()[0] == 0
    with pytest.raises(BadData, match="/text"):
        pretraining("bad", {}, [{"messages": []}, {"text": ""}], model=bare).here()
    with pytest.raises(BadRequest, match="plans are for conversations"):
        pretraining("plan", {"packing": {"plan": "/p"}}, model=bare).here()


def test_the_step_that_reaches_the_budget_is_the_last_and_resumes_are_no_different():
    assert steps_for_tokens(iter([0, 1, 2, 3]), [5, 1, 1, 9], 2, 6) == 1
    assert steps_for_tokens(iter([0, 1, 2, 3]), [5, 1, 1, 9], 2, 7) == 2
    assert steps_for_tokens(iter([0, 1]), [5, 1], 2, 7) is None


def test_a_token_budget_ends_a_run_exactly_however_often_it_resumes(training):
    params = {"global_batch_size": 4, "epochs": 3, "schedule": "linear", "max_tokens": 60}
    whole = training("whole", params, {"every": 2})
    _, outputs, summary = whole.here()
    counts = [value for _, value in curve(whole.metrics, "train/global_valid_toks")]
    assert sum(counts[:-1]) < 60 <= sum(counts) == summary["tokens"]
    steps = len(counts)
    assert outputs["checkpoint.last"]["step"] == steps < 30
    assert curve(whole.metrics, "progress/total") == [(0, steps)]
    rates = [value for _, value in curve(whole.metrics, "train/lr")]
    assert rates == pytest.approx([1e-3 * (1 - step / steps) for step in range(steps)])
    losses = curve(whole.metrics, "train/loss")
    kept = 2
    for path in whole.checkpoints.iterdir():
        if path.name != f"step_{kept}":
            path.rename(path.with_name("tmp_" + path.name))
    whole.here()
    assert curve(whole.metrics, "train/loss") == losses[kept:]


def test_a_budget_that_is_never_reached_leaves_the_run_as_it_is(training, capsys):
    attempt = training("run", {"global_batch_size": 8, "max_tokens": 10**6})
    attempt.here()
    assert len(curve(attempt.metrics, "train/loss")) == 5
    assert "before max_tokens 1000000 is reached" in capsys.readouterr().out


def test_a_stage_with_kept_optimizer_and_schedule_goes_on_as_one_run(training, plain_model):
    """Two stages of two steps over one order of data are the four steps of one run."""
    common = {"global_batch_size": 8, "shuffle": False, "schedule": "cosine", "warmup_steps": 1}
    data = times_ten(range(32))
    whole = training("whole", common, records=data, model=plain_model)
    whole.here()
    first = training("first", common | {"schedule": "constant"}, records=data[:16], model=plain_model)
    _, outputs, _ = first.here()
    stage = {"optimizer_state": "keep", "schedule_state": "continue"}
    # The first stage had a constant rate: give the whole run's second half the same start.
    second = training("second", common | stage, records=data[16:], model=outputs["checkpoint.last"]["path"])
    second.here()
    expected = [learning_rate(step, 4, "cosine", 1e-3, 0, 1) for step in (2, 3)]
    assert [value for _, value in curve(second.metrics, "train/lr")] == pytest.approx(expected)

    # A third stage knows of the first, too.
    start = second.checkpoints / "step_2"
    third = training("third", common | stage, records=data[:16], model=start)
    third.here()
    expected = [learning_rate(step, 6, "cosine", 1e-3, 0, 1) for step in (4, 5)]
    assert [value for _, value in curve(third.metrics, "train/lr")] == pytest.approx(expected)

    fresh = training("fresh", common, records=data[16:], model=outputs["checkpoint.last"]["path"])
    fresh.here()
    restarted = [learning_rate(step, 2, "cosine", 1e-3, 0, 1) for step in (0, 1)]
    assert [value for _, value in curve(fresh.metrics, "train/lr")] == pytest.approx(restarted)


def test_kept_moments_make_the_same_weights_as_one_run(training, plain_model):
    params = {"global_batch_size": 8, "shuffle": False, "weight_decay": 0.0}
    data = times_ten(range(32))
    whole = training("whole", params, records=data, model=plain_model)
    whole.here()
    first = training("first", params, records=data[:16], model=plain_model)
    _, outputs, _ = first.here()
    start = outputs["checkpoint.last"]["path"]
    second = training("second", params | {"optimizer_state": "keep"}, records=data[16:], model=start)
    second.here()
    assert curve(second.metrics, "train/loss") == [(step - 2, value) for step, value in curve(whole.metrics, "train/loss")[2:]]
    fresh = training("fresh", params, records=data[16:], model=start)
    fresh.here()
    assert curve(fresh.metrics, "train/loss")[1] != curve(second.metrics, "train/loss")[1]


def test_state_that_is_not_there_is_told(training, plain_model):
    for key, value in (("optimizer_state", "keep"), ("schedule_state", "continue")):
        with pytest.raises(BadRequest) as caught:
            training(key, {key: value}, model=plain_model).here()
        assert [problem.pointer for problem in caught.value.problems] == [f"/params/{key}"]
    first = training("first", {"global_batch_size": 8, "max_steps": 1, "lora": {"rank": 2}})
    _, outputs, _ = first.here()
    with pytest.raises(BadRequest, match="other parameters"):
        training("full", {"global_batch_size": 8, "optimizer_state": "keep"}, model=outputs["model"]["path"]).here()
