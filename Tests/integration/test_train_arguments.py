"""`args` of a train job are checked at submission by the trainer that is installed, before anything is stored."""

import json

import pytest

from conftest import ROOT, Daemon

@pytest.fixture
def training_daemon(tmp_path, trainer_python):
    """A daemon that finds the trainer of this tree."""
    environment = {"ANNEAL_PYTHON": trainer_python, "ANNEAL_TRAINER": str(ROOT / "Sources" / "trainer")}
    daemon = Daemon(tmp_path / "data", "--gpus", "none", "--cpus", "1", environment=environment).start()
    yield daemon
    daemon.clean_up()


def train(folder, **args):
    """A spec with a job that is held, so that no training begins; the model is only looked at."""
    (folder / "config.json").write_text("{}")
    (folder / "data.jsonl").write_text('{"input": "a", "output": "b"}\n')
    job = {"kind": "train", "model": str(folder), "dataset": str(folder / "data.jsonl"), "hold": True, "args": args}
    return {"name": "t", "jobs": {"a": job | {"method": "sft"}, "b": job | {"method": "dpo"}}}


def test_the_installed_trainer_tells_what_args_are_wrong(training_daemon, tmp_path):
    daemon = training_daemon
    spec = train(tmp_path, neftune_noise_alfa=5, torch_compile="yes", adam_beta1=0.5, loss_type="nll")
    answer = daemon.submit(spec)
    assert answer.status == 422 and answer.json["code"] == "invalid_spec"
    errors = {error["pointer"]: error["detail"] for error in answer.json["errors"]}
    assert "is no argument of SFTConfig of TRL" in errors["/jobs/a/args/neftune_noise_alfa"]
    assert "(did you mean 'neftune_noise_alpha'?)" in errors["/jobs/b/args/neftune_noise_alfa"]
    assert errors["/jobs/a/args/torch_compile"] == "must be true or false, not a string"
    assert errors["/jobs/a/args/adam_beta1"] == "'adam_beta1' is set by Anneal; use 'params.beta1'"
    # A loss of TRL's can be had for sft; the preference methods have their own.
    assert "/jobs/a/args/loss_type" not in errors and errors["/jobs/b/args/loss_type"].endswith("use 'method'")
    assert daemon.get("/v1/experiments").json["data"] == []

    # What the trainer said outlives the daemon: the next one does not ask again.
    kept = daemon.folder / "train-arguments.json"
    assert json.loads(kept.read_text())["answer"]["methods"].keys() >= {"sft", "pretrain", "distill", "dpo", "reward", "grpo"}
    written = kept.stat().st_mtime_ns
    daemon.restart()
    assert daemon.submit(spec, "?dry_run=true").json["errors"] == answer.json["errors"]
    assert kept.stat().st_mtime_ns == written
    accepted = daemon.submit(train(tmp_path, neftune_noise_alpha=5, dataloader_num_workers=0))
    assert accepted.status == 201 and "warnings" not in accepted.json


def test_without_trl_a_job_is_accepted_with_a_warning(tmp_path):
    trainer = tmp_path / "trainer" / "anneal_trainer"
    trainer.mkdir(parents=True)
    (trainer / "__init__.py").write_text("")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho '{\"error\": \"No module named trl\"}'\nexit 1\n")
    python.chmod(0o755)
    environment = {"ANNEAL_PYTHON": str(python), "ANNEAL_TRAINER": str(trainer.parent)}
    daemon = Daemon(tmp_path / "data", "--gpus", "none", "--cpus", "1", environment=environment).start()
    try:
        warning = "are checked only when the trainer starts: the trainer cannot list its arguments: No module named trl"
        [told] = daemon.submit(train(tmp_path, no_such_argument=5), "?dry_run=true").json["warnings"]
        assert told == f"the 'args' of 'a', 'b' {warning}"
        accepted = daemon.submit(train(tmp_path, no_such_argument=5))
        assert accepted.status == 201 and accepted.json["warnings"] == [told]
        assert "warnings" not in daemon.get(f"/v1/experiments/{accepted.json['id']}").json
    finally:
        daemon.clean_up()
