"""What users do to jobs that exist: cancel, pause, resume, retry, priority; and what ends jobs by itself."""

import os

from conftest import command, shell, wait_until


def submit(daemon, **jobs):
    answer = daemon.submit({"name": "t", "jobs": jobs})
    assert answer.status == 201, answer.body
    return answer.json["id"], {job["name"]: job["id"] for job in answer.json["jobs"]}


def test_cancel_ends_a_running_job_with_its_whole_tree(daemon):
    _, jobs = submit(daemon, a=shell("sleep 1000 & echo $! ; wait"))
    daemon.wait_for(jobs["a"], "running")
    child = int(wait_until(lambda: daemon.logs(jobs["a"]), "the child's pid"))
    assert daemon.post(f"/v1/jobs/{jobs['a']}/cancel").status == 200
    job = daemon.wait_for(jobs["a"], "cancelled")
    assert job["attempts"][0]["signal"] == 15
    wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the end of the child")


def test_a_worker_that_ignores_sigterm_is_killed_after_its_grace(daemon):
    _, jobs = submit(daemon, a=shell("trap '' TERM; echo up; while :; do sleep 0.1; done", grace="1s"))
    wait_until(lambda: daemon.logs(jobs["a"]), "the worker's first word")
    daemon.post(f"/v1/jobs/{jobs['a']}/cancel")
    assert daemon.wait_for(jobs["a"], "cancelled")["attempts"][0]["signal"] == 9


def test_cancel_of_a_waiting_job_and_of_a_whole_experiment(daemon):
    experiment, jobs = submit(daemon, a=shell("sleep 1000"), b=shell("true", needs=["a"]), c=shell("sleep 1000", resources={"cpus": 2}))
    daemon.wait_for(jobs["a"], "running")
    assert daemon.post(f"/v1/jobs/{jobs['b']}/cancel").json["state"] == "cancelled"
    assert daemon.post(f"/v1/experiments/{experiment}/cancel").status == 200
    ended = daemon.finished(experiment)
    assert ended["state"] == "cancelled" and {job["state"] for job in ended["jobs"].values()} == {"cancelled"}
    assert ended["jobs"]["c"]["attempts"] == []
    assert daemon.post(f"/v1/jobs/{jobs['a']}/cancel").status == 409


def test_pause_and_resume_make_a_second_attempt(daemon):
    text = "echo attempt $ANNEAL_ATTEMPT; trap 'exit 75' TERM; [ $ANNEAL_ATTEMPT = 2 ] && exit 0; while :; do sleep 0.05; done"
    experiment, jobs = submit(daemon, a=shell(text))
    wait_until(lambda: daemon.logs(jobs["a"]), "the worker's first word")
    daemon.post(f"/v1/jobs/{jobs['a']}/pause")
    paused = daemon.wait_for(jobs["a"], "paused")
    assert paused["attempts"][0]["state"] == "paused" and paused["attempts"][0]["exit_code"] == 75
    daemon.post(f"/v1/jobs/{jobs['a']}/resume")
    job = daemon.finished(experiment)["jobs"]["a"]
    assert [attempt["state"] for attempt in job["attempts"]] == ["paused", "succeeded"]
    assert daemon.logs(job["id"]) == b"attempt 2\n" and daemon.logs(job["id"], "?attempt=1&stream=stdout") == b"attempt 1\n"


def test_a_failed_job_is_retried_as_its_spec_says(daemon):
    experiment, jobs = submit(daemon, a=shell('[ "$ANNEAL_ATTEMPT" = 3 ]', retry={"limit": 2, "delay": "0s"}))
    job = daemon.finished(experiment)["jobs"]["a"]
    assert job["state"] == "succeeded"
    assert [attempt["exit_code"] for attempt in job["attempts"]] == [1, 1, 0]


def test_bad_requests_and_bad_data_are_never_retried(daemon):
    experiment, _ = submit(daemon, a=shell("exit 64", retry=5), b=shell("exit 65", retry=5))
    jobs = daemon.finished(experiment)["jobs"]
    assert (jobs["a"]["reason"], len(jobs["a"]["attempts"])) == ("bad_config", 1)
    assert (jobs["b"]["reason"], len(jobs["b"]["attempts"])) == ("bad_data", 1)


def test_a_user_retries_a_failed_job_and_what_was_skipped_because_of_it(daemon, tmp_path):
    flag = tmp_path / "flag"
    experiment, jobs = submit(daemon, a=shell(f"test -e {flag}"), b=shell("true", needs=["a"]))
    assert daemon.finished(experiment)["state"] == "failed"
    flag.touch()
    assert daemon.post(f"/v1/jobs/{jobs['a']}/retry").status == 200
    ended = daemon.finished(experiment)
    assert ended["state"] == "succeeded" and len(ended["jobs"]["a"]["attempts"]) == 2
    assert daemon.post(f"/v1/jobs/{jobs['a']}/retry").status == 409


def test_the_time_limit_ends_a_job(daemon):
    experiment, _ = submit(daemon, a=shell("sleep 1000", timeout="1s", grace="1s"))
    job = daemon.finished(experiment)["jobs"]["a"]
    assert (job["state"], job["reason"]) == ("failed", "timeout")


def test_a_program_that_does_not_exist_is_a_clear_failure(daemon):
    experiment, jobs = submit(daemon, a=command("/no/such/program"))
    job = daemon.finished(experiment)["jobs"]["a"]
    assert (job["state"], job["reason"]) == ("failed", "start_failed")
    assert "/no/such/program" in job["message"]
    assert "start_failed" in daemon.get(f"/v1/jobs/{jobs['a']}/explain").json["message"]


def test_priority_decides_who_is_next_and_can_be_changed_while_waiting(daemon):
    hog = daemon.submit({"name": "hog", "jobs": {"hog": shell("sleep 1000", resources={"cpus": 2})}}).json["jobs"][0]["id"]
    daemon.wait_for(hog, "running")
    _, jobs = submit(
        daemon, low=shell("true", resources={"cpus": 2}, priority=10), high=shell("true", resources={"cpus": 2}, priority=20)
    )
    for name in ("low", "high"):
        daemon.wait_for(jobs[name], "queued")
    order = lambda: [entry["name"] for entry in daemon.get("/v1/queue").json["data"]]
    assert order() == ["high", "low"]
    assert daemon.request("PATCH", f"/v1/jobs/{jobs['low']}", b'{"priority": 90}', {"Content-Type": "application/json"}).status == 200
    assert order() == ["low", "high"]
    wait = daemon.get(f"/v1/jobs/{jobs['low']}/explain").json["waits_for"][0]
    assert wait["kind"] == "resources" and wait["wanted"] == 2
    assert daemon.request("PATCH", f"/v1/jobs/{jobs['low']}", b'{"priority": 101}', {"Content-Type": "application/json"}).status == 400


def test_gpus_are_given_to_one_job_each_and_named_by_uuid(make_daemon):
    daemon = make_daemon("--gpus", "sim:2", "--cpus", "8").start()
    run = shell("echo $CUDA_VISIBLE_DEVICES; while ! test -e $0; do sleep 0.05; done", resources={"gpus": 1})
    flag = daemon.folder.parent / "go"
    run["command"].append(str(flag))
    answer = daemon.submit({"name": "g", "jobs": {"a": run, "b": run, "c": run}})
    jobs = [job["id"] for job in answer.json["jobs"]]
    held = wait_until(lambda: [g for g in daemon.get("/v1/gpus").json["data"] if g["state"] == "held"][1:] and daemon.get("/v1/gpus").json)
    holders = {gpu["job_id"] for gpu in held["data"]}
    assert len(holders) == 2 and holders < set(jobs) and all(gpu["simulated"] for gpu in held["data"])
    daemon.wait_for((set(jobs) - holders).pop(), "queued")
    flag.touch()
    ended = daemon.finished(answer.json["id"])["jobs"]
    uuids = [daemon.logs(ended[name]["id"]).decode().strip() for name in "abc"]
    assert len(set(uuids)) == 2 and all(uuid.startswith("GPU-") for uuid in uuids)
    assert [ended[name]["attempts"][0]["gpus"] for name in "abc"] == [[uuid] for uuid in uuids]
