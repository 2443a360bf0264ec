"""Making a small model: the same request gives the same bytes."""

import hashlib
import json

import pytest

from anneal_trainer.errors import BadRequest
from conftest import Attempt, times_ten, write_lines

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def make(tmp_path, name="job", create=None, tokenizer=None, **spec) -> Attempt:
    data = write_lines(tmp_path / "texts.jsonl", times_ten(range(100, 164)))
    body = {
        "create": {"architecture": "llama", **SIZES, **(create or {})},
        "tokenizer": {"train_on": str(data), **(tokenizer or {})},
        **spec,
    }
    return Attempt(tmp_path / name, "convert", body)


def hashes(folder) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_every_family_gives_a_model_that_loads_and_answers(tmp_path, architecture):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    code, outputs, summary = make(tmp_path, create={"architecture": architecture}).here()
    path = outputs["model"]["path"]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    assert code == 0 and model.config.model_type == architecture
    assert summary["parameters"] == model.num_parameters() and summary["vocab_size"] == len(tokenizer)
    assert tokenizer.convert_ids_to_tokens([0, 1, 2]) == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == 2
    assert model.generation_config.pad_token_id == 0
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "1*10=?"}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    assert model.generate(**prompt, max_new_tokens=2, do_sample=False).shape[1] == prompt["input_ids"].shape[1] + 2


def test_the_same_request_gives_the_same_bytes_and_another_seed_other_weights(tmp_path):
    one, two = make(tmp_path, "one"), make(tmp_path, "two")
    other = make(tmp_path, "other", seed=7)
    folders = [attempt.here()[1]["model"]["path"] for attempt in (one, two, other)]
    first, second, third = (hashes(attempt.outputs / "model") for attempt in (one, two, other))
    assert len(set(folders)) == 3
    assert first == second
    assert {name for name in first if first[name] != third[name]} == {"model.safetensors"}


def test_a_second_attempt_replaces_what_the_first_left(tmp_path):
    attempt = make(tmp_path)
    attempt.here()
    (attempt.outputs / "tmp_model").mkdir()
    attempt.here()
    assert [path.name for path in attempt.outputs.iterdir()] == ["model"]


def test_digits_are_single_tokens_only_when_asked(tmp_path):
    from transformers import AutoTokenizer

    text = "160*10=?"
    counts = {}
    for split in (True, False):
        _, outputs, _ = make(tmp_path, f"{split}", tokenizer={"split_digits": split}).here()
        tokenizer = AutoTokenizer.from_pretrained(outputs["model"]["path"])
        pieces = tokenizer.tokenize(text)
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
        counts[split] = [piece for piece in pieces if len(piece) > 1 and piece.isdigit()]
    assert counts[True] == [] and counts[False] != []


def test_any_text_comes_back_as_it_was(tmp_path):
    from transformers import AutoTokenizer

    _, outputs, _ = make(tmp_path).here()
    tokenizer = AutoTokenizer.from_pretrained(outputs["model"]["path"])
    for text in ("質問: 12 ÷ 3 = ?\n\n", " two  spaces ", "a'b , c .", "\x00\x7f"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_vocabulary_is_never_larger_than_asked(tmp_path):
    _, outputs, summary = make(tmp_path, tokenizer={"vocab_size": 262}).here()
    config = json.loads((make(tmp_path).outputs / "model" / "config.json").read_text())
    assert summary["vocab_size"] == config["vocab_size"] == 262


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"create": {"architecture": "t5"}}, "/create/architecture"),
        ({"create": {"architecture": "nonesuch"}}, "/create/architecture"),
        ({"chat_template": "{% for %}"}, "/chat_template"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, spec, pointer):
    with pytest.raises(BadRequest) as caught:
        make(tmp_path, **spec).here()
    assert [problem.pointer for problem in caught.value.problems] == [pointer]


def test_a_template_of_ones_own_is_kept(tmp_path):
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    _, outputs, _ = make(tmp_path, chat_template=template).here()
    assert (make(tmp_path).outputs / "model" / "chat_template.jinja").read_text() == template
    assert outputs["model"]["type"] == "checkpoint"
