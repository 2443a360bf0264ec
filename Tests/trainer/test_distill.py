"""Distillation: the loss of a step by hand, every way to a teacher, and what is refused."""

import json
import shutil

import pytest
import torch

from anneal_trainer import record_logits
from anneal_trainer.errors import BadRequest
from anneal_trainer.lengths import hash_of_file
from anneal_trainer.teacher_logits import TeacherLogits
from conftest import Attempt, curve, times_ten, write_lines

RECORDS = times_ten([3, 14, 159, 26, 5, 35, 8979, 323])
PARAMS = {"global_batch_size": 8, "micro_batch_size": 2, "max_steps": 1}
KEYS = ("train/loss", "train/kl_forward", "train/kl_reverse", "train/grad_norm")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, tiny_model):
    """Another model of the same vocabulary with four layers."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("teacher") / "model"
    torch.manual_seed(7)
    config = AutoConfig.from_pretrained(tiny_model, num_hidden_layers=4, attention_dropout=0.0, initializer_range=0.3)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


@pytest.fixture
def distilling(training, plain_model, teacher):
    """Makes distill jobs: `distilling(name, params, **keys of the job)`; a key that is None is left out."""

    def make(name, params, validation=None, **keys) -> Attempt:
        attempt = training(name, PARAMS | params, records=RECORDS, model=plain_model, validation=validation)
        body = {"method": "distill", "teacher": str(teacher), **keys}
        attempt.spec |= {key: value for key, value in body.items() if value is not None}
        if keys.get("teacher", "") is None:
            attempt.spec.pop("teacher", None)
        return attempt

    return make


def values(attempt, keys=KEYS):
    return [value for key in keys for _, value in curve(attempt.metrics, key)]


def by_hand(model, teacher, topk, temperature=1.0):
    """Mean forward KL, reverse KL and 1 − cos over all tokens with loss, a record at a time."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from anneal_trainer.chat_tokens import ChatTokenizer
    from anneal_trainer.data import Conversation

    student, parent = (AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in (model, teacher))
    chat = ChatTokenizer(AutoTokenizer.from_pretrained(model), False)
    sums, count = torch.zeros(3), 0
    for record in RECORDS:
        ids, labels = chat.encode(Conversation(1, record["messages"]))
        with torch.no_grad():
            ours, theirs = (each(torch.tensor([ids]), output_hidden_states=True) for each in (student, parent))
        for place, label in enumerate(labels[1:]):
            if label == -100:
                continue
            top, tokens = theirs.logits[0, place].topk(topk)
            t, s = (torch.softmax(x / temperature, 0) for x in (top, ours.logits[0, place][tokens]))
            distances = [
                1 - torch.cosine_similarity(ours.hidden_states[a][0, place], theirs.hidden_states[b][0, place], dim=0)
                for a, b in ((1, 2), (2, 4))
            ]
            sums += torch.stack([(t * (t / s).log()).sum(), (s * (s / t).log()).sum(), sum(distances) / 2])
            count += 1
    return (sums / count).tolist()


def test_the_loss_is_that_of_the_formula(distilling, plain_model, teacher):
    params = {"topk": 16, "mixed_kl_weight": 0.3, "temperature": 2.0, "cosine_weight": 0.5, "kl_weight": 0.7}
    attempt = distilling("run", params)
    code, outputs, _ = attempt.here()
    forward, reverse, cosine = by_hand(plain_model, teacher, 16, 2.0)
    assert code == 0 and outputs["checkpoint.last"]["step"] == 1
    found = values(attempt, ("train/kl_forward", "train/kl_reverse", "train/cosine", "train/loss"))
    loss = 0.7 * 4 * (0.3 * forward + 0.7 * reverse) + 0.5 * cosine
    assert found == pytest.approx([forward, reverse, cosine, loss], abs=2e-5)
    assert values(attempt, ("train/entropy",))[0] > 0


def test_micro_batches_packs_and_dynamic_batches_give_the_same_step(distilling):
    plain = distilling("even", {})
    plain.here()
    ways = {
        "micro": {"micro_batch_size": 8},
        "dynamic": {"micro_batch_size": None, "dynamic_batching": {"tokens": 100, "round": 8}},
        "packed": {"global_batch_size": 1, "micro_batch_size": 1, "packing": {"online": "first_fit", "capacity": 400}},
    }
    for name, params in ways.items():
        attempt = distilling(name, params)
        attempt.here()
        assert values(attempt) == pytest.approx(values(plain), abs=1e-5, rel=1e-5), name


def test_a_recorded_teacher_is_as_good_as_a_live_one(distilling, plain_model, teacher, tmp_path):
    validation = times_ten([77, 1234])
    live = distilling("live", {"topk": 8, "zero_outside_topk": True}, validation)
    live.here()
    spec, files = live.spec, {}
    for key in ("dataset", "validation"):
        files[key] = tmp_path / f"{key}.safetensors"
        arguments = ["--model", str(teacher), "--tokenizer", str(plain_model), "--data", spec[key]]
        assert record_logits.main([*arguments, "--output", str(files[key]), "--topk", "12", "--batch-tokens", "90"]) == 0
    keys = {"teacher": None, "teacher_logits": str(files["dataset"]), "validation_logits": str(files["validation"])}
    recorded = distilling("recorded", {"topk": 8, "zero_outside_topk": True}, validation, **keys)
    recorded.here()
    keys = (*KEYS, "validation/val_loss", "validation/val_kl_forward", "validation/val_entropy")
    assert values(recorded, keys) == pytest.approx(values(live, keys), abs=1e-5, rel=1e-5)
    packs = {"topk": 8, "zero_outside_topk": True, "global_batch_size": 2, "micro_batch_size": 1}
    packed = distilling("packed", packs | {"packing": {"online": "concatenative", "capacity": 130}}, **keys_of(recorded))
    packed.here()
    assert values(packed) == pytest.approx(values(live), abs=1e-5, rel=1e-5)

    for params, told in (({"topk": 13}, "the top 12 alone"), ({"only_final_turn": True, "topk": 8}, "only_final_turn")):
        with pytest.raises(BadRequest, match=told):
            distilling(f"not-{len(told)}", params, **keys_of(recorded)).here()
    swapped = {"teacher": None, "teacher_logits": str(files["validation"])}
    with pytest.raises(BadRequest, match="another dataset"):
        distilling("swapped", {"topk": 8}, **swapped).here()
    with pytest.raises(BadRequest, match="validation data need"):
        distilling("half", {"topk": 8}, validation, teacher=None, teacher_logits=str(files["dataset"])).here()


def keys_of(attempt):
    return {"teacher": None, "teacher_logits": attempt.spec["teacher_logits"]}


def test_a_student_comes_nearer_to_its_teacher_and_resumes_exactly(distilling):
    params = {"max_steps": 12, "epochs": 12, "learning_rate": 1e-2, "topk": None, "cosine_weight": 0.1, "sft_weight": 0.1}
    whole = distilling("whole", params, times_ten([77, 1234]))
    _, outputs, summary = whole.here()
    losses = [value for _, value in curve(whole.metrics, "validation/val_kl_forward")]
    assert losses[-1] < 0.98 * losses[0]
    assert summary["val_kl_forward"] == losses[-1] and "val_cosine" in outputs["model"]["metrics"]
    part = distilling("part", params, times_ten([77, 1234]))
    part.spec["checkpoint"] = {"every": 6}
    part.here()
    (part.checkpoints / "step_12").rename(part.checkpoints / "tmp_step_12")
    part.here()
    assert curve(part.metrics, "train/loss") == curve(whole.metrics, "train/loss")[6:]


def test_on_policy_the_student_writes_the_answers(distilling):
    params = {"on_policy": True, "max_new_tokens": 5, "max_steps": 3, "epochs": 3, "kl_type": "reverse"}
    attempt = distilling("run", params)
    attempt.here()
    tokens = curve(attempt.metrics, "train/num_unmasked_tokens")
    # Eight answers of up to five tokens: those of the data have others.
    assert all(8 <= count <= 40 for _, count in tokens)
    loss, reverse = (values(attempt, (key,)) for key in ("train/loss", "train/kl_reverse"))
    assert loss == pytest.approx(reverse, abs=1e-5)
    again = distilling("again", params | {"micro_batch_size": None, "dynamic_batching": {"tokens": 200, "round": 1}})
    again.here()
    assert len(curve(again.metrics, "train/loss")) == 3
    with pytest.raises(BadRequest, match="max_steps"):
        distilling("budget", params | {"max_tokens": 9}).here()


def test_lora_students_learn_too(distilling):
    attempt = distilling("run", {"lora": {"rank": 4}, "max_steps": 3, "epochs": 3, "learning_rate": 1e-2})
    _, _, summary = attempt.here()
    assert summary["trainable_parameters"] < summary["parameters"] / 2
    assert values(attempt, ("train/kl_forward",))[-1] < values(attempt, ("train/kl_forward",))[0]


def test_another_vocabulary_is_refused_in_words(distilling, teacher, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(teacher, other)
    document = json.loads((other / "tokenizer.json").read_text())
    vocabulary = document["model"]["vocab"]
    names = sorted(vocabulary, key=vocabulary.get)[-2:]
    vocabulary[names[0]], vocabulary[names[1]] = vocabulary[names[1]], vocabulary[names[0]]
    (other / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(BadRequest, match="another vocabulary.* 2 differ"):
        distilling("run", {}, teacher=str(other)).here()


@pytest.mark.parametrize(
    ("params", "keys", "pointers"),
    [
        ({}, {"teacher": None}, {"/teacher"}),
        ({}, {"teacher_logits": "/t"}, {"/teacher"}),
        ({}, {"validation_logits": "/t"}, {"/validation_logits"}),
        ({"cosine_weight": 1, "on_policy": True}, {"teacher": None, "teacher_logits": "/t"}, {"/params/cosine_weight", "/params/on_policy"}),
        ({"on_policy": True, "sft_weight": 1, "packing": {"online": "first_fit"}}, {}, {"/params/on_policy", "/params/sft_weight"}),
        ({"kl_weight": 0}, {}, {"/params/kl_weight"}),
        ({"layer_map": [0], "mixed_kl_weight": 1.5, "topk": 0}, {}, {"/params/layer_map", "/params/mixed_kl_weight", "/params/topk"}),
    ],
)
def test_what_does_not_go_together_is_refused(distilling, params, keys, pointers):
    with pytest.raises(BadRequest) as caught:
        distilling("run", params, **keys).here()
    assert {problem.pointer for problem in caught.value.problems} == pointers


def test_layers_that_do_not_exist_are_refused(distilling):
    with pytest.raises(BadRequest, match="must name 2 layers"):
        distilling("run", {"cosine_weight": 1, "layer_map": [1, 5]}).here()


def test_the_recorder_tells_the_daemon_of_its_file_and_of_its_mistakes(teacher, plain_model, tmp_path, monkeypatch, capsys):
    data = write_lines(tmp_path / "data.jsonl", RECORDS)
    monkeypatch.setenv("ANNEAL_OUTPUTS", str(tmp_path / "outputs.json"))
    monkeypatch.setenv("ANNEAL_OUTPUT_DIR", str(tmp_path))
    assert record_logits.main(["--model", str(teacher), "--data", str(data), "--topk", "4", "--max-length", "40"]) == 0
    document = json.loads((tmp_path / "outputs.json").read_text())
    output = document["outputs"]["logits"]
    assert output["type"] == "file" and output["sha256"] == hash_of_file(output["path"])
    found = TeacherLogits(output["path"], "/teacher_logits")
    assert document["summary"] == {"records": 8, "positions": found.offsets[-1], "topk": 4}
    logits, tokens = found.of([1, 0], 2)
    assert logits.shape == tokens.shape == (found.positions(1) + found.positions(0), 2)
    assert (logits[:, 0] >= logits[:, 1]).all()
    with pytest.raises(BadRequest, match="cannot read the teacher logits"):
        TeacherLogits(data, "/teacher_logits")
    assert record_logits.main(["--model", str(tmp_path / "none"), "--data", str(data)]) == 64
    assert record_logits.main(["--model", str(teacher), "--data", str(data), "--topk", "0"]) == 64
    assert "must be at least 1" in capsys.readouterr().err
