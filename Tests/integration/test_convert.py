"""Convert for real: checkpoints of a training are averaged, an adapter is merged, the export is checked, and transformers loads it. Slow."""

import json
import pathlib
import subprocess
import sys

import pytest

from conftest import SCRIPTS, wait_until
from test_pipeline import SPEC

COMPARE = """
import json, sys, torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
soup, merged, best, *steps = sys.argv[1:]
load = lambda folder: AutoModelForCausalLM.from_pretrained(folder, dtype="auto").state_dict()
mean = {name: sum(load(step)[name].double() for step in steps) / len(steps) for name in load(soup)}
print(json.dumps({
    "mean": max(float((tensor.double() - mean[name]).abs().max()) for name, tensor in load(soup).items()),
    "merge": max(float((tensor - load(best)[name]).abs().max()) for name, tensor in load(merged).items()),
    "spread": max(float((load(steps[0])[name] - tensor).abs().max()) for name, tensor in load(steps[1]).items()),
}))
"""


@pytest.fixture
def machine(make_daemon, trainer_python):
    return make_daemon("--gpus", "none", "--cpus", "2", ANNEAL_PYTHON=trainer_python).start()


def outputs(ended, job, name="model"):
    assert ended["jobs"][job]["state"] == "succeeded", ended["jobs"][job]["message"]
    return ended["jobs"][job]["outputs"][name]


@pytest.mark.slow
def test_checkpoints_of_a_lora_training_are_averaged_and_its_adapter_is_merged(machine, trainer_python):
    sft = {
        "kind": "train", "method": "sft", "model": "${base.model}", "dataset": "${data.train}",
        "params": {"global_batch_size": 16, "micro_batch_size": 16, "max_length": 64, "learning_rate": 1e-2, "max_steps": 6, "lora": {"rank": 4}},
        # Retention alone would leave one.
        "checkpoint": {"every": 2, "keep_top_k": 1, "metric": "train_loss"},
    }
    jobs = {
        **{name: SPEC["jobs"][name] for name in ("data", "base")}, "sft": sft,
        "soup": {"kind": "convert", "average": {"checkpoints": "${sft.checkpoints}", "last": 2}},
        "merged": {
            "kind": "convert", "model": "${base.model}", "merge_lora": {"adapter": "${sft.checkpoint.last}"}, "max_shard_size": "20KB",
            "export": "check",
        },
    }
    ended = machine.run({"name": "c", "env": SPEC["env"], "jobs": jobs})
    soup, merged = outputs(ended, "soup"), outputs(ended, "merged")
    checkpoints = machine.get(f"/v1/checkpoints?job={ended['jobs']['sft']['id']}").json["data"]
    steps = {entry["step"]: entry for entry in checkpoints if entry["deleted_at"] is None}
    last = outputs(ended, "sft", "checkpoint.last")
    arguments = [soup["path"], merged["path"], last["path"], steps[4]["path"], steps[6]["path"]]
    told = subprocess.run([trainer_python, "-c", COMPARE, *arguments], capture_output=True, text=True, check=False)
    found = json.loads(told.stdout) if told.returncode == 0 else pytest.fail(told.stderr)
    assert found["mean"] < 1e-6 and found["merge"] < 1e-6 and found["spread"] > 1e-3, found
    assert len(list(pathlib.Path(merged["path"]).glob("*.safetensors"))) > 2
    assert not (pathlib.Path(soup["path"]) / "trainer_state").exists()
    # The output names its sources.
    edges = {(edge["from"], edge["role"]) for edge in machine.get(f"/v1/lineage/{soup['id']}").json["edges"]}
    assert {(steps[4]["id"], "/average/checkpoints/0"), (steps[6]["id"], "/average/checkpoints/1")} <= edges
    assert ended["jobs"]["soup"]["summary"]["models"] == 2
    again = machine.run({"name": "c", "env": SPEC["env"], "jobs": jobs})
    assert {job["reason"] for job in again["jobs"].values()} == {"cached"}


def stand_in(make_daemon, tmp_path):
    """A daemon whose trainer writes checkpoints without a model, led by flags; and the body of such a training."""
    (tmp_path / "python").write_text(f"#!/bin/sh\nexec {sys.executable} -B {SCRIPTS / 'steps_trainer.py'}\n")
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "data.jsonl").write_text('{"input": "a", "output": "b"}\n')
    (tmp_path / "flags").mkdir()
    sft = {
        "kind": "train", "method": "sft", "model": str(tmp_path / "base"), "dataset": str(tmp_path / "data.jsonl"),
        "checkpoint": {"every": 1, "keep_top_k": 1}, "env": {"STEPS": "1:a,2:a,3:a,4:a", "FLAGS": str(tmp_path / "flags")},
    }
    return make_daemon("--gpus", "none", "--cpus", "2", ANNEAL_PYTHON=str(tmp_path / "python")).start(), sft


def test_checkpoints_that_a_job_waits_for_are_kept_and_cannot_be_deleted(make_daemon, tmp_path):
    daemon, sft = stand_in(make_daemon, tmp_path)
    soup = {"kind": "convert", "average": {"checkpoints": "${sft.checkpoints}", "last": 3}, "hold": True}
    more = {"kind": "convert", "average": {"checkpoints": "${sft.checkpoints}", "last": 6}}
    answer = daemon.submit({"name": "k", "jobs": {"sft": sft, "soup": soup, "more": {**more, "needs": ["sft"]}}})
    ids = {job["name"]: job["id"] for job in answer.json["jobs"]}
    for name in ("1", "2", "3", "4", "end"):
        (tmp_path / "flags" / name).touch()
    wait_until(lambda: daemon.job(ids["soup"])["reason"] == "held", "the job in the queue")
    # Of four checkpoints with keep_top_k 1 retention would have left the last; six are asked for, so that all stay.
    data = daemon.get(f"/v1/checkpoints?job={ids['sft']}").json["data"]
    kept = {entry["step"]: entry["id"] for entry in data if entry["deleted_at"] is None}
    assert sorted(kept) == [1, 2, 3, 4]
    few = wait_until(lambda: (job := daemon.job(ids["more"]))["state"] == "failed" and job, "the end of the job that asks for too many")
    assert "has 4 checkpoints, and 6 are to be averaged" in few["message"]
    refused = daemon.request("DELETE", f"/v1/checkpoints/{kept[3]}")
    assert refused.status == 409 and ids["soup"] in refused.json["detail"]
    assert daemon.request("DELETE", f"/v1/checkpoints/{kept[1]}").status == 204
    daemon.post(f"/v1/jobs/{ids['soup']}/cancel")
    daemon.finished(answer.json["id"])
    assert daemon.request("DELETE", f"/v1/checkpoints/{kept[3]}").status == 204


def test_what_a_killed_conversion_had_begun_does_not_stay(machine, tmp_path):
    model, begun = tmp_path / "model", tmp_path / "begun"
    model.mkdir()
    (model / "config.json").write_text("{}")
    # The tool writes a part, and takes the trainer with it.
    tool = ["sh", "-c", f"mkdir -p '{{output}}' && echo part > '{{output}}/part' && echo '{{output}}' > {begun} && kill -9 $PPID", "{model}"]
    body = {"kind": "convert", "engine": "megatron", "model": str(model), "command": tool}
    ended = machine.run({"name": "killed", "jobs": {"convert": body}})["jobs"]["convert"]
    assert ended["state"] == "failed", ended
    outputs = machine.folder / "jobs" / ended["id"] / "outputs"
    assert pathlib.Path(begun.read_text().strip()).is_relative_to(outputs)
    assert list(outputs.iterdir()) == []
