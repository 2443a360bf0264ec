"""Grading by math-verify: what is equal, and that no answer can take the grader down."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from conftest import PACKAGE

pytest.importorskip("math_verify", reason="needs math-verify")

from anneal_trainer import grade


def run(lines: list, *options: str) -> dict:
    """Replies of a grading process by the id of their request."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    result = subprocess.run(
        [sys.executable, "-m", "anneal_trainer.grade", *options],
        input=text, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(PACKAGE)}, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return {reply["id"]: reply for reply in map(json.loads, result.stdout.splitlines())}


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ("1000", "1,000"), ("\\frac{1}{2}", "0.5"), ("50%", "50"), ("50\\%", "50."), ("x+1", "1+x"), ("(1,2)", "(1, 2)"),
        ("\\sqrt{8}", "2\\sqrt{2}"), ("3\\text{ cm}", "3"), ("\\{1,2\\}", "\\{2,1\\}"), ("A", "A"), ("A", "The answer is A"),
        ("\\frac{3}{4}", "\\dfrac34"), ("-1000", "\u22121000"), ("0.3333333", "\\frac13"),
    ],
)  # fmt: skip
def test_equal_answers(expected, answer):
    assert grade.equal(expected, answer)


@pytest.mark.parametrize(
    ("expected", "answer"), [("1", "2"), ("A", "B"), ("A", "(a)"), ("x", "y"), ("(1,2)", "(2,1)"), ("3", ""), ("3", "three")]
)
def test_different_answers(expected, answer):
    assert not grade.equal(expected, answer)


def test_a_batch_is_answered_whole_in_spite_of_broken_lines():
    lines = [{"id": n, "expected": "\\frac{1}{2}", "answer": "0.5" if n % 2 else "0.25"} for n in range(20)]
    replies = run([*lines, "", "not json", '{"id": "x"}', "[1]"], "--workers", "2")
    assert {n: replies[n]["correct"] for n in range(20)} == {n: bool(n % 2) for n in range(20)}
    assert replies["x"] == {"id": "x", "correct": False, "error": "bad request"}
    assert replies[None]["error"] == "bad request"


def test_an_answer_that_takes_for_ever_costs_only_its_own_time():
    # One power of this size keeps C code busy for longer than anyone waits, and no alarm gets through.
    replies = run(
        [{"id": 0, "expected": "1", "answer": "9^{9^{9^{9}}}"}, {"id": 1, "expected": "x+1", "answer": "1+x"}],
        "--limit", "5", "--workers", "1", "--memory", "0",
    )  # fmt: skip
    assert replies[0]["correct"] is False
    assert replies[1] == {"id": 1, "correct": True}


def judge_or_die(request):
    """What a child runs in the test below: it dies over the answer `die`, and never ends over `hang`."""
    if request["answer"] == "die":
        os._exit(9)
    while request["answer"] == "hang":
        pass
    return {"id": request["id"], "correct": True}


def test_a_process_that_dies_or_hangs_is_replaced(monkeypatch):
    monkeypatch.setattr(grade, "judge", judge_or_die)
    answers = ["a", "die", "b", "hang", "c", "die"]
    requests = ({"id": number, "expected": "1", "answer": answer} for number, answer in enumerate(answers))
    replies = {reply["id"]: reply for reply in grade.judged(requests, workers=2, limit=1.0, memory=0)}
    assert [replies[number]["correct"] for number in range(6)] == [True, False, True, False, True, False]
    assert [replies[number].get("error") for number in (1, 3, 5)] == ["crashed", "timeout", "crashed"]


def test_an_error_of_the_library_is_told(monkeypatch):
    def fail(expected, answer):
        raise MemoryError if answer == "big" else ValueError("no such mathematics")

    monkeypatch.setattr(grade, "equal", fail)
    assert grade.judge({"id": 1, "expected": "1", "answer": "big"})["error"] == "memory"
    assert grade.judge({"id": 1, "expected": "1", "answer": "2"})["error"] == "ValueError: no such mathematics"
