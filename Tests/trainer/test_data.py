"""Data files: bad records are named by line and pointer, all of them at once."""

import pytest

from anneal_trainer.data import read_conversations, read_texts
from anneal_trainer.errors import PROBLEMS_MAX, BadData, BadRequest
from conftest import times_ten, write_lines

USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}


def problems(path) -> list[tuple[int, str | None, str]]:
    with pytest.raises(BadData) as caught:
        read_conversations(path, "/dataset")
    assert caught.value.exit_code == 65
    return [(problem.line, problem.pointer, problem.detail) for problem in caught.value.problems]


def test_good_records_keep_their_lines_and_blank_lines_do_not_count_as_records(tmp_path):
    path = write_lines(tmp_path / "d.jsonl", [*times_ten([1]), "", *times_ten([2])])
    assert [record.line for record in read_conversations(path, "/dataset")] == [1, 3]


@pytest.mark.parametrize(
    ("record", "pointer", "detail"),
    [
        ("{", None, "is not JSON"),
        ("[1]", None, "must be a JSON object"),
        ({"input": "q", "output": "a"}, "/messages", "is missing; the record has 'input', 'output'"),
        ({"messages": []}, "/messages", "not empty"),
        ({"messages": [USER]}, "/messages/0/role", "last message must be from the assistant"),
        ({"messages": [{"role": "robot", "content": "x"}, ANSWER]}, "/messages/0/role", "must be one of"),
        ({"messages": [{"role": "user"}, ANSWER]}, "/messages/0/content", "is missing"),
        ({"messages": ["hello", ANSWER]}, "/messages/0", "must be an object"),
        ('{"messages": [{"role": "assistant", "content": "\\ud800"}]}', "/messages/0/content", "surrogate"),
        ({"messages": [USER, ANSWER], "tools": "t"}, "/tools", "must be a list"),
    ],
)
def test_a_bad_record_is_named_by_line_and_pointer(tmp_path, record, pointer, detail):
    found = problems(write_lines(tmp_path / "d.jsonl", [*times_ten([1]), record]))
    assert [(line, where) for line, where, _ in found] == [(2, pointer)]
    assert detail in found[0][2]


def test_bytes_that_are_not_utf8_are_named(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"messages": "\xff"}\n')
    assert problems(path)[0][0] == 1


def test_problems_are_counted_whole_but_listed_up_to_a_limit(tmp_path):
    path = write_lines(tmp_path / "d.jsonl", ["x"] * (PROBLEMS_MAX + 5))
    with pytest.raises(BadData) as caught:
        read_conversations(path, "/dataset")
    assert len(caught.value.as_json()["errors"]) == PROBLEMS_MAX
    assert f"{PROBLEMS_MAX + 5} bad records" in caught.value.message


def test_an_empty_file_is_bad_data_and_a_missing_one_a_bad_request(tmp_path):
    assert problems(write_lines(tmp_path / "d.jsonl", []))[0][2] == "has no records"
    with pytest.raises(BadRequest, match="No such file"):
        read_conversations(tmp_path / "none.jsonl", "/dataset")


def test_texts_come_from_every_format(tmp_path):
    records = [
        *times_ten([1]),
        {"input": "i", "output": "o"},
        {"prompt": "p", "chosen": "c", "rejected": "r"},
        {"prompt": [USER], "chosen": [ANSWER], "rejected": [ANSWER]},
        {"text": "t"},
    ]
    texts = read_texts(write_lines(tmp_path / "d.jsonl", records), "/tokenizer/train_on")
    expected = ["user\n1*10=?", "assistant\n10", "i", "o", "p", "c", "r", "t"]
    expected += ["user\nq", "assistant\na", "assistant\na"]
    assert sorted(texts) == sorted(expected)


def test_a_record_without_text_is_refused(tmp_path):
    with pytest.raises(BadData, match="line 1"):
        read_texts(write_lines(tmp_path / "d.jsonl", [{"id": 1}]), "/tokenizer/train_on")
