"""What runs inside and across the allocations of a real Slurm: several nodes, successors that wait early, servers, arrays."""

import datetime
import os
import pathlib
import re
import signal

import pytest
from conftest import command, python, quick_training, wait_until
from test_pipeline import SPEC, TRAIN
from test_slurm import attempt_of, cluster, one, start, submitted  # noqa: F401

#: Prints where it is, and waits for its end where it was asked to.
PLACE = """
import os, pathlib, signal, sys, threading
names = "NNODES NODE_RANK WORLD_SIZE PET_NPROC_PER_NODE ANNEAL_NODES"
rank = int(os.environ["NODE_RANK"])
print("placed", *(os.environ[name] for name in names.split()), os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
print("at", os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"], flush=True)
print("oops", rank, file=sys.stderr, flush=True)
with open(os.environ["ANNEAL_METRICS"], "a") as metrics:
    metrics.write('{"step": 1, "train/loss": %d}\\n' % rank)
"""
#: Ends by SIGTERM as a trainer does, and tells that it did.
STOPPABLE = """
import os, pathlib, signal, sys, threading
folder, rank = pathlib.Path(sys.argv[1]), os.environ["NODE_RANK"]
def stop(*_):
    (folder / f"saved{rank}").touch()
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
(folder / f"new{rank}").write_text(str(os.getpid()))
(folder / f"new{rank}").rename(folder / f"up{rank}")
while True:
    threading.Event().wait(0.05)
"""
#: The second node fails with words of its own; the first would wait for ever.
FAILING = """
import json, os, sys, threading
if os.environ["NODE_RANK"] == "1":
    with open(os.environ["ANNEAL_OUTPUTS"], "w") as report:
        json.dump({"error": {"reason": "bad_data", "message": "line 7 is no record"}}, report)
    print("line 7 is no record", file=sys.stderr)
    sys.exit(65)
print("process", os.getpid(), flush=True)
while True:
    threading.Event().wait(0.05)
"""
NODES = {"nodes": 2, "gpus": 2}


def test_a_command_runs_once_on_each_node_and_knows_its_place(start, cluster):  # noqa: F811
    daemon = start(cluster)
    job = daemon.run(one("places", python(PLACE, resources=NODES)))["jobs"]["a"]
    assert job["state"] == "succeeded", (job, daemon.logs(job["id"]))
    lines = daemon.logs(job["id"], "?stream=stdout").decode().splitlines()
    assert "placed 2 0 4 2 2 0,1" in lines and "[node 1] placed 2 1 4 2 2 0,1" in lines
    assert len({line.removeprefix("[node 1] ") for line in lines if "at " in line}) == 1
    errors = daemon.logs(job["id"], "?stream=stderr").decode().splitlines()
    assert "oops 0" in errors and "[node 1] oops 1" in errors
    # The first node is the writer of metrics.
    assert [point["value"] for point in daemon.curve(job["id"], "train/loss")] == [0]
    assert sorted(job["attempts"][0]["gpus"]) == ["n1:0", "n1:1", "n2:0", "n2:1"]


def test_the_failure_of_any_node_is_the_attempts(start, cluster):  # noqa: F811
    daemon = start(cluster)
    job = daemon.run(one("fails", python(FAILING, resources=NODES)))["jobs"]["a"]
    assert (job["state"], job["reason"], job["attempts"][0]["exit_code"]) == ("failed", "bad_data", 65), job
    assert "line 7 is no record" in job["message"]
    errors = daemon.logs(job["id"], "?stream=stderr").decode()
    assert "[node 1] line 7 is no record" in errors and "node 1 (n" in errors
    for pid in re.findall(r"process (\d+)", daemon.logs(job["id"]).decode()):
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the end of the first node's worker")


def test_nothing_of_a_job_outlives_the_shim_of_its_first_node(start, cluster, tmp_path):  # noqa: F811
    daemon = start(cluster)
    job, experiment = submitted(daemon, one("shimless", python(STOPPABLE, str(tmp_path), resources=NODES)))
    wait_until(lambda: all((tmp_path / f"up{rank}").exists() for rank in (0, 1)), "both nodes")
    workers = [int((tmp_path / f"up{rank}").read_text()) for rank in (0, 1)]
    os.kill(daemon.shim(attempt_of(daemon, job)["id"])["shim_pid"], signal.SIGKILL)
    wait_until(lambda: len(daemon.job(job)["attempts"]) == 2, "the next attempt")
    assert not any(pathlib.Path(f"/proc/{pid}").exists() for pid in workers)
    assert daemon.job(job)["attempts"][0]["cause"] == "node_failed"
    daemon.post(f"/v1/jobs/{job}/cancel")
    assert daemon.finished(experiment)["jobs"]["a"]["state"] == "cancelled"


@pytest.mark.parametrize("way", ["user_request", "allocation_ended"])
def test_the_stop_ladder_reaches_every_node(start, cluster, tmp_path, way):  # noqa: F811
    daemon = start(cluster)
    job, experiment = submitted(daemon, one("ladder", python(STOPPABLE, str(tmp_path), resources=NODES)))
    wait_until(lambda: all((tmp_path / f"up{rank}").exists() for rank in (0, 1)), "both nodes")
    attempt = attempt_of(daemon, job)
    if way == "user_request":
        daemon.post(f"/v1/jobs/{job}/pause")
        daemon.wait_for(job, "paused")
    else:
        cluster.run("scancel", "--signal=USR1", "--batch", attempt["external_id"])
        wait_until(lambda: len(daemon.job(job)["attempts"]) == 2, "the next attempt")
    first = daemon.job(job)["attempts"][0]
    assert first["exit_code"] == 75 and first["cause"] == way, first
    assert all((tmp_path / f"saved{rank}").exists() for rank in (0, 1))
    daemon.post(f"/v1/jobs/{job}/cancel")
    assert daemon.finished(experiment)["jobs"]["a"]["state"] == "cancelled"


def test_a_program_that_is_not_there_is_told_with_its_name(start, cluster):  # noqa: F811
    daemon = start(cluster)
    job = daemon.run(one("absent", command("/nowhere/program", resources=NODES)))["jobs"]["a"]
    assert (job["state"], job["reason"]) == ("failed", "start_failed") and "/nowhere/program" in job["message"], job


@pytest.mark.slow
def test_a_training_on_two_nodes_equals_one_on_one_node_and_resumes(make_daemon, start, cluster, trainer_python, monkeypatch):  # noqa: F811
    monkeypatch.setenv("ANNEAL_PYTHON", trainer_python)
    daemon = start(cluster, environment={"OMP_NUM_THREADS": "1"})
    train = {**TRAIN, "params": {**TRAIN["params"], "max_steps": 12}, "checkpoint": {"every": 6}, "cache": False}
    wide = {**train, "params": {**train["params"], "micro_batch_size": 8}, "cluster": "hpc", "resources": {"nodes": 2}}
    jobs = {"data": SPEC["jobs"]["data"], "base": SPEC["jobs"]["base"], "one": train, "two": wide}
    answer = daemon.submit({"name": "wide", "env": {"OMP_NUM_THREADS": "1"}, "jobs": jobs})
    assert answer.status == 201, answer.body
    job = next(job["id"] for job in answer.json["jobs"] if job["name"] == "two")
    daemon.wait_for(job, "running")
    wait_until(lambda: daemon.get(f"/v1/jobs/{job}/metrics?key=train/loss").json.get("points"), "a step")
    cluster.run("scancel", "--signal=USR1", "--batch", attempt_of(daemon, job)["external_id"])
    ended = daemon.finished(answer.json["id"])["jobs"]
    assert {name: entry["state"] for name, entry in ended.items()} == dict.fromkeys(jobs, "succeeded"), ended["two"]
    assert [(entry["exit_code"], entry["cause"]) for entry in ended["two"]["attempts"]] == [(75, "allocation_ended"), (0, "succeeded")]
    alone, together = daemon.curve(ended["one"]["id"], "train/loss"), daemon.curve(job, "train/loss")
    assert [point["step"] for point in together] == list(range(1, 13)) and {point["attempt"] for point in together} == {1, 2}
    assert [point["value"] for point in together] == pytest.approx([point["value"] for point in alone], abs=1e-5)


def test_a_training_knows_by_when_it_must_have_saved(start, cluster, tmp_path, monkeypatch):  # noqa: F811
    environment, job = quick_training(tmp_path)
    program = pathlib.Path(environment["ANNEAL_PYTHON"])
    program.write_text(f"#!/bin/sh\necho save by $ANNEAL_SAVE_BY\n{program.read_text()}")
    monkeypatch.setenv("ANNEAL_PYTHON", str(program))
    job["env"]["STEPS"] = "2"
    daemon = start(cluster, time="20m", margin="5m")
    ended = daemon.run(one("limit", {**job, "checkpoint": {"every": 2}}))["jobs"]["a"]
    assert ended["state"] == "succeeded", (ended, daemon.logs(ended["id"]))
    told = int(re.search(r"save by (\d+)", daemon.logs(ended["id"]).decode())[1])
    begun = datetime.datetime.fromisoformat(ended["attempts"][0]["started_at"]).timestamp()
    assert told - begun == pytest.approx(900, abs=30)
