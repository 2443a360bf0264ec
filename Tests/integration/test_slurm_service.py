"""Slurm as a service that one relies on: signs of life from nodes, nodes that fail, accounts, and trainings over many allocations."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

import pytest
from conftest import SCRIPTS, python, script, shell, wait_until
from test_slurm import CLUSTER, attempt_of, cluster, gated, one, open_flags, own_cluster, slurm, start, submitted  # noqa: F401

LADDER = "import signal,sys,threading; e=threading.Event(); signal.signal(15, lambda *_: e.set()); print('up', flush=True); e.wait(); sys.exit(7)"


def test_a_worker_that_hangs_on_a_node_is_found_dumped_and_started_again(start, cluster, tmp_path):  # noqa: F811
    # The node's GPUs are made up; one works and one does nothing.
    gpus = tmp_path / "gpus.json"
    gpus.write_text(json.dumps({"gpus": [{"index": 0, "utilization": 0}, {"index": 1, "utilization": 1}]}))
    daemon = start(cluster, environment={"ANNEAL_NODE_GPUS": "sim:2", "ANNEAL_SIM_GPUS_FILE": str(gpus)})
    job = {
        "kind": "command", "command": [sys.executable, "-B", str(SCRIPTS / "hangs.py")], "stall": {"least": "3s", "most": "10s"}, "retry": {"delay": "0s"},
        "resources": {"gpus": 2},
    }
    ended = daemon.run(one("hangs", job))["jobs"]["a"]
    assert ended["state"] == "succeeded", ended
    first, _ = ended["attempts"]
    assert first["cause"] == "stalled" and "no metric" in first["message"], first
    folder = daemon.folder / "attempts" / first["id"]
    assert "thread" in (folder / "stacks.txt").read_text()
    assert "wait_for_ever" in (folder / "stderr.log").read_text()
    # What the node told of it is kept like what this machine tells of its own.
    assert [point["value"] for point in daemon.curve(ended["id"], "ray/node.0.gpu.1.util")][:1] == [1]
    assert daemon.curve(ended["id"], "system/worker.mem_gb")[0]["value"] > 0
    [usage] = daemon.get("/v1/usage?by=job").json["data"]
    assert usage["gpu_hours"] > 0


def test_a_worker_that_outlives_its_node_in_slurm_is_ended_before_the_next_begins(start, own_cluster, tmp_path):  # noqa: F811
    gate, witness = tmp_path / "gate", tmp_path / "witness"
    text = f"""
        set -C; if ! echo $ANNEAL_ATTEMPT_ID > {witness}; then echo doubled; exit 9; fi
        trap 'rm -f {witness}' EXIT; trap 'exit 75' TERM
        while [ ! -e {gate} ]; do read -t 0.1 line <> <(:) || :; done
    """
    daemon = start(own_cluster)
    job, experiment = submitted(daemon, one("outlives", {"kind": "command", "command": ["bash", "-c", text], "retry": {"delay": "100ms"}}))
    attempt = attempt_of(daemon, job)
    daemon.wait_for(job, "running")
    wait_until(witness.exists, "the worker")
    node = own_cluster.run("squeue", "--noheader", "--format=%N", "--jobs=" + attempt["external_id"]).strip()
    # Nobody on the node can end its processes now, and Slurm gives the job up.
    own_cluster.stop_node(node)
    own_cluster.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    wait_until(lambda: len(daemon.job(job)["attempts"]) == 2, "the next attempt")
    gate.touch()
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded", ended
    assert (ended["attempts"][0]["cause"], ended["attempts"][0]["exit_code"]) == ("allocation_ended", 75), ended["attempts"][0]


def test_a_full_shared_disk_keeps_a_worker_from_starting_until_there_is_room(start, own_cluster, tmp_path):  # noqa: F811
    attempts = tmp_path / "data" / "attempts"
    attempts.mkdir(parents=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", attempts], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    ballast = attempts / "ballast"

    def fill():
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while file.write(b"\0" * 4096):
                file.flush()

    def shims():
        lines = [entry.read_bytes().split(b"\0") for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline") if entry.exists()]
        return [line for line in lines if b"--batch" in line and line[1].startswith(bytes(attempts))]

    try:
        daemon = start(own_cluster, partition="closed")
        job, experiment = submitted(daemon, one("room", shell("echo there is room", cache=False)))
        attempt = attempt_of(daemon, job)
        fill()
        own_cluster.run("scontrol", "update", "PartitionName=closed", "State=UP")
        wait_until(shims, "the shim")
        assert not (attempts / attempt["id"] / "shim.json").exists()
        ballast.unlink()
        ended = daemon.finished(experiment)["jobs"]["a"]
        assert (ended["state"], len(ended["attempts"])) == ("succeeded", 1) and daemon.logs(job) == b"there is room\n", ended
    finally:
        subprocess.run(["umount", "-l", attempts], check=False)


def test_what_slurm_has_forgotten_is_asked_of_the_accounts_at_once_and_when_they_answer(start, tmp_path):  # noqa: F811
    if reason := slurm.missing_accounting():
        pytest.skip(reason)
    with slurm.running(tmp_path / "cluster", minimum_age=2, accounting=True) as accounted:
        programs = tmp_path / "programs"
        programs.mkdir()
        for name in ("squeue", "scancel", "scontrol", "sinfo", "sbatch", "sacct"):
            real = accounted.run("sh", "-c", f"command -v {name}").strip()
            (programs / name).write_text(f'#!/bin/sh\n{real} "$@"\nstatus=$?\necho "$status $*" >> {tmp_path}/{name}.calls\nexit $status\n')
            (programs / name).chmod(0o755)
        daemon = start(accounted, partition="closed", programs=str(programs))
        answer = daemon.submit({"name": "gone", "cluster": "hpc", "jobs": {name: shell("true") for name in "abc"}})
        jobs = [job["id"] for job in answer.json["jobs"]]
        numbers = [attempt_of(daemon, job)["external_id"] for job in jobs]
        daemon.kill()
        accounted.run("scancel", *numbers)
        wait_until(lambda: not accounted.jobs(), "Slurm to forget them")
        accounted.stop_accounts()
        daemon.start()
        calls = tmp_path / "sacct.calls"
        wait_until(lambda: calls.exists() and calls.read_text().startswith("1 "), "a question that the accounts do not answer")
        # Accounts that do not answer say nothing of their jobs.
        assert [daemon.job(job)["state"] for job in jobs] == ["queued"] * 3
        accounted.start_accounts()
        ended = daemon.finished(answer.json["id"])["jobs"]
        assert {(job["state"], job["reason"]) for job in ended.values()} == {("cancelled", "cluster_cancelled")}, ended
        # One question for all.
        assert "--jobs=" + ",".join(sorted(numbers)) in calls.read_text()


def test_a_training_over_three_allocations_is_the_uninterrupted_one(start, cluster, tmp_path):  # noqa: F811
    flags, put_up = open_flags(tmp_path)
    daemon = start(cluster, time="2m")
    training = script("resumable.py", 9, env={"FLAGS": str(flags)}, cache=False)
    job, experiment = submitted(daemon, one("chain", training))
    for number in (1, 2):
        wait_until(lambda: len(daemon.job(job)["attempts"]) == number, f"attempt {number}")
        attempt = attempt_of(daemon, job)
        daemon.wait_for(job, "running")
        put_up(3 * number - 2, 3 * number - 1, 3 * number)
        wait_until(lambda: len(daemon.get(f"/v1/jobs/{job}/metrics?key=train/loss").json.get("points", [])) == 3 * number, "its steps")
        cluster.run("scancel", "--signal=USR1", "--batch", attempt["external_id"])
    wait_until(lambda: len(daemon.job(job)["attempts"]) == 3, "the last attempt")
    put_up(7, 8, 9)
    chain = daemon.finished(experiment)["jobs"]["a"]
    whole = daemon.run(one("whole", training))["jobs"]["a"]
    assert [(job["state"], len(job["attempts"])) for job in (chain, whole)] == [("succeeded", 3), ("succeeded", 1)]
    curves = [[(point["step"], point["value"]) for point in daemon.curve(job["id"], "train/loss")] for job in (chain, whole)]
    assert curves[0] == curves[1] and [step for step, _ in curves[0]] == list(range(1, 10))


def test_slurmrestd_takes_the_place_of_slurms_programs(make_daemon, tmp_path):
    if reason := slurm.missing_rest():
        pytest.skip(reason)
    with slurm.public_folder() as folder, slurm.running(folder / "cluster", rest=True) as served:
        (tmp_path / "secrets").write_text("CLUSTER_TOKEN=" + served.token() + "\n")
        (tmp_path / "secrets").chmod(0o600)
        (tmp_path / "none").mkdir()
        # Slurm's own programs are not to be had.
        terms = {**CLUSTER, "programs": str(tmp_path / "none"), "rest": {"url": served.rest_url + "/", "token": "CLUSTER_TOKEN"}}
        (tmp_path / "anneal.yaml").write_text(json.dumps({"clusters": {"hpc": terms}, "secrets": str(tmp_path / "secrets")}))
        daemon = make_daemon("--gpus", "none", "--config", str(tmp_path / "anneal.yaml")).start()
        assert next(check for check in daemon.get("/v1/doctor").json["checks"] if check["name"] == "cluster hpc")["ok"]
        job = daemon.run(one("rest", shell("echo on $SLURMD_NODENAME", resources={"gpus": 1, "memory": "100MiB"})))["jobs"]["a"]
        assert job["state"] == "succeeded" and b"on n" in daemon.logs(job["id"]), job
        assert served.jobs(f"anneal-{job['attempts'][0]['id']}")[0]["state"] == "COMPLETED"
        # One that runs is ended by its shim.
        running, experiment = submitted(daemon, one("runs", python(LADDER)))
        wait_until(lambda: b"up" in daemon.logs(running), "the worker")
        daemon.post(f"/v1/jobs/{running}/cancel")
        ended = daemon.finished(experiment)["jobs"]["a"]
        assert ended["state"] == "cancelled" and ended["attempts"][0]["exit_code"] == 7, ended
        # One that waits is held, released, and taken out of the queue.
        blocker = served.run("sbatch", "--parsable", "--exclusive", "--nodes=2", "--wrap=exec tail -f /dev/null", "--output=/dev/null").strip()
        waiting, experiment = submitted(daemon, one("waits", shell("true")))
        name = f"anneal-{attempt_of(daemon, waiting)['id']}"
        for order, is_held in (("hold", True), ("release", False)):
            assert daemon.post(f"/v1/jobs/{waiting}/{order}").status == 200
            wait_until(lambda: served.jobs(name)[0]["reason"].startswith("JobHeld") == is_held, order)
        daemon.post(f"/v1/jobs/{waiting}/cancel")
        assert daemon.finished(experiment)["jobs"]["a"]["state"] == "cancelled"
        served.run("scancel", blocker)
        refused = daemon.run(one("refused", shell("true", resources={"memory": "9000GiB"})))["jobs"]["a"]
        assert refused["reason"] == "start_failed" and "not available" in refused["message"], refused
