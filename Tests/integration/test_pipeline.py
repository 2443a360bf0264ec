"""The main job for real: a model is made, evaluated, trained and evaluated again. Slow."""

import json
import os
import signal

import pytest

from conftest import ROOT, wait_until

pytestmark = pytest.mark.slow

TRAIN = {
    "kind": "train", "method": "sft", "model": "${base.model}", "dataset": "${data.train}", "validation": "${data.validation}",
    "params": {
        "epochs": 1, "global_batch_size": 16, "micro_batch_size": 16, "max_length": 64, "learning_rate": 1.0e-3, "schedule": "cosine",
        "warmup_steps": 5, "validate_every": 20,
    },
    "checkpoint": {"every": 10, "keep_top_k": 2},
}
SPEC = {
    "name": "t",
    "env": {"OMP_NUM_THREADS": "1"},
    "jobs": {
        "data": {
            "kind": "prepare", "source": {"generator": {"name": "times_ten", "count": 1000}},
            "steps": [{"split": {"train": 0.96, "validation": 0.04, "seed": 7}}],
        },
        "base": {
            "kind": "convert",
            "create": {
                "architecture": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                "max_position_embeddings": 64,
            },
            "tokenizer": {"type": "byte_bpe", "train_on": "${data.train}", "vocab_size": 300, "split_digits": True},
        },
        "sft": TRAIN,
    },
}


@pytest.fixture
def machine(make_daemon, trainer_python):
    return make_daemon("--gpus", "none", "--cpus", "2", ANNEAL_PYTHON=trainer_python).start()


def losses(daemon, job):
    return {point["step"]: point["value"] for point in daemon.curve(job, "train/loss")}


def test_the_demo_spec_learns_and_tells_where_its_number_comes_from(machine):
    ended = machine.run((ROOT / "deploy" / "examples" / "demo.yaml").read_text())
    assert ended["state"] == "succeeded", {name: (job["state"], job["message"]) for name, job in ended["jobs"].items()}
    after = machine.get(f"/v1/evaluations?job={ended['jobs']['after']['id']}").json["data"][0]
    before = machine.get(f"/v1/evaluations?job={ended['jobs']['baseline']['id']}").json["data"][0]
    accuracy = lambda view: view["benchmarks"][0]["metrics"]["accuracy"]["value"]
    assert accuracy(before) <= 0.1 and accuracy(after) >= 0.9 and after["gate"]["passed"]
    compared = machine.get(f"/v1/evaluations/compare?base={before['id']}&candidate={after['id']}").json["benchmarks"][0]
    assert compared["improved"] >= 40 and compared["ci_low"] > 0.5
    table = machine.get(f"/v1/evaluations/{after['id']}/report").body.decode()
    assert "evaluation_mode" in table and "pass@1[avg-of-4]" in table and "majority@4" in table
    assert machine.get(f"/v1/evaluations/{after['id']}/report?format=csv").headers["Content-Type"].startswith("text/csv")
    nodes = {node["type"] for node in machine.get(f"/v1/lineage/{after['id']}").json["nodes"]}
    assert nodes == {"dataset", "checkpoint", "evaluation", "job", "experiment"}
    items = machine.get(f"/v1/evaluations/{after['id']}/items?limit=10").json
    assert len(items["data"]) == 10 and items["has_more"]
    best = ended["jobs"]["sft"]["outputs"]["checkpoint.best"]["id"]
    pinned = machine.post(f"/v1/checkpoints/{best}/pin").json
    assert pinned["pinned"] and pinned["best"]
    assert machine.request("DELETE", f"/v1/checkpoints/{best}").status == 409
    # The same spec again is answered from the cache, evaluation and all.
    again = machine.run((ROOT / "deploy" / "examples" / "demo.yaml").read_text())
    assert {job["reason"] for job in again["jobs"].values()} == {"cached"}


def test_a_training_stopped_by_sigterm_resumes_to_the_bitwise_same_losses_and_a_killed_daemon_changes_nothing(machine):
    whole = machine.run(SPEC)
    assert whole["state"] == "succeeded", whole["jobs"]["sft"]
    expected = losses(machine, whole["jobs"]["sft"]["id"])
    answer = machine.submit({**SPEC, "name": "u", "jobs": {**SPEC["jobs"], "sft": {**TRAIN, "cache": False}}})
    job = next(job["id"] for job in answer.json["jobs"] if job["name"] == "sft")

    def step():
        found = machine.get(f"/v1/jobs/{job}/metrics").json["keys"]
        return next((key["last_step"] for key in found if key["key"] == "train/loss"), 0)

    wait_until(lambda: step() >= 15, "step 15", 120)
    attempt = machine.job(job)["attempts"][0]["id"]
    os.killpg(machine.shim(attempt)["child_pid"], signal.SIGTERM)
    # A daemon that dies before the worker was started makes a further attempt, which is right but not what is looked at here.
    wait_until(lambda: [attempt["state"] for attempt in machine.job(job)["attempts"]][1:] == ["running"], "the second attempt", 120)
    machine.restart()
    ended = machine.finished(answer.json["id"])["jobs"]["sft"]
    assert [attempt["exit_code"] for attempt in ended["attempts"]] == [75, 0], ended["attempts"]
    assert ended["attempts"][1]["resumed_from_step"] >= 15
    curve = machine.curve(job, "train/loss")
    assert [point["step"] for point in curve] == sorted(expected) and {point["attempt"] for point in curve} == {1, 2}
    assert {point["step"]: point["value"] for point in curve} == expected


def test_a_missed_gate_fails_the_evaluation_and_keeps_its_result(machine):
    jobs = {
        "data": SPEC["jobs"]["data"],
        "base": SPEC["jobs"]["base"],
        "eval": {
            "kind": "evaluate", "model": "${base.model}", "server": {"engine": "transformers", "args": {"device": "cpu"}},
            "benchmarks": [{"dataset": "${data.validation}", "samples": 1, "max_tokens": 4, "limit": 4}], "gate": {"accuracy": ">= 0.9"},
        },
    }
    ended = machine.run({"name": "g", "jobs": jobs})
    job = ended["jobs"]["eval"]
    assert (job["state"], job["reason"]) == ("failed", "gate_failed") and "accuracy" in job["message"]
    assert len(machine.get(f"/v1/evaluations?job={job['id']}").json["data"]) == 1


def test_a_server_that_never_gets_healthy_is_told_with_its_last_words(machine, tmp_path):
    broken = tmp_path / "model"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "llama"}')
    (broken / "tokenizer_config.json").write_text("{}")
    data = tmp_path / "d.jsonl"
    data.write_text(json.dumps({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}) + "\n")
    ended = machine.run(
        {
            "name": "s",
            "jobs": {
                "e": {
                    "kind": "evaluate", "model": str(broken), "server": {"engine": "transformers", "startup_timeout": "20s"},
                    "benchmarks": [{"dataset": str(data)}],
                }
            },
        }
    )
    job = ended["jobs"]["e"]
    assert job["state"] == "failed" and job["reason"] in ("server_failed", "bad_config"), job
