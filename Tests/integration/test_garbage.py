"""What nobody needs is found, told of with its reason, and removed on request; what somebody needs stays."""

import json
import subprocess

import pytest

from conftest import PROGRAMS, fake_slurm, quick_training, shell, wait_until

@pytest.fixture
def hasty(make_daemon, tmp_path):
    """A daemon whose retention waits for nothing."""
    config = tmp_path / "config.yaml"
    config.write_text("retention: {attempt_logs: 1ms, checkpoints: 1ms, leftovers: 1ms, upgrade_copies: never, answers: 1ms}\n")
    return make_daemon("--gpus", "none", "--cpus", "2", "--config", str(config), **quick_training(tmp_path)[0]).start()


def plan(daemon):
    """What would go, as paths below the data folder by kind."""
    found = {}
    for item in daemon.get("/v1/gc").json["items"]:
        found.setdefault(item["kind"], set()).add(item["path"].removeprefix(f"{daemon.folder}/"))
    return found


def test_only_what_nobody_needs_goes(hasty, tmp_path):
    flag, training = tmp_path / "flag", {**quick_training(tmp_path)[1], "env": {"FLAG": "/nowhere", "STEPS": "3", "KEPT": "3"}}
    twice = shell(f"echo out; test -e {flag} || {{ touch {flag}; exit 3; }}", retry={"limit": 1, "delay": "0s"})
    jobs = hasty.run({"name": "t", "jobs": {"twice": twice, "train": training}})["jobs"]
    kept = hasty.run({"name": "kept", "tags": {"keep": "yes"}, "jobs": {"train": training}})["jobs"]
    assert jobs["twice"]["state"] == "succeeded" and jobs["train"]["state"] == "succeeded"
    data = hasty.folder
    assert hasty.post("/v1/datasets?name=used", b'{"input": "1", "output": "2"}\n').status == 201
    checkpoints = hasty.get(f"/v1/checkpoints?job={jobs['train']['id']}").json["data"]
    pinned = next(entry["id"] for entry in checkpoints if entry["path"].endswith("step_1"))
    assert hasty.post(f"/v1/checkpoints/{pinned}/pin").status == 200
    (data / "datasets" / "00").mkdir()
    (data / "datasets" / "00" / ("0" * 64 + ".jsonl")).write_text("{}\n")
    (data / "uploads" / "ds_left").write_text("half")
    (data / "jobs" / "job_stranger").mkdir()
    # The times of files tick more coarsely than the clock.
    wait_until(lambda: len(plan(hasty)) == 5, "all that is to be found")
    first, second = (attempt["id"] for attempt in jobs["twice"]["attempts"])
    assert plan(hasty) == {
        "attempt_log": {f"attempts/{first}/stdout.log"},
        "checkpoint": {f"jobs/{jobs['train']['id']}/checkpoints/step_2"},
        "content": {f"datasets/00/{'0' * 64}.jsonl"}, "upload": {"uploads/ds_left"}, "folder": {"jobs/job_stranger"},
    }  # fmt: skip
    dry = subprocess.run([PROGRAMS / "anneal", "gc", "--dry-run", "--url", hasty.url], capture_output=True, text=True, timeout=60)
    assert dry.returncode == 0 and "5 things" in dry.stdout and "would be removed" in dry.stdout, dry
    assert (data / "uploads" / "ds_left").exists()
    done = hasty.post("/v1/gc").json
    assert done["removed"] and done["count"] == 5 and done["failures"] == [] and done["bytes"] > 1000
    assert plan(hasty) == {} and hasty.post("/v1/gc").json["count"] == 0
    audit = [json.loads(line) for line in (data / "removed.jsonl").read_text().splitlines()]
    assert {entry["kind"] for entry in audit} == {"attempt_log", "checkpoint", "content", "upload", "folder"}
    assert all(entry["reason"] and entry["at"] for entry in audit)
    states = {entry["path"][-6:]: entry["deleted_at"] is None for entry in hasty.get(f"/v1/checkpoints?job={jobs['train']['id']}").json["data"]}
    assert states == {"step_1": True, "step_2": False, "step_3": True}
    assert len(list((data / "jobs" / kept["train"]["id"] / "checkpoints").iterdir())) == 3
    assert (data / "attempts" / second / "stdout.log").exists() and hasty.get("/v1/datasets/used/content").status == 200


def test_an_answer_names_so_many_and_counts_all(hasty):
    """garbageItemsMax: at the limit and one past it."""
    for number in range(1000):
        (hasty.folder / "uploads" / f"ds_{number}").write_text("x")
    wait_until(lambda: (view := hasty.get("/v1/gc").json)["count"] == 1000 == len(view["items"]), "1,000 things")
    (hasty.folder / "uploads" / "ds_more").write_text("x")
    wait_until(lambda: (view := hasty.get("/v1/gc").json)["count"] == 1001 and len(view["items"]) == 1000, "one more")


def test_nothing_young_goes_and_wrong_rules_are_refused(make_daemon, tmp_path):
    daemon = make_daemon("--gpus", "none", "--cpus", "2").start()
    (daemon.folder / "uploads" / "ds_left").write_text("half")
    assert plan(daemon) == {}
    config = tmp_path / "config.yaml"
    for text, message in [("{logs: 1d}", "has no 'logs'"), ("{checkpoints: soon}", "must be a duration"), ("{automatic: 1}", "true or false")]:
        config.write_text(f"retention: {text}\n")
        run = subprocess.run([PROGRAMS / "anneald", "--data", tmp_path / "d", "--config", config], capture_output=True, text=True, timeout=60)
        assert run.returncode == 2 and message in run.stderr, run


def test_the_daemon_removes_by_itself_where_it_is_told_to(make_daemon, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("retention: {leftovers: 1ms, automatic: true}\n")
    left = tmp_path / "data" / "uploads" / "ds_left"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    daemon = make_daemon("--gpus", "none", "--config", str(config)).start()
    wait_until(lambda: not left.exists(), "the removal")
    assert "ds_left" in (daemon.folder / "removed.jsonl").read_text()


def test_the_doctor_tells_of_every_part(make_daemon):
    daemon = make_daemon("--gpus", "sim:2").start()
    checks = {check["name"]: check for check in daemon.get("/v1/doctor").json["checks"]}
    names = {"database", "shim", "worker", "disk", "fsync", "descriptors", "inotify", "permissions", "clock", "python", "gpus", "shims", "control_groups"}
    assert names <= set(checks)
    for check in checks.values():
        assert check["ok"] == (check["level"] != "fail") and (check["advice"] is None) == (check["level"] == "ok"), check
    daemon.folder.chmod(0o755)
    (daemon.folder / "token").write_text("secret")
    open_to_all = next(check for check in daemon.get("/v1/doctor").json["checks"] if check["name"] == "permissions")
    assert open_to_all["level"] == "fail" and "755" in open_to_all["detail"] and "chmod 700" in open_to_all["advice"]
    line = [PROGRAMS / "anneal", "doctor", "--json", "--url", daemon.url]
    run = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1 and json.loads(run.stdout)["checks"]


def test_the_doctor_sees_a_token_that_all_may_read(make_daemon, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("token: the-configured-token\n")
    daemon = make_daemon("--gpus", "none", "--config", str(config))
    daemon.token = "the-configured-token"
    daemon.start()
    for mode, level in ((0o644, "fail"), (0o640, "ok")):
        config.chmod(mode)
        check = next(check for check in daemon.get("/v1/doctor").json["checks"] if check["name"] == "permissions")
        assert check["level"] == level and (level == "ok" or f"chmod 600 {config}" in check["advice"]), check


def test_the_doctor_examines_clusters(make_daemon, tmp_path):
    (tmp_path / "bare").mkdir()
    bare, whole = fake_slurm(tmp_path / "bare", "squeue"), fake_slurm(tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(f"""clusters:
  bare: {{executor: slurm, programs: {bare}}}
  closed: {{executor: slurm, programs: {whole}, partition: closed}}
  good: {{executor: slurm, programs: {whole}, partition: main}}
  shimless: {{executor: slurm, programs: {whole}, shim: /nowhere/anneal-shim}}
  wrong: {{executor: slurm, programs: {whole}, partition: gpu}}
""")
    daemon = make_daemon("--gpus", "none", "--config", str(config)).start()
    checks = {check["name"]: check for check in daemon.get("/v1/doctor").json["checks"] if check["name"].startswith("cluster ")}
    assert "srun" not in (whole / "calls").read_text()
    expected = {
        "cluster bare": ("fail", f"squeue cannot be found in {bare}"), "cluster closed": ("warn", "the partition is down"),
        "cluster good": ("ok", "main: 1 nodes idle"), "cluster wrong": ("fail", "there is no partition 'gpu'; there are: main"),
        "cluster good disk": ("warn", "of this machine"),
    }
    for name, (level, words) in expected.items():
        assert checks[name]["level"] == level and words in checks[name]["detail"], checks[name]
        assert (level == "ok") == (checks[name]["advice"] is None)
    run = subprocess.run([PROGRAMS / "anneal", "doctor", "--deep", "--json", "--url", daemon.url], capture_output=True, text=True, timeout=180)
    deep = {check["name"]: check for check in json.loads(run.stdout)["checks"]}
    assert deep["cluster good node"]["ok"] and "cluster good clock" not in deep
    assert deep["cluster shimless node"]["level"] == "fail" and "cannot run anneal-shim" in deep["cluster shimless node"]["detail"]
    assert not list(daemon.folder.glob(".doctor-*"))
