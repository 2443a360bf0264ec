"""The queue end to end: order, demands on GPUs, preemption, causes, stalls, and GPUs that fail. Only the GPUs are simulated."""

import json
import os
import signal
import subprocess
import sys

from conftest import SCRIPTS, shell, wait_until


def waiting(**more):
    """A job that runs until the file `go` is in its output folder."""
    return shell('while [ ! -e "$ANNEAL_OUTPUT_DIR/go" ]; do sleep 0.05; done', **more)


def release_worker(daemon, job):
    (daemon.folder / "jobs" / job / "outputs" / "go").touch()


def submit(daemon, name, jobs, **more):
    answer = daemon.submit({"name": name, "jobs": jobs, **more})
    assert answer.status == 201, answer.body
    return {job["name"]: job["id"] for job in answer.json["jobs"]}


def gpus_of(daemon, job):
    return daemon.job(job)["attempts"][-1]["gpus"]


#: Saves on SIGTERM and ends with 75; counts its steps over all attempts in a file, so that a resumed run goes on where it stopped.
COUNTING = """
import json, os, pathlib, signal, sys, threading, time
state = pathlib.Path(os.environ["ANNEAL_CHECKPOINT_DIR"]) / "count"
step = int(state.read_text()) if state.exists() else 0
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
metrics = open(os.environ["ANNEAL_METRICS"], "a", buffering=1)
while step < int(sys.argv[1]):
    step += 1
    metrics.write(json.dumps({"step": step, "time": time.time(), "train/loss": 1.0 / step}) + "\\n")
    state.write_text(str(step))
    if stopped:
        sys.exit(75)
    threading.Event().wait(0.02)
"""


def counting(steps, **more):
    return {"kind": "command", "command": [sys.executable, "-c", COUNTING, str(steps)], **more}


def test_a_job_of_higher_priority_takes_the_place_of_a_preemptible_one_which_goes_on_where_it_stopped(make_daemon):
    daemon = make_daemon("--gpus", "sim:2", "--cpus", "8").start()
    low = submit(daemon, "low", {"a": counting(200, priority=10, preemptible=True, resources={"gpus": 2})})["a"]
    daemon.wait_for(low, "running")
    wait_until(lambda: daemon.get(f"/v1/jobs/{low}/metrics").json["keys"], "the first steps")
    high = submit(daemon, "high", {"a": waiting(priority=90, resources={"gpus": 1})})["a"]
    daemon.wait_for(high, "running")
    view = daemon.wait_for(low, "paused")
    assert view["reason"] == "preempted" and view["attempts"][0]["cause"] == "preempted", view
    explained = daemon.get(f"/v1/jobs/{low}/explain").json
    assert explained["waits_for"][0]["holders"][0]["job_id"] == high, explained
    release_worker(daemon, high)
    ended = wait_until(lambda: (j := daemon.job(low))["state"] == "succeeded" and j, "the end of the preempted job")
    assert len(ended["attempts"]) == 2
    points = daemon.get(f"/v1/jobs/{low}/metrics?key=train/loss").json["points"]
    assert [point["step"] for point in points] == list(range(1, 201))


def test_priority_decides_and_can_be_edited_while_jobs_wait(make_daemon):
    daemon = make_daemon("--gpus", "none", "--cpus", "1").start()
    first = submit(daemon, "first", {"a": waiting()})["a"]
    daemon.wait_for(first, "running")
    others = submit(daemon, "others", {"low": shell("true", priority=10), "mid": shell("true"), "high": shell("true", priority=90)})
    wait_until(lambda: [e["position"] for e in daemon.get("/v1/queue").json["data"]] == [0, 1, 2], "three jobs in line")
    assert [entry["name"] for entry in daemon.get("/v1/queue").json["data"]] == ["high", "mid", "low"]
    changed = daemon.request("PATCH", f"/v1/jobs/{others['low']}", b'{"priority": 100}', {"Content-Type": "application/json"})
    assert changed.status == 200
    queue = daemon.get("/v1/queue").json["data"]
    assert [entry["name"] for entry in queue] == ["low", "high", "mid"]
    assert [entry["position"] for entry in queue] == [0, 1, 2] and first in queue[0]["message"]
    release_worker(daemon, first)
    for job in others.values():
        wait_until(lambda job=job: daemon.job(job)["state"] == "succeeded", "the end of the others")
    starts = sorted(others, key=lambda name: daemon.job(others[name])["started_at"])
    assert starts == ["low", "high", "mid"]


def test_a_held_job_waits_for_its_release(make_daemon):
    daemon = make_daemon("--gpus", "none", "--cpus", "2").start()
    job = submit(daemon, "x", {"a": shell("true", hold=True)})["a"]
    daemon.wait_for(job, "queued")
    explained = daemon.get(f"/v1/jobs/{job}/explain").json
    assert explained["reason"] == "held" and explained["waits_for"][0]["kind"] == "request", explained
    daemon.restart()
    assert daemon.job(job)["held"] and daemon.job(job)["state"] == "queued"
    assert daemon.post(f"/v1/jobs/{job}/release").json["held"] is False
    wait_until(lambda: daemon.job(job)["state"] == "succeeded", "the end of the released job")
    assert daemon.post(f"/v1/jobs/{job}/hold").status == 409


def test_only_so_many_of_a_concurrency_group_run_and_a_newer_one_can_cancel_them(make_daemon):
    daemon = make_daemon("--gpus", "none", "--cpus", "4").start()
    first = submit(daemon, "one", {"a": waiting(concurrency="deploy")})["a"]
    daemon.wait_for(first, "running")
    second = submit(daemon, "two", {"a": shell("true", concurrency="deploy")})["a"]
    daemon.wait_for(second, "queued")
    assert daemon.get(f"/v1/jobs/{second}/explain").json["waits_for"][0]["kind"] == "concurrency"
    third = submit(daemon, "three", {"a": shell("true", concurrency={"group": "deploy", "cancel_in_progress": True})})["a"]
    wait_until(lambda: daemon.job(third)["state"] == "succeeded", "the newest of the group")
    for job in (first, second):
        view = wait_until(lambda job=job: (j := daemon.job(job))["finished_at"] and j, "the end of the older ones")
        assert view["state"] == "cancelled" and view["reason"] == "superseded", view


def test_demands_on_gpus_choose_devices(make_daemon, tmp_path):
    facts = tmp_path / "gpus.json"
    facts.write_text(json.dumps({"gpus": [{"index": 3, "model": "NVIDIA H200", "memory": 150 << 30}]}))
    daemon = make_daemon("--gpus", "sim:4", "--cpus", "16", "--counter", "licences=1", ANNEAL_SIM_GPUS_FILE=str(facts)).start()
    uuids = [gpu["uuid"] for gpu in daemon.get("/v1/gpus").json["data"]]
    jobs = submit(
        daemon,
        "x",
        {
            "model": waiting(resources={"gpus": 1, "model": "H200"}),
            "half": waiting(resources={"gpus": 0.5}),
            "other": waiting(resources={"gpus": 0.5}),
            "choice": waiting(resources={"any_of": [{"gpus": 1, "model": "H200", "gpu_memory": "100GiB"}, {"gpus": 2}]}),
            "licence": waiting(resources={"licences": 1}),
        },
    )
    for job in jobs.values():
        daemon.wait_for(job, "running")
    assert gpus_of(daemon, jobs["model"]) == [uuids[3]]
    assert gpus_of(daemon, jobs["half"]) == gpus_of(daemon, jobs["other"])
    assert len(gpus_of(daemon, jobs["choice"])) == 2
    shared = next(gpu for gpu in daemon.get("/v1/gpus").json["data"] if gpu["uuid"] == gpus_of(daemon, jobs["half"])[0])
    assert shared["share"] == 1 and len(shared["holders"]) == 2, shared
    late = submit(daemon, "late", {"a": shell("true", resources={"licences": 1})})["a"]
    daemon.wait_for(late, "queued")
    assert daemon.get(f"/v1/jobs/{late}/explain").json["waits_for"][0]["resource"] == "licences"
    refused = daemon.submit({"name": "never", "jobs": {"a": shell("true", resources={"gpus": 2, "model": "H200"})}})
    assert refused.status == 409 and refused.json["code"] == "cannot_fit", refused.body
    before = daemon.get("/v1/gpus").json["data"]
    daemon.restart()
    # What was given out stays given out, to the same jobs.
    assert [gpu["holders"] for gpu in daemon.get("/v1/gpus").json["data"]] == [gpu["holders"] for gpu in before]


def test_a_quota_and_weights_of_projects(make_daemon):
    daemon = make_daemon("--gpus", "sim:4", "--cpus", "8").start()
    set_limit = daemon.request("PATCH", "/v1/projects/small", b'{"gpu_limit": 1, "weight": 2}', {"Content-Type": "application/json"})
    assert set_limit.status == 200 and set_limit.json["gpu_limit"] == 1
    jobs = submit(daemon, "x", {"a": waiting(resources={"gpus": 1}), "b": waiting(resources={"gpus": 1})}, project="small")
    daemon.wait_for(jobs["a"], "running")
    assert daemon.get(f"/v1/jobs/{jobs['b']}/explain").json["waits_for"][0]["kind"] == "quota"
    view = daemon.get("/v1/projects/small").json
    assert view["gpus_in_use"] == 1 and view["queued"] == 1 and view["running"] == 1, view
    daemon.restart()
    assert daemon.get("/v1/projects/small").json["gpu_limit"] == 1
    daemon.request("PATCH", "/v1/projects/small", b'{"gpu_limit": null}', {"Content-Type": "application/json"})
    daemon.wait_for(jobs["b"], "running")
    bad = daemon.request("PATCH", "/v1/projects/small", b'{"weight": 0, "x": 1}', {"Content-Type": "application/json"})
    assert bad.status == 400 and {error["pointer"] for error in bad.json["errors"]} == {"/weight", "/x"}
    assert daemon.get("/v1/projects/none").status == 404


def test_a_drained_gpu_is_given_to_nobody_new(make_daemon):
    daemon = make_daemon("--gpus", "sim:2", "--cpus", "8").start()
    drained = daemon.post("/v1/gpus/0/drain", b'{"reason": "its fan is loud"}', **{"Content-Type": "application/json"})
    assert drained.status == 200 and drained.json["health"] == "drained" and drained.json["health_reason"] == "its fan is loud"
    job = submit(daemon, "x", {"a": waiting(resources={"gpus": 2})})["a"]
    daemon.wait_for(job, "queued")
    assert "fan is loud" in daemon.get(f"/v1/jobs/{job}/explain").json["message"]
    daemon.restart()
    assert daemon.get("/v1/gpus").json["data"][0]["health"] == "drained"
    assert daemon.post("/v1/gpus/0/undrain").json["health"] == "healthy"
    daemon.wait_for(job, "running")
    assert daemon.post("/v1/gpus/7/drain", b"{}", **{"Content-Type": "application/json"}).status == 404


def test_a_gpu_that_fails_drains_itself_and_the_next_attempt_avoids_it(make_daemon, tmp_path):
    facts = tmp_path / "gpus.json"
    facts.write_text('{"gpus": []}')
    daemon = make_daemon("--gpus", "sim:2", "--cpus", "8", ANNEAL_SIM_GPUS_FILE=str(facts)).start()
    script = 'if [ "$ANNEAL_ATTEMPT" = 1 ]; then while [ ! -e "$ANNEAL_OUTPUT_DIR/go" ]; do sleep 0.05; done; exit 1; fi'
    job = submit(daemon, "x", {"a": shell(script, resources={"gpus": 1}, retry={"delay": "0s"})})["a"]
    daemon.wait_for(job, "running")
    bad = gpus_of(daemon, job)[0]
    index = next(gpu["index"] for gpu in daemon.get("/v1/gpus").json["data"] if gpu["uuid"] == bad)
    facts.write_text(json.dumps({"gpus": [{"index": index, "xid": 79}]}))
    wait_until(lambda: daemon.get("/v1/gpus").json["data"][index]["health"] == "faulty", "the fault to be seen")
    release_worker(daemon, job)
    ended = wait_until(lambda: (j := daemon.job(job))["state"] == "succeeded" and j, "the second attempt")
    first, second = ended["attempts"]
    assert first["cause"] == "gpu_fault" and any("79" in item["message"] for item in first["evidence"]), first
    assert second["gpus"] != first["gpus"]
    facts.write_text('{"gpus": []}')
    wait_until(lambda: daemon.get("/v1/gpus").json["data"][index]["health"] == "drained", "the fault to pass")


def test_a_strangers_process_keeps_a_gpu_from_being_given_out(make_daemon, tmp_path):
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        facts = tmp_path / "gpus.json"
        facts.write_text(json.dumps({"gpus": [{"index": 0, "processes": [stranger.pid]}]}))
        daemon = make_daemon("--gpus", "sim:1", "--cpus", "8", ANNEAL_SIM_GPUS_FILE=str(facts)).start()
        job = submit(daemon, "x", {"a": shell("true", resources={"gpus": 1})})["a"]
        wait_until(lambda: daemon.get("/v1/gpus").json["data"][0]["health"] == "busy_foreign", "the stranger to be seen")
        assert daemon.job(job)["attempts"] == [] and stranger.poll() is None
        facts.write_text('{"gpus": []}')
        wait_until(lambda: daemon.job(job)["state"] == "succeeded", "the job once the stranger has gone")
    finally:
        stranger.kill()
        stranger.wait()


def test_ends_are_classified_with_evidence_and_retried_where_that_helps(make_daemon, tmp_path):
    causes = tmp_path / "causes.json"
    causes.write_text('{"version": 1, "causes": [{"cause": "network", "hint": "ask the proxy", "patterns": ["^tunnel is down"]}]}')
    config = tmp_path / "anneal.yaml"
    config.write_text(f"causes: {causes}\n")
    daemon = make_daemon("--gpus", "none", "--cpus", "8", "--config", str(config)).start()
    say = "echo '{}' >&2; exit 1".format
    ended = daemon.run(
        {
            "name": "x",
            "jobs": {
                "import": shell(say("ModuleNotFoundError: No module named torch"), retry=3),
                "oom": shell(say("torch.OutOfMemoryError: CUDA out of memory.")),
                "nccl": shell(say("ncclSystemError: System call failed"), retry={"on": {"nccl_error": {"limit": 1, "delay": "0s"}}}),
                "disk": shell(say("OSError: [Errno 28] No space left on device")),
                "proxy": shell(say("tunnel is down"), retry={"on": {"network": 0}}),
                "crash": shell("echo odd >&2; exit 3"),
                "killed": shell("kill -9 $$"),
                "config": shell("exit 64", retry=5),
                "data": shell("exit 65", retry=5),
                "late": shell("sleep 600", timeout="200ms", grace="1s"),
            },
        }
    )
    found = {name: (job["attempts"][-1]["cause"], len(job["attempts"])) for name, job in ended["jobs"].items()}
    assert found == {
        "import": ("import_error", 1),
        "oom": ("cuda_oom", 1),
        "nccl": ("nccl_error", 2),
        "disk": ("disk_full", 1),
        "proxy": ("network", 1),
        "crash": ("crashed", 1),
        "killed": ("killed", 1),
        "config": ("bad_config", 1),
        "data": ("bad_data", 1),
        "late": ("timeout", 1),
    }, found
    explained = daemon.get(f"/v1/jobs/{ended['jobs']['proxy']['id']}/explain").json
    assert "ask the proxy" in explained["message"]
    assert any(item["kind"] == "log" and "tunnel is down" in item["message"] for item in explained["evidence"]), explained


def test_a_worker_that_hangs_is_dumped_stopped_and_started_again(make_daemon):
    daemon = make_daemon("--gpus", "none", "--cpus", "4").start()
    spec = {"kind": "command", "command": [sys.executable, "-B", str(SCRIPTS / "hangs.py")], "stall": {"least": "3s", "most": "10s"}, "retry": {"delay": "0s"}}
    ended = daemon.run({"name": "x", "jobs": {"a": spec}})["jobs"]["a"]
    assert ended["state"] == "succeeded", ended
    first, second = ended["attempts"]
    assert first["cause"] == "stalled" and "no metric" in first["message"], first
    folder = daemon.folder / "attempts" / first["id"]
    # The native view from /proc, and the Python stacks that an unmodified program prints.
    assert "thread" in (folder / "stacks.txt").read_text()
    assert "wait_for_ever" in (folder / "stderr.log").read_text()


DIVERGING = """
import json, os, threading, time
metrics = open(os.environ["ANNEAL_METRICS"], "a", buffering=1)
for step in range(1, 4000):
    loss = "NaN" if step > 5 else 1.0
    metrics.write('{"step": %d, "time": %f, "train/loss": %s}\\n' % (step, time.time(), loss))
    threading.Event().wait(0.02)
"""


def test_a_loss_that_is_no_number_stops_the_attempt_for_good(make_daemon):
    daemon = make_daemon("--gpus", "none", "--cpus", "4").start()
    spec = {"kind": "command", "command": [sys.executable, "-c", DIVERGING], "nan_steps": 3, "retry": 5, "grace": "2s"}
    ended = daemon.run({"name": "x", "jobs": {"a": spec}})["jobs"]["a"]
    assert ended["state"] == "failed" and ended["reason"] == "nan_loss" and len(ended["attempts"]) == 1, ended
    assert "from step 6" in ended["message"], ended["message"]


def test_a_hundred_attempts_outlive_an_upgrade_of_the_daemon(make_daemon):
    daemon = make_daemon("--gpus", "none", "--cpus", "100").start()
    # Each blocks on a pipe of its own: a hundred that looked for a file again and again would keep the machine busy.
    gate = 'mkfifo "$ANNEAL_OUTPUT_DIR/gate" && read line < "$ANNEAL_OUTPUT_DIR/gate"'
    jobs = submit(daemon, "many", {f"j{number}": shell(gate) for number in range(100)})
    wait_until(lambda: all(daemon.job(job)["state"] == "running" for job in jobs.values()), "a hundred running jobs", 120)
    pids = {job: shim_of(daemon, job) for job in jobs.values()}
    daemon.restart(signal.SIGTERM)
    assert {job: shim_of(daemon, job) for job in jobs.values()} == pids
    assert all(os.path.exists(f"/proc/{pid}") for pid in pids.values())
    for job in jobs.values():
        gate = daemon.folder / "jobs" / job / "outputs" / "gate"
        wait_until(gate.is_fifo, "the worker's pipe")
        gate.write_text("go\n")
    wait_until(lambda: all(daemon.job(job)["state"] == "succeeded" for job in jobs.values()), "the end of all", 120)
    assert all(len(daemon.job(job)["attempts"]) == 1 for job in jobs.values())


def shim_of(daemon, job):
    attempt = daemon.job(job)["attempts"][-1]["id"]
    return json.loads((daemon.folder / "attempts" / attempt / "shim.json").read_text())["shim_pid"]
