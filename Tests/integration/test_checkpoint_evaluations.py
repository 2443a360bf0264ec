"""`on: checkpoint`: every checkpoint of a training is evaluated as it appears, once, whatever is killed in between."""

import json
import sys

import pytest

from conftest import SCRIPTS, wait_until

STEPS = "10:odd,20:odd,30:good,40:odd"


class Training:
    """A daemon whose trainer and model server are small programs, and the files by which the trainer is led."""

    def __init__(self, make_daemon, tmp_path):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, script in (("python", "steps_trainer.py"), ("transformers", "mode_server.py")):
            arguments = "" if name == "python" else ' "$@"'
            (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} -B {SCRIPTS / script}{arguments}\n')
            (folder / name).chmod(0o755)
        self.flags = tmp_path / "flags"
        self.flags.mkdir()
        self.data = tmp_path / "times.jsonl"
        self.data.write_text("".join(json.dumps({"input": f"{i}*10=?", "output": str(i * 10)}) + "\n" for i in range(10)))
        (tmp_path / "base").mkdir()
        (tmp_path / "base" / "config.json").write_text("{}")
        self.model = str(tmp_path / "base")
        self.daemon = make_daemon("--gpus", "none", "--cpus", "4", ANNEAL_PYTHON=str(folder / "python")).start()

    def let(self, *names):
        """Lets the trainer go on to these steps, or to its end."""
        for name in names:
            (self.flags / str(name)).touch()

    def spec(self, steps=STEPS, name="t", sft=None, **more):
        """A training and the evaluation of its checkpoints."""
        train = {
            "kind": "train", "method": "sft", "model": self.model, "dataset": str(self.data),
            "checkpoint": {"keep_top_k": 1, "metric": "train_loss"}, "env": {"STEPS": steps, "FLAGS": str(self.flags)}, **(sft or {}),
        }
        watch = {
            "kind": "evaluate", "on": "checkpoint", "model": "${sft.checkpoint}", "server": {"engine": "transformers"},
            "benchmarks": [{"dataset": str(self.data), "name": "times", "max_tokens": 8}], **more,
        }
        return {"name": name, "jobs": {"sft": train, "watch": watch}}

    def submit(self, spec):
        """The experiment's id and its jobs' ids by name."""
        answer = self.daemon.submit(spec)
        assert answer.status == 201, answer.body
        return answer.json["id"], {job["name"]: job["id"] for job in answer.json["jobs"]}

    def jobs(self, experiment):
        """The jobs by name, those that were added too."""
        return {job["name"]: job for job in self.daemon.get(f"/v1/experiments/{experiment}").json["jobs"]}

    def ended(self, experiment, *names):
        """Waits for the end of these jobs."""

        def look():
            jobs = self.jobs(experiment)
            return all(jobs.get(name, {}).get("state") in ("succeeded", "failed", "cancelled", "skipped") for name in names)

        wait_until(look, f"the end of {names}", 120)


@pytest.fixture
def training(make_daemon, tmp_path):
    return Training(make_daemon, tmp_path)


def accuracies(training, job):
    """The accuracy on the training's curve, by step; every step once."""
    points = training.daemon.get(f"/v1/jobs/{job}/metrics?key=eval%2Ftimes%2Faccuracy&by=time").json.get("points", [])
    found = {point["step"]: point["value"] for point in points}
    assert len(found) == len(points), points
    return found


def test_each_checkpoint_is_evaluated_and_its_result_is_on_the_curve(training):
    daemon = training.daemon
    experiment, ids = training.submit(training.spec())
    training.let(10)
    training.ended(experiment, "watch-step-10")
    wait_until(lambda: accuracies(training, ids["sft"]) == {10: 0.5}, "the first point")
    wait_until(lambda: daemon.job(ids["watch"])["message"] == "1 of 1 checkpoints evaluated so far", "the count")
    view = daemon.job(ids["watch"])
    assert (view["state"], view["reason"]) == ("waiting", "needs_pending")
    one = daemon.job_of(experiment, "watch-step-10")
    assert one["group"] == "watch" and one["priority"] == 49 and one["state"] == "succeeded"
    said = daemon.get(f"/v1/jobs/{ids['watch']}/explain").json["message"]
    assert "needs 'sft', which is running" in said and "1 of 1 checkpoints" in said, said
    training.let(20, 30, 40, "end")
    ended = daemon.finished(experiment)
    assert ended["state"] == "succeeded", ended
    assert accuracies(training, ids["sft"]) == {10: 0.5, 20: 0.5, 30: 1.0, 40: 0.5}
    keys = {key["key"]: key["source"] for key in daemon.get(f"/v1/jobs/{ids['sft']}/metrics").json["keys"]}
    assert keys["eval/times/accuracy"] == "evaluation" and keys["train/loss"] == "native"
    watch = ended["jobs"]["watch"]
    outputs = {name: output["id"] for name, output in watch["outputs"].items()}
    assert outputs == {
        "evaluation": ended["jobs"]["watch-step-40"]["outputs"]["evaluation"]["id"],
        "best": ended["jobs"]["watch-step-30"]["outputs"]["evaluation"]["id"],
    }
    assert watch["message"] == "4 checkpoints evaluated" and watch["summary"]["best_step"] == 30
    evaluation = daemon.get(f"/v1/evaluations/{outputs['best']}").json
    checkpoint = daemon.get(f"/v1/checkpoints/{evaluation['model_id']}").json
    assert checkpoint["step"] == 30 and checkpoint["job_id"] == ids["sft"]
    # Retention had the others as soon as they were evaluated; keep_top_k is 1.
    kept = daemon.get(f"/v1/checkpoints?job={ids['sft']}").json["data"]
    assert [entry["step"] for entry in kept if entry["deleted_at"] is None] == [40]
    assert not list((training.daemon.folder).glob("**/awaited"))


def test_the_daemon_may_be_killed_at_any_time(training):
    daemon = training.daemon
    experiment, ids = training.submit(training.spec())
    for step in (10, 20, 30, 40):
        training.let(step)
        wait_until(lambda: f"watch-step-{step}" in training.jobs(experiment), f"the evaluation of step {step}")
        daemon.restart()
    training.let("end")
    ended = daemon.finished(experiment)
    assert ended["state"] == "succeeded", ended
    assert sorted(ended["jobs"]) == ["sft", "watch"] + [f"watch-step-{step}" for step in (10, 20, 30, 40)]
    assert accuracies(training, ids["sft"]) == {10: 0.5, 20: 0.5, 30: 1.0, 40: 0.5}
    assert len(daemon.get(f"/v1/evaluations?experiment={experiment}").json["data"]) == 4


def test_a_checkpoint_that_comes_while_the_daemon_is_away_is_evaluated_before_retention_takes_it(training):
    daemon = training.daemon
    experiment, ids = training.submit(training.spec())
    wait_until(lambda: daemon.job(ids["sft"])["state"] == "running", "the training")
    daemon.kill()
    training.let(10, 20, 30, 40, "end")
    wait_until(lambda: len(list(daemon.folder.glob(f"jobs/{ids['sft']}/checkpoints/step_*/awaited"))) == 4, "four checkpoints")
    daemon.start()
    ended = daemon.finished(experiment)
    assert ended["state"] == "succeeded", ended
    assert accuracies(training, ids["sft"]) == {10: 0.5, 20: 0.5, 30: 1.0, 40: 0.5}


def test_only_some_steps_and_a_gate_that_is_missed(training):
    training.let(10, 20, 30, 40, "end")
    ended = training.daemon.run(training.spec(every=20, gate={"accuracy": ">= 0.9"}, sft={"checkpoint": {"keep_top_k": None}}))
    assert ended["state"] == "failed"
    assert sorted(ended["jobs"]) == ["sft", "watch", "watch-step-20", "watch-step-40"]
    watch = ended["jobs"]["watch"]
    assert (watch["state"], watch["reason"]) == ("failed", "gate_failed")
    assert "2 of 2 evaluations did not succeed: watch-step-20: the gate was missed: accuracy is 0.5" in watch["message"]
    # What missed the gate is on the curve all the same.
    assert accuracies(training, ended["jobs"]["sft"]["id"]) == {20: 0.5, 40: 0.5}
    # A retry of the job that stands for them retries those that did not succeed.
    assert training.daemon.post(f"/v1/jobs/{watch['id']}/retry").status in (200, 202)
    again = training.daemon.finished(ended["id"])
    assert [len(again["jobs"][f"watch-step-{step}"]["attempts"]) for step in (20, 40)] == [2, 2]
    assert again["jobs"]["watch"]["reason"] == "gate_failed"


def test_cancelling_it_cancels_its_evaluations_and_lets_the_training_go_on(training):
    daemon = training.daemon
    experiment, ids = training.submit(training.spec("10:hang,20:good"))
    training.let(10)
    wait_until(lambda: training.jobs(experiment).get("watch-step-10", {}).get("state") == "running", "the evaluation")
    assert daemon.post(f"/v1/jobs/{ids['watch']}/cancel").status in (200, 202)
    training.ended(experiment, "watch", "watch-step-10")
    training.let(20, "end")
    ended = daemon.finished(experiment)
    states = {name: job["state"] for name, job in ended["jobs"].items()}
    assert states == {"sft": "succeeded", "watch": "cancelled", "watch-step-10": "cancelled"}


def test_a_cached_training_has_its_checkpoints_evaluated_too(training):
    training.let(10, 20, 30, 40, "end")
    spec = training.spec(sft={"checkpoint": {"keep_top_k": None}})
    first = training.daemon.run(spec)
    assert first["state"] == "succeeded"
    again = training.daemon.run(spec)
    assert again["jobs"]["sft"]["reason"] == "cached" and again["state"] == "succeeded"
    assert {name: job["reason"] for name, job in again["jobs"].items() if "-step-" in name} == {
        f"watch-step-{step}": "cached" for step in (10, 20, 30, 40)
    }
    assert accuracies(training, first["jobs"]["sft"]["id"]) == {10: 0.5, 20: 0.5, 30: 1.0, 40: 0.5}


def test_others_can_refer_to_what_it_found(training):
    training.let(10, 20, 30, 40, "end")
    spec = training.spec()
    spec["jobs"]["after"] = {
        "kind": "command", "command": ["cat", "${watch.best}"], "cache": False,
    }
    ended = training.daemon.run(spec)
    assert ended["state"] == "succeeded", ended
    document = json.loads(training.daemon.logs(ended["jobs"]["after"]["id"]))
    assert document["benchmarks"][0]["metrics"]["accuracy"]["value"] == 1.0


def test_a_training_that_fails_leaves_what_was_evaluated(training):
    training.let(10)
    experiment, ids = training.submit(training.spec("10:good,x:good", sft={"retry": 0}))
    ended = training.daemon.finished(experiment)
    assert ended["jobs"]["watch"]["state"] == "skipped"
    assert ended["jobs"]["watch"]["message"] == "needs 'sft', which is failed; 1 checkpoint evaluated"
    assert accuracies(training, ids["sft"]) == {10: 1.0}
