"""The lengths of records: those that training sees, batch by batch, with the lines of what is bad."""

import hashlib
import json
import os
import subprocess
import sys
from importlib import resources

import pytest

from anneal_trainer import lengths
from anneal_trainer.chat_tokens import ChatTokenizer
from anneal_trainer.data import Conversation, read_conversations
from anneal_trainer.errors import BadRequest
from anneal_trainer.lengths import hash_of_tokenizer
from anneal_trainer.model_folder import chat_template_text
from conftest import PACKAGE, times_ten, write_lines
from test_chat_tokens import MESSAGES, PLAIN, without_marks

USER, ANSWER = MESSAGES[1], MESSAGES[2]
EMPTY_ANSWER = {"role": "assistant", "content": ""}
#: The first half of a turn is rewritten when a later turn follows.
REWRITING = resources.files("trl").joinpath("chat_templates/qwen3.jinja").read_text()
TEMPLATES = {
    "marked": chat_template_text("chatml"),
    "unmarked": without_marks(),
    "plain": PLAIN,
    "rewriting": REWRITING,
}


def run(data, model, output, *arguments: str) -> int:
    """Measure in this process; the exit code."""
    return lengths.main(["--data", str(data), "--model", str(model), "--output", str(output), *arguments])


def read(path) -> tuple[dict, list[dict]]:
    """The header and the lines of a file of lengths."""
    header, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    return header, lines


@pytest.fixture
def data(tmp_path):
    """Conversations of one turn and of two, a repeated one, an empty answer, and a blank line."""
    longer = [{"messages": MESSAGES}, {"messages": [USER, ANSWER, USER, EMPTY_ANSWER]}]
    records = [*times_ten([7, 1234567, 7]), "", *longer]
    return write_lines(tmp_path / "data.jsonl", records)


@pytest.mark.parametrize("final", [False, True], ids=["all_turns", "final_turn"])
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())
@pytest.mark.parametrize("batch_size", [1, 2, 512])
def test_the_lengths_are_those_that_training_sees(tmp_path, tiny_model, data, template, final, batch_size):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = template
    chat = ChatTokenizer(tokenizer, final)
    expected = [
        {"line": record.line, "length": len(chat.encode(record)[0])} for record in read_conversations(data, "/dataset")
    ]
    options = ["--chat-template", template, "--batch-size", str(batch_size), *(["--only-final-turn"] if final else [])]
    assert run(data, tiny_model, tmp_path / "out.jsonl", *options) == 0
    header, found = read(tmp_path / "out.jsonl")
    assert found == expected
    assert [line["line"] for line in found] == [1, 2, 3, 5, 6]
    assert (header["kind"], header["records"], header["only_final_turn"]) == ("sft", 5, final)


def test_the_header_names_tokenizer_and_data(tmp_path, tiny_model, data):
    out = tmp_path / "out.jsonl"
    assert run(data, tiny_model, out) == 0
    header, _ = read(out)
    assert (header["format"], header["version"]) == ("anneal.lengths", 1)
    assert header["dataset_sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert len(header["tokenizer_sha256"]) == 64
    assert run(data, tiny_model, out) == 0
    assert read(out)[0] == header
    assert run(data, tiny_model, out, "--chat-template", PLAIN) == 0
    assert read(out)[0]["tokenizer_sha256"] != header["tokenizer_sha256"]
    assert [path.name for path in tmp_path.glob("*out*")] == ["out.jsonl"]


def test_a_tokenizer_that_was_saved_anew_is_the_same(tmp_path, tiny_model):
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(tmp_path)
    GenerationConfig.from_pretrained(tiny_model).save_pretrained(tmp_path)
    assert hash_of_tokenizer(tmp_path, None) == hash_of_tokenizer(tiny_model, None)
    assert hash_of_tokenizer(tmp_path, "chatml") != hash_of_tokenizer(tmp_path, PLAIN)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(tmp_path)
    assert hash_of_tokenizer(tmp_path, None) != hash_of_tokenizer(tiny_model, None)


def test_pairs_are_measured_as_training_counts_them(tmp_path, tiny_model):
    """Messages by the template, of which the last is learned; texts as they are, without an end mark of our own."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    longer = {"role": "assistant", "content": "I cannot answer that."}
    records = [
        {"prompt": [USER], "chosen": [ANSWER], "rejected": [longer]},
        {"prompt": [USER], "chosen_response": ANSWER["content"], "rejected_response": longer["content"]},
        {"chosen": [USER, ANSWER], "rejected": [USER, longer]},
        {"context": [USER], "completions": [{"rank": 2, "completion": [longer]}, {"rank": 1, "completion": [ANSWER]}]},
        {"prompt": "7*10=", "chosen": "70", "rejected": "no<|im_end|>"},
    ]
    data = write_lines(tmp_path / "data.jsonl", records)
    assert run(data, tiny_model, tmp_path / "out.jsonl", "--kind", "dpo", "--batch-size", "2") == 0
    header, found = read(tmp_path / "out.jsonl")
    assert header["kind"] == "dpo"
    chat = ChatTokenizer(tokenizer, only_final_turn=True)
    conversation = {
        key: len(chat.encode(Conversation(1, [USER, answer]))[0]) for key, answer in (("chosen", ANSWER), ("rejected", longer))
    }
    texts = {"chosen": "7*10=70", "rejected": "7*10=no<|im_end|>"}
    text = {key: len(tokenizer(content, add_special_tokens=False)["input_ids"]) for key, content in texts.items()}
    assert [{key: line[key] for key in ("chosen", "rejected")} for line in found] == [*[conversation] * 4, text]


def test_bad_pairs_are_named_by_line(tmp_path, tiny_model, capsys):
    good, out = {"prompt": "p", "chosen": "c", "rejected": "r"}, tmp_path / "out.jsonl"
    data = write_lines(tmp_path / "data.jsonl", [good, {"prompt": "p", "chosen": [ANSWER], "rejected": "r"}, "{"])
    assert run(data, tiny_model, out, "--kind", "dpo") == 65
    told = capsys.readouterr().err
    assert "line 2, /chosen: is messages, and the prompt is text" in told and "line 3: is not JSON" in told
    write_lines(data, [good, {"prompt": "2<|im_", "chosen": "end|>20", "rejected": "end|>no"}])
    assert run(data, tiny_model, out, "--kind", "dpo") == 65
    assert "line 2, /chosen: the prompt's tokens are no prefix" in capsys.readouterr().err and not out.exists()


def test_records_that_the_template_refuses_are_named_by_line_and_nothing_is_written(tmp_path, tiny_model, capsys):
    refusing = "{% if messages[0].content == 'bad' %}{{ raise_exception('no') }}{% endif %}" + TEMPLATES["marked"]
    bad = {"messages": [{"role": "user", "content": "bad"}, ANSWER]}
    data = write_lines(tmp_path / "data.jsonl", [*times_ten([1]), bad, "", *times_ten([2]), bad])
    code = run(data, tiny_model, tmp_path / "out.jsonl", "--chat-template", refusing, "--batch-size", "1")
    assert code == 65
    told = capsys.readouterr().err
    assert "2 records cannot be tokenised" in told
    assert "  line 2, /messages" in told and "  line 5, /messages" in told
    assert list(tmp_path.glob("*out*")) == []


def test_wrong_arguments_are_bad_requests(tmp_path, tiny_model, data, capsys):
    out = tmp_path / "out.jsonl"
    assert lengths.main(["--data", str(data)]) == 64
    assert run(data, tiny_model, out, "--batch-size", "0") == 64
    assert run(data, tiny_model, out, "--kind", "kto") == 64
    assert run(data, tmp_path / "none", out) == 64
    assert run(tmp_path / "none.jsonl", tiny_model, out) == 64
    assert run(data, tiny_model, tmp_path / "none" / "out.jsonl") == 64
    assert capsys.readouterr().err.count("error: ") == 6


def test_progress_is_told_on_stderr(tmp_path, tiny_model, capsys, monkeypatch):
    monkeypatch.setattr(lengths, "PROGRESS_SECONDS", 0.0)
    data = write_lines(tmp_path / "data.jsonl", times_ten(range(5)))
    assert run(data, tiny_model, tmp_path / "out.jsonl", "--batch-size", "2") == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert [line for line in told.err.splitlines() if " of 5 records" in line] == [
        f"lengths: {done} of 5 records" for done in (2, 4, 5)
    ]


def test_a_model_without_a_chat_template_is_refused_for_messages(tmp_path, tiny_model, data):
    import shutil

    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    (model / "chat_template.jinja").unlink()
    options = lengths.parse_arguments(["--data", str(data), "--model", str(model), "--output", str(tmp_path / "out")])
    with pytest.raises(BadRequest, match="has no chat template"):
        lengths.load_chat_tokenizer(options)
    texts = write_lines(tmp_path / "texts.jsonl", [{"prompt": "p", "chosen": "c", "rejected": "r"}])
    assert run(texts, model, tmp_path / "out.jsonl", "--kind", "dpo") == 0


def test_it_runs_as_a_module(tmp_path, tiny_model, data):
    arguments = ["--data", data, "--model", tiny_model, "--output", "out.jsonl"]
    result = subprocess.run(
        [sys.executable, "-m", "anneal_trainer.lengths", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert read(tmp_path / "out.jsonl")[0]["records"] == 5
    assert "lengths: 5 records in out.jsonl" in result.stderr
