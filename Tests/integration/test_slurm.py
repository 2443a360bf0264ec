"""Jobs on a real Slurm of this machine: two nodes, with two make-believe GPUs each."""

import json
import os
import pathlib
import signal
import sys

import pytest
from conftest import ROOT, command, python, script, shell, wait_until

sys.path.insert(0, str(ROOT / "Tests"))
from harness import slurm  # noqa: E402

#: Written into the configuration of each daemon; a margin that leaves ten seconds of a minute.
CLUSTER = {"executor": "slurm", "partition": "main", "margin": "50s", "gpus_per_node": 2, "lag": "1s", "poll": {"least": "1s", "most": "2s"}}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The cluster that all tests here share."""
    if reason := slurm.missing():
        pytest.skip(reason)
    with slurm.running(tmp_path_factory.mktemp("slurm") / "cluster") as running:
        yield running


@pytest.fixture
def own_cluster(tmp_path):
    """A cluster of one test alone, which may do to it what it likes."""
    if reason := slurm.missing():
        pytest.skip(reason)
    with slurm.running(tmp_path / "cluster") as running:
        yield running


@pytest.fixture
def start(make_daemon, tmp_path):
    """Starts a daemon that has a cluster named `hpc`."""

    def begin(cluster, **terms):
        terms = {**CLUSTER, "slurm_conf": str(cluster.configuration), **terms}
        (tmp_path / "anneal.yaml").write_text(json.dumps({"clusters": {"hpc": terms}}))
        return make_daemon("--gpus", "none", "--cpus", "2", "--config", str(tmp_path / "anneal.yaml")).start()

    return begin


def one(name, job, **more):
    """A spec of one job on the cluster."""
    return {"name": name, "cluster": "hpc", "jobs": {"a": job}, **more}


def submitted(daemon, spec):
    """The only job of a spec that was just submitted."""
    answer = daemon.submit(spec)
    assert answer.status == 201, answer.body
    return answer.json["jobs"][0]["id"], answer.json["id"]


def attempt_of(daemon, job):
    """The newest attempt of a job once Slurm has named it."""

    def look():
        attempts = daemon.job(job)["attempts"]
        return attempts[-1] if attempts and attempts[-1]["external_id"] else None

    return wait_until(look, "Slurm's name for the attempt")


def open_flags(tmp_path):
    """A folder of the flags that `resumable.py` waits for, and what puts up those of some steps."""
    folder = tmp_path / "flags"
    folder.mkdir()
    return folder, lambda *steps: [(folder / str(step)).touch() for step in steps]


GATE = "while not __import__('os').path.exists({path!r}): __import__('threading').Event().wait(0.05)"


def gated(path):
    """A job that ends well once a file is there."""
    return python(GATE.format(path=str(path)))


def test_a_job_on_the_cluster_gives_all_that_one_at_home_gives(start, cluster, tmp_path):
    daemon = start(cluster)
    text = """
        echo "on $SLURMD_NODENAME with $CUDA_VISIBLE_DEVICES"; echo oops >&2
        echo '{"step": 1, "train/loss": 0.5}' >> "$ANNEAL_METRICS"
        echo hello > "$ANNEAL_OUTPUT_DIR/greeting"
        printf '{"outputs": {"greeting": {"type": "file", "path": "%s"}}}' "$ANNEAL_OUTPUT_DIR/greeting" > "$ANNEAL_OUTPUTS"
    """
    spec = {
        "name": "both", "jobs": {
            "far": shell(text, cluster="hpc", resources={"gpus": 2, "cpus": 2, "memory": "100MiB"}, outputs=["greeting"]),
            "near": command("cat", "${far.greeting}"),
        },
    }
    jobs = daemon.run(spec)["jobs"]
    far = jobs["far"]
    assert far["state"] == "succeeded", far
    [attempt] = far["attempts"]
    assert (far["cluster"], attempt["cluster"], attempt["exit_code"]) == ("hpc", "hpc", 0)
    node = attempt["gpus"][0].split(":")[0]
    assert attempt["gpus"] == [f"{node}:0", f"{node}:1"]
    assert f"on {node} with 0,1\n".encode() in daemon.logs(far["id"])
    assert b"oops" in daemon.logs(far["id"], "?stream=stderr")
    assert [point["value"] for point in daemon.curve(far["id"], "train/loss")] == [0.5]
    assert jobs["near"]["cluster"] is None and b"hello" in daemon.logs(jobs["near"]["id"])
    [seen] = cluster.jobs(f"anneal-{attempt['id']}")
    assert seen["id"] == attempt["external_id"] and seen["comment"] == f"anneal:{far['id']}:{attempt['id']}"
    # The worker's exit code is the batch job's, so that the cluster counts it as what it was.
    failed = daemon.run(one("fails", shell("exit 3")))["jobs"]["a"]
    assert (failed["state"], failed["attempts"][0]["exit_code"]) == ("failed", 3)
    assert cluster.jobs(f"anneal-{failed['attempts'][0]['id']}")[0]["state"] == "FAILED"


def test_an_unchanged_spec_goes_to_the_cluster_by_set(start, cluster):
    daemon = start(cluster)
    spec = {"name": "moved", "jobs": {"a": shell("echo $SLURM_JOB_ID")}}
    answer = daemon.submit(spec, "?set=cluster%3Dhpc")
    assert answer.status == 201, answer.body
    job = daemon.finished(answer.json["id"])["jobs"]["a"]
    assert daemon.logs(job["id"]).decode().strip() == job["attempts"][0]["external_id"]
    wrong = daemon.submit(spec, "?set=cluster%3Dhcp")
    assert wrong.status == 409 and "there is no cluster 'hcp' (did you mean 'hpc'?)" in wrong.json["errors"][0]["detail"]
    much = daemon.submit(one("much", shell("true", resources={"gpus": 3})))
    assert much.status in (409, 422) and "asks for 3 GPUs on a node; nodes of the cluster 'hpc' have 2" in much.json["detail"]
    assert any(check["name"] == "cluster hpc" and check["ok"] for check in daemon.get("/v1/doctor").json["checks"])


def test_what_slurm_refuses_fails_with_slurms_words(start, cluster):
    daemon = start(cluster, partition="nope")
    job = daemon.run(one("refused", shell("true")))["jobs"]["a"]
    assert (job["state"], job["reason"]) == ("failed", "start_failed")
    assert "Invalid partition name specified" in job["message"]
    assert daemon.get(f"/v1/jobs/{job['id']}/explain").json["evidence"]


def test_a_script_that_fails_before_the_worker_tells_why(start, cluster):
    daemon = start(cluster, setup=["echo no such module >&2", "exit 9"])
    job = daemon.run(one("setup", shell("true")))["jobs"]["a"]
    assert (job["state"], job["reason"]) == ("failed", "start_failed") and "no such module" in job["message"], job


def test_a_job_that_waits_in_slurm_is_explained_moved_held_and_cancelled(start, cluster):
    daemon = start(cluster, partition="closed")
    job, experiment = submitted(daemon, one("waits", shell("true", priority=20)))
    attempt = attempt_of(daemon, job)

    def explained():
        answer = daemon.get(f"/v1/jobs/{job}/explain").json
        return answer if "the partition is down" in answer["message"] else None

    told = wait_until(explained, "Slurm's reason")
    assert told["state"] == "queued" and told["reason"] == "in_cluster_queue" and told["waits_for"][0]["kind"] == "cluster"
    assert f"as Slurm job {attempt['external_id']}" in told["message"]
    assert [entry["job_id"] for entry in daemon.get("/v1/queue").json["data"]] == [job]
    [seen_cluster] = daemon.get("/v1/clusters").json["data"]
    assert seen_cluster | {"name": "hpc", "partition": "closed", "queued": 1, "running": 0, "silent_since": None} == seen_cluster

    def seen():
        return cluster.jobs(f"anneal-{attempt['id']}")[0]

    assert seen()["nice"] == "800"
    daemon.request("PATCH", f"/v1/jobs/{job}", b'{"priority": 90}', {"Content-Type": "application/json"})
    wait_until(lambda: seen()["nice"] == "100", "the new place in Slurm's queue")
    assert daemon.post(f"/v1/jobs/{job}/hold").status == 200
    wait_until(lambda: seen()["reason"].startswith("JobHeld"), "the hold")
    assert daemon.post(f"/v1/jobs/{job}/release").status == 200
    wait_until(lambda: not seen()["reason"].startswith("JobHeld"), "the release")
    daemon.post(f"/v1/jobs/{job}/cancel")
    assert daemon.finished(experiment)["jobs"]["a"]["state"] == "cancelled"
    assert seen()["state"] == "CANCELLED"


def test_a_job_that_waits_in_slurm_is_paused_and_resumed(start, cluster, tmp_path):
    daemon = start(cluster, partition="closed")
    job, experiment = submitted(daemon, one("paused", shell("true")))
    first = attempt_of(daemon, job)
    daemon.post(f"/v1/jobs/{job}/pause")
    assert daemon.wait_for(job, "paused")["reason"] == "user_request"
    assert cluster.jobs(f"anneal-{first['id']}")[0]["state"] == "CANCELLED"
    daemon.post(f"/v1/jobs/{job}/resume")
    wait_until(lambda: len(daemon.job(job)["attempts"]) == 2, "the next attempt")
    daemon.post(f"/v1/jobs/{job}/cancel")
    assert daemon.finished(experiment)["jobs"]["a"]["state"] == "cancelled"


def test_a_running_job_is_cancelled_through_its_ladder(start, cluster):
    daemon = start(cluster)
    text = "import signal,sys,threading; e=threading.Event(); signal.signal(15, lambda *_: e.set()); print('up', flush=True); e.wait(); sys.exit(7)"
    job, experiment = submitted(daemon, one("ladder", python(text)))
    wait_until(lambda: b"up" in daemon.logs(job), "the worker")
    assert daemon.post(f"/v1/jobs/{job}/cancel").status == 200
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "cancelled" and ended["attempts"][0]["exit_code"] == 7, ended


@pytest.mark.parametrize("partition", ["main", "closed"])
def test_scancel_behind_our_back_cancels_the_job(start, cluster, partition):
    daemon = start(cluster, partition=partition)
    job, experiment = submitted(daemon, one("behind", shell("echo up; exec tail -f /dev/null")))
    attempt = attempt_of(daemon, job)
    if partition == "main":
        wait_until(lambda: b"up" in daemon.logs(job), "the worker")
    cluster.run("scancel", attempt["external_id"])
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert (ended["state"], ended["reason"]) == ("cancelled", "cluster_cancelled"), ended
    assert len(ended["attempts"]) == 1


@pytest.mark.parametrize("moment", ["waiting", "running", "ended"])
def test_a_daemon_that_is_killed_finds_its_jobs_again(start, cluster, tmp_path, moment):
    gate = tmp_path / "gate"
    daemon = start(cluster)
    blocker = cluster.run("sbatch", "--parsable", "--exclusive", "--nodes=2", "--wrap=sleep 600", "--output=/dev/null").strip() \
        if moment == "waiting" else None
    job, experiment = submitted(daemon, one("killed", gated(gate)))
    attempt = attempt_of(daemon, job)
    if moment != "waiting":
        daemon.wait_for(job, "running")
    daemon.kill()
    if moment == "ended":
        gate.touch()
        wait_until(lambda: (daemon.folder / "attempts" / attempt["id"] / "exit.json").exists(), "the end")
    daemon.start()
    if blocker:
        cluster.run("scancel", blocker)
    gate.touch()
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded" and len(ended["attempts"]) == 1
    assert len(cluster.jobs(f"anneal-{attempt['id']}")) == 1


def wrapper(tmp_path, cluster, text):
    """A folder of Slurm's programs in which sbatch is a script of ours; `$SBATCH` is the real one."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("squeue", "sacct", "scancel", "scontrol", "sinfo", "sbatch"):
        real = pathlib.Path(cluster.run("sh", "-c", f"command -v {name}").strip())
        if name != "sbatch":
            (folder / name).symlink_to(real)
        else:
            (folder / name).write_text(f"#!/bin/bash\nSBATCH={real}\nCALLS={tmp_path}/calls\necho call >> $CALLS\n{text}\n")
            (folder / name).chmod(0o755)
    return folder


def test_a_lost_answer_of_sbatch_is_found_again(start, cluster, tmp_path):
    # The job is Slurm's, and nobody was told: sbatch was killed.
    programs = wrapper(tmp_path, cluster, '"$SBATCH" "$@" > /dev/null; kill -9 $$')
    daemon = start(cluster, programs=str(programs))
    ended = daemon.run(one("lost", shell("echo once")))["jobs"]["a"]
    assert ended["state"] == "succeeded" and len(ended["attempts"]) == 1
    assert (tmp_path / "calls").read_text() == "call\n"
    assert len(cluster.jobs(f"anneal-{ended['attempts'][0]['id']}")) == 1


def test_a_daemon_that_is_killed_before_sbatch_answers_submits_nothing_twice(start, cluster, tmp_path):
    programs = wrapper(tmp_path, cluster, '"$SBATCH" "$@" > /dev/null; echo submitted >> $CALLS; exec tail -f /dev/null')
    daemon = start(cluster, programs=str(programs))
    _, experiment = submitted(daemon, one("unheard", shell("echo once")))
    wait_until(lambda: (tmp_path / "calls").exists() and "submitted" in (tmp_path / "calls").read_text(), "the submission")
    daemon.restart()
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded" and len(ended["attempts"]) == 1
    assert len(cluster.jobs(f"anneal-{ended['attempts'][0]['id']}")) == 1


def test_a_submission_that_never_came_to_slurm_is_made_again(start, cluster, tmp_path):
    programs = wrapper(tmp_path, cluster, '[ "$(wc -l < $CALLS)" = 1 ] && kill -9 $$; exec "$SBATCH" "$@"')
    daemon = start(cluster, programs=str(programs))
    ended = daemon.run(one("again", shell("echo once")))["jobs"]["a"]
    assert ended["state"] == "succeeded" and len(ended["attempts"]) == 1
    assert (tmp_path / "calls").read_text() == "call\n" * 2
    assert len(cluster.jobs(f"anneal-{ended['attempts'][0]['id']}")) == 1


def test_while_slurms_controller_is_away_nothing_is_taken_for_ended(start, own_cluster, tmp_path):
    programs = wrapper(tmp_path, own_cluster, 'exec "$SBATCH" "$@"')
    # Slurm's own programs ask for long before they give up; these give up sooner.
    (programs / "squeue").unlink()
    (programs / "squeue").write_text('#!/bin/sh\nexec timeout 2 squeue "$@"\n')
    (programs / "squeue").chmod(0o755)
    gate = tmp_path / "gate"
    daemon = start(own_cluster, programs=str(programs))
    job, experiment = submitted(daemon, one("silent", gated(gate)))
    attempt = attempt_of(daemon, job)
    daemon.wait_for(job, "running")
    own_cluster.stop_controller(signal.SIGKILL)
    told = wait_until(
        lambda: next((text for text in [daemon.get(f"/v1/jobs/{job}/explain").json["message"]] if "has not answered since" in text), None),
        "the silence to be told")
    assert told.startswith("it is running")
    [away] = daemon.get("/v1/clusters").json["data"]
    assert away["silent_since"] and away["message"] and (away["queued"], away["running"]) == (0, 1)
    daemon.restart()
    assert daemon.job(job)["state"] == "running"
    own_cluster.start_controller()
    wait_until(lambda: "has not answered" not in daemon.get(f"/v1/jobs/{job}/explain").json["message"], "Slurm's answer")
    gate.touch()
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded" and len(ended["attempts"]) == 1
    assert len(own_cluster.jobs(f"anneal-{attempt['id']}")) == 1


def test_a_training_goes_on_over_three_allocations_as_one_curve(start, cluster, tmp_path):
    flags, put_up = open_flags(tmp_path)
    daemon = start(cluster, time="2m")
    job, experiment = submitted(daemon, one("chain", script("resumable.py", 9, env={"FLAGS": str(flags)}, resources={"gpus": 1})))
    for number, last in ((1, 3), (2, 6)):
        wait_until(lambda: len(daemon.job(job)["attempts"]) == number, f"attempt {number}")
        attempt = attempt_of(daemon, job)
        daemon.wait_for(job, "running")
        put_up(*range(last - 2, last + 1))
        wait_until(lambda: len(daemon.get(f"/v1/jobs/{job}/metrics?key=train/loss").json.get("points", [])) == last, f"step {last}")
        # What Slurm sends by itself `margin` before the end of the allocation.
        cluster.run("scancel", "--signal=USR1", "--batch", attempt["external_id"])
    wait_until(lambda: len(daemon.job(job)["attempts"]) == 3, "the last attempt")
    put_up(7, 8, 9)
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded"
    assert [(entry["state"], entry["cause"]) for entry in ended["attempts"]] == [("paused", "allocation_ended")] * 2 + [("succeeded", "succeeded")]
    losses, loss = [], 1.0
    for step in range(9):
        loss = loss * 0.75 + step / 1000
        losses.append(loss)
    curve = daemon.curve(job, "train/loss")
    assert [(point["step"], point["value"]) for point in curve] == list(enumerate(losses, 1))


def test_slurm_itself_asks_for_the_save_before_the_allocation_ends(start, cluster, tmp_path):
    flags, put_up = open_flags(tmp_path)
    # A limit of a minute and a margin of nearly all of it: the signal comes within seconds (it may come up to a minute early).
    daemon = start(cluster, time="1m", margin="55s")
    job, experiment = submitted(daemon, one("limited", script("resumable.py", 2, env={"FLAGS": str(flags)})))
    daemon.wait_for(job, "running")
    put_up(1)
    wait_until(lambda: len(daemon.job(job)["attempts"]) == 2, "the next attempt")
    put_up(2)
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded" and ended["attempts"][0]["cause"] == "allocation_ended"


@pytest.mark.parametrize("is_away", [False, True])
def test_a_job_that_slurm_requeues_runs_again_as_another_attempt(start, cluster, tmp_path, is_away):
    gate = tmp_path / "gate"
    daemon = start(cluster, arguments=["--requeue"])
    job, experiment = submitted(daemon, one("requeued", gated(gate)))
    first = attempt_of(daemon, job)
    daemon.wait_for(job, "running")
    if is_away:
        daemon.kill()
    cluster.run("scontrol", "requeue", first["external_id"])
    if is_away:
        daemon.start()
    # Long before Slurm itself would run it again, which it does after two minutes.
    wait_until(lambda: len(daemon.job(job)["attempts"]) == 2, "the next attempt")
    gate.touch()
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded" and len(ended["attempts"]) == 2


def test_a_job_that_slurm_requeues_after_its_end_is_taken_out_of_the_queue(start, cluster, tmp_path):
    gate = tmp_path / "gate"
    daemon = start(cluster, arguments=["--requeue"])
    job, experiment = submitted(daemon, one("late", gated(gate)))
    attempt = attempt_of(daemon, job)
    daemon.wait_for(job, "running")
    daemon.kill()
    gate.touch()

    def state():
        [seen] = cluster.jobs(f"anneal-{attempt['id']}")
        return seen["state"]

    wait_until(lambda: state() == "COMPLETED", "the end in Slurm")
    cluster.run("scontrol", "requeue", attempt["external_id"])
    assert state() == "PENDING"
    daemon.start()
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded" and len(ended["attempts"]) == 1
    wait_until(lambda: state() == "CANCELLED", "its end in Slurm")


@pytest.mark.parametrize("canceller", [None, 1000])
def test_a_job_that_its_node_cannot_launch_goes_to_another_unless_somebody_cancelled_it(start, own_cluster, tmp_path, canceller):
    programs = wrapper(tmp_path, own_cluster, 'exec "$SBATCH" "$@"')
    if canceller:
        # Accounts that know of somebody who did it at that moment.
        (programs / "sacct").unlink()
        (programs / "sacct").write_text(
            f'#!/bin/sh\nsqueue --noheader --states=all --format="%i|CANCELLED by {canceller}|%j|0|%N|None"\n')
        (programs / "sacct").chmod(0o755)
    # slurmd cancels what it cannot start and may not requeue.
    prolog = tmp_path / "prolog"
    prolog.write_text(f"#!/bin/sh\nmkdir {tmp_path}/failed 2> /dev/null && exit 1\nexit 0\n")
    prolog.chmod(0o755)
    with own_cluster.configuration.open("a") as configuration:
        configuration.write(f"Prolog={prolog}\n")
    own_cluster.run("scontrol", "reconfigure")
    daemon = start(own_cluster, programs=str(programs))
    ended = daemon.run(one("unlaunched", {**shell("echo once"), "retry": {"delay": "100ms"}}))["jobs"]["a"]
    assert (tmp_path / "failed").exists() and own_cluster.jobs(f"anneal-{ended['attempts'][0]['id']}")[0]["state"] == "CANCELLED"
    if canceller:
        assert (ended["state"], ended["reason"], len(ended["attempts"])) == ("cancelled", "cluster_cancelled", 1), ended
    else:
        assert (ended["state"], len(ended["attempts"])) == ("succeeded", 2), ended
        assert ended["attempts"][0]["cause"] == "node_failed" and "could not start it" in ended["attempts"][0]["message"], ended


def test_a_shim_that_is_killed_on_its_node_loses_the_attempt_and_not_the_job(start, cluster, tmp_path):
    gate = tmp_path / "gate"
    daemon = start(cluster)
    job, experiment = submitted(daemon, one("shimless", gated(gate)))
    first = attempt_of(daemon, job)
    daemon.wait_for(job, "running")
    os.kill(daemon.shim(first["id"])["shim_pid"], signal.SIGKILL)
    wait_until(lambda: len(daemon.job(job)["attempts"]) == 2, "the next attempt")
    gate.touch()
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded" and ended["attempts"][0]["cause"] == "node_failed"


def test_a_configuration_that_is_wrong_is_refused_with_its_line(make_daemon, tmp_path):
    import subprocess

    from conftest import PROGRAMS

    def refusal(text):
        (tmp_path / "anneal.yaml").write_text(text)
        started = subprocess.run(
            [PROGRAMS / "anneald", "--data", tmp_path / "data", "--listen", "none", "--config", tmp_path / "anneal.yaml"],
            capture_output=True, text=True, timeout=60)
        assert started.returncode != 0
        return started.stderr

    told = refusal("clusters:\n  hpc:\n    executor: slurm\n    partitoin: main\n")
    assert "line 4" in told and "unknown key 'partitoin'" in told and "partition" in told
    assert "is this machine itself" in refusal("clusters: {local: {executor: slurm}}")
    assert "executor" in refusal("clusters: {hpc: {executor: pbs}}")
    assert "shares" in refusal("clusters: {hpc: {executor: slurm, data: /nowhere}}")
