"""Evaluations by a real daemon: answers that are there already, answers that are asked for whatever is killed, and how two compare."""

import json
import os
import random
import re
import signal
import subprocess

import pytest

from conftest import PROGRAMS, wait_until
from test_generate import mock, records  # noqa: F401  (`mock` is a fixture)


def problems(tmp_path, count, name="problems.jsonl"):
    """A file of problems whose answers the mock server's mode `solve` knows."""
    path = tmp_path / name
    lines = [
        {"problem": f"ten times {i}", "expected_answer": str(i * 10), "task": "thirds" if i % 3 == 2 else "others"}
        for i in range(1, count + 1)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def is_wrong(number, period):
    """Whether the server in mode `solve:period` errs: an evaluation of one sample sends the item's place as seed."""
    return (number + number - 1) % period == 0


def asked(server, data, **more):
    """A job that asks a server."""
    benchmark = {"dataset": data, "name": "tens", "expected": "expected_answer", "grading": {"answer": "boxed"}, **more.pop("benchmark", {})}
    return {"kind": "evaluate", "server": {"url": server}, "benchmarks": [benchmark], **more}


def anneal(daemon, *arguments):
    """The command line tool, asked of this daemon."""
    environment = {**os.environ, "ANNEAL_URL": daemon.url}
    return subprocess.run([PROGRAMS / "anneal", *arguments], capture_output=True, text=True, env=environment, timeout=60)


def evaluation(daemon, job):
    """The evaluation of a job."""
    return daemon.get(f"/v1/evaluations/{job['outputs']['evaluation']['id']}").json


def values(view):
    """The metrics of the first benchmark."""
    return {name: metric["value"] for name, metric in view["benchmarks"][0]["metrics"].items()}


def test_generations_are_graded_and_the_grades_are_used(daemon, mock, tmp_path):  # noqa: F811
    """generate → evaluate → prepare, with nothing but references between them."""
    data = problems(tmp_path, 12)
    grade = {"expected": "expected_answer", "grading": {"answer": "boxed"}, "name": "tens"}
    spec = {
        "name": "chain",
        "jobs": {
            "solve": {
                "kind": "generate", "server": {"url": mock("--mode", "solve:4").url}, "dataset": data, "prompt": {"user": "{problem}"},
                "samples": 3, "parse_reasoning": True,
            },
            "grade": {"kind": "evaluate", "benchmarks": [{"generations": ["${solve.rs0}", "${solve.rs1}", "${solve.rs2}"], **grade}]},
            "joined": {
                "kind": "evaluate", "compare_to": "${grade.evaluation}",
                "benchmarks": [{"generations": "${solve.generations}", "samples": 3, "definition": "first_k", **grade}],
            },
            "pairs": {
                "kind": "prepare", "source": {"dataset": "${grade.graded}"},
                "steps": [{"preference_pairs": {"group_by": "problem", "pairs_per_group": 1}}],
            },
            "hard": {
                "kind": "prepare", "source": {"dataset": "${grade.graded}"},
                "steps": [{"pass_rate": {"discard_from": 1.0, "min_samples": 3}}],
            },
            "right": {
                "kind": "prepare", "source": {"dataset": "${joined.graded}"},
                "steps": [{"correctness": {"add_unlabeled": False}}, {"dedupe": {"keys": ["problem", "generation"]}}],
            },
        },
    }  # fmt: skip
    ended = daemon.run(spec)
    assert ended["state"] == "succeeded", {name: job["message"] for name, job in ended["jobs"].items()}
    jobs = ended["jobs"]
    # Of sample s the numbers i with (i + s) % 4 = 0 are wrong: three of twelve. Each number is wrong in one sample of three, or in none.
    found = values(evaluation(daemon, jobs["grade"]))
    assert found["accuracy"] == pytest.approx(0.75) and found["pass@3"] == 1 and found["majority@3"] == 1 and found["no_answer"] == 0
    assert values(evaluation(daemon, jobs["joined"]))["accuracy"] == pytest.approx(0.75)
    same = evaluation(daemon, jobs["joined"])["compare"]["benchmarks"][0]
    assert same["items"] == 12 and same["difference"] == 0 and same["verdict"] == "unclear"
    graded = records(daemon, jobs["grade"], "graded")
    assert len(graded) == 36 and {record["symbolic_correct"] for record in graded} == {True, False}
    assert all(record["symbolic_correct"] == (record["predicted_answer"] == record["expected_answer"]) for record in graded)
    assert [record["problem"] for record in graded[:12]] == [f"ten times {i}" for i in range(1, 13)]
    assert "is_correct" in records(daemon, jobs["joined"], "graded")[0]
    pairs = records(daemon, jobs["pairs"], "dataset")
    assert len(pairs) == 9 and all("chosen" in json.dumps(pair) for pair in pairs)
    assert len({record["problem"] for record in records(daemon, jobs["hard"], "dataset")}) == 9
    right = records(daemon, jobs["right"], "dataset")
    assert len(right) == 12 and all(record["is_correct"] for record in right)


@pytest.mark.parametrize(
    "lines, words",
    [
        (['{"generation": "1", "expected_answer": "1"}'] * 2 + ['{"expected_answer": "1"}'], "line 3, /generation: must hold the model's answer"),
        (['{"generation": "1", "expected_answer": "1"}', "{"], "line 2: not one JSON object"),
        (['{"generation": "1", "expected_answer": "1"}'] * 3, "has 3 generations, which is no multiple of 2 samples"),
        (['{"generation": "1", "expected_answer": "1"}', '{"generation": "1", "expected_answer": "2"}'], "line 2: another question or expected"),
        (['{"generation": "1"}'] * 2, "the record has no expected answer"),
        ([], "holds no generations"),
    ],
)  # fmt: skip
def test_generations_that_cannot_be_graded_are_told_with_their_place(shared_daemon, tmp_path, lines, words):
    path = tmp_path / "made.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    benchmark = {"generations": str(path), "samples": 2}
    job = shared_daemon.run({"name": "bad", "jobs": {"e": {"kind": "evaluate", "benchmarks": [benchmark]}}})["jobs"]["e"]
    assert (job["state"], job["reason"]) == ("failed", "bad_data") and words in job["message"], job["message"]


def test_two_evaluations_are_compared_to_the_last_item(daemon, mock, tmp_path):  # noqa: F811
    data = problems(tmp_path, 42)
    good, bad = mock("--mode", "solve:1000"), mock("--mode", "solve:3")
    jobs = {"base": asked(good.url, data), "worse": asked(bad.url, data, compare_to="${base.evaluation}", gate={
        "accuracy": "not < baseline at 95%"})}  # fmt: skip
    ended = daemon.run({"name": "cmp", "jobs": jobs})
    worse = ended["jobs"]["worse"]
    assert (worse["state"], worse["reason"]) == ("failed", "gate_failed")
    message = "the gate was missed: accuracy is 0.6667, asked for not < baseline at 95% (1.0), and its interval is "
    assert worse["message"].startswith(message), worse["message"]
    base = ended["jobs"]["base"]["outputs"]["evaluation"]["id"]
    candidate = daemon.get(f"/v1/evaluations?job={worse['id']}").json["data"][0]
    view = daemon.get(f"/v1/evaluations/compare?base={base}&candidate={candidate['id']}").json
    assert view["regressions"] == ["tens", "tens/thirds"] and view == candidate["compare"]
    row = view["benchmarks"][0]
    assert (row["verdict"], row["flipped_down"], row["flipped_up"]) == ("regression", 14, 0) and row["p_adjusted"] < 0.001
    assert {task["name"]: task["verdict"] for task in row["tasks"]} == {"thirds": "regression", "others": "unclear"}
    flips = daemon.get(f"/v1/evaluations/compare/items?base={base}&candidate={candidate['id']}&limit=2&after=1").json
    assert (flips["total"], flips["has_more"], flips["next"]) == (14, True, "3")
    assert flips["data"][0] == {
        "benchmark": "tens", "item": 4, "task": "thirds", "direction": "regression", "question": "ten times 5", "expected": "50",
        "base": {"score": 1.0, "answers": ["50"]}, "candidate": {"score": 0.0, "answers": ["5"]},
    }  # fmt: skip
    run = anneal(daemon, "compare", "cmp/base", "cmp/worse", "--items", "--csv", "--limit", "3")
    assert run.stdout.splitlines()[1] == "tens,1,thirds,regression,ten times 2,20,20,2" and len(run.stdout.splitlines()) == 4
    run = anneal(daemon, "compare", "cmp/base", "cmp/worse", "--fail-on-regression")
    assert run.returncode == 1 and "worse than the base beyond chance: tens, tens/thirds" in run.stderr
    assert re.search(r"tens +accuracy +1 +0\.6667 +-0\.3333 .* regression", run.stdout), run.stdout
    wrong = daemon.get(f"/v1/evaluations/{candidate['id']}/items?wrong=true&limit=10").json
    rest = daemon.get(f"/v1/evaluations/{candidate['id']}/items?wrong=true&limit=10&after={wrong['next']}").json
    assert [item["item"] for item in wrong["data"] + rest["data"]] == list(range(1, 42, 3)) and not rest["has_more"]
    shown = anneal(daemon, "evaluations", "items", candidate["id"], "--wrong", "--limit", "1").stdout
    assert "✗ tens #1 · thirds" in shown and "question  ten times 2" in shown
    assert daemon.get(f"/v1/evaluations/{candidate['id']}/items?benchmark=other").status == 404


def test_an_evaluation_that_is_killed_asks_only_for_what_is_missing(daemon, mock, tmp_path):  # noqa: F811
    count, width = 1500, 64
    server = mock("--mode", "solve:7", "--delay", "0.02")
    answer = daemon.submit({"name": "k", "jobs": {"e": asked(server.url, problems(tmp_path, count), concurrency=width, retry={"limit": 50})}})
    job = answer.json["jobs"][0]["id"]
    chance = random.Random(11)
    for kill in range(4):
        goal = server.stats()["requests"] + chance.randrange(100, 200)
        wait_until(lambda: server.stats()["requests"] >= goal or daemon.job(job)["finished_at"], "more requests")
        attempts = [attempt for attempt in daemon.job(job)["attempts"] if attempt["state"] == "running"]
        if kill % 2 == 0:
            daemon.restart()
        elif attempts:
            os.kill(daemon.shim(attempts[-1]["id"])["child_pid"], signal.SIGKILL)
    ended = daemon.finished(answer.json["id"])["jobs"]["e"]
    assert ended["state"] == "succeeded", ended
    stats = server.stats()
    assert stats["different"] == count and stats["repeated"] < 4 * width, stats
    assert values(evaluation(daemon, ended))["accuracy"] == pytest.approx(1 - sum(is_wrong(number, 7) for number in range(1, count + 1)) / count)
    items = [json.loads(line) for line in (daemon.folder / "jobs" / job).glob("**/1-tens.jsonl").__next__().read_text().splitlines()]
    assert [item["item"] for item in items] == list(range(count))
