"""A backup of a daemon that works, brought back elsewhere: every row has its files, and nothing of the old machine is touched."""

import json
import os
import pathlib
import sqlite3
import subprocess

import pytest

from conftest import PROGRAMS, fake_slurm, quick_training, shell, wait_until


def post(daemon, path, document):
    return daemon.post(path, json.dumps(document).encode(), **{"Content-Type": "application/json"})


def back_up(daemon, target, mode="link"):
    """Makes a backup and returns its view once it has ended."""
    answer = post(daemon, "/v1/backup", {"target": str(target), "mode": mode})
    assert answer.status == 202, answer.body
    return wait_until(lambda: (view := daemon.get("/v1/backup").json)["state"] != "running" and view, "the end of the backup")


def restore(source, data, *flags):
    return subprocess.run([PROGRAMS / "anneal", "restore", source, "--data", data, *flags], capture_output=True, text=True, timeout=120)


def rows(folder, query):
    with sqlite3.connect(folder / "anneal.db") as database:
        return database.execute(query).fetchall()


def check(folder, data):
    """The database of a backup or a data folder is whole, and every file that it names below `data` is below `folder`."""
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)] and rows(folder, "PRAGMA foreign_key_check") == []
    named = rows(folder, "SELECT path FROM dataset UNION SELECT path FROM checkpoint WHERE deleted_at_ms IS NULL UNION SELECT directory FROM attempt")
    named += rows(folder, "SELECT json_tree.value FROM job, json_tree(job.outputs) WHERE json_tree.type = 'text' AND json_tree.value LIKE '/%'")
    for (path,) in named:
        relative = pathlib.Path(path).relative_to(data)
        assert (folder / relative).exists(), path
        if (folder / relative / "checkpoint.json").exists():
            assert (folder / relative / "model.bin").stat().st_size == 1 << 16
    return len(named)


def busy(daemon, flag, training):
    """Puts a daemon to work: short jobs that end, uploads, a trainer and two others that run. Returns the three that run."""
    lines = b"".join(json.dumps({"input": f"{n}", "output": "x"}).encode() + b"\n" for n in range(100))
    assert daemon.post("/v1/datasets?name=tens", lines).status == 201
    daemon.run({"name": "done", "jobs": {"a": shell("echo over > $ANNEAL_OUTPUT_DIR/o.txt; echo out")}})
    short = {f"s{n}": shell(f"sleep 0.0{n % 10}; echo {n}") for n in range(40)}
    assert daemon.submit({"name": "short", "jobs": short}).status == 201
    waits = f"while ! test -e {flag}; do sleep 0.02; done; echo ended >> {flag}.$ANNEAL_JOB_ID"
    long = {"plain": shell(waits), "again": shell(waits, retry={"limit": 2}), "train": training}
    answer = daemon.submit({"name": "long", "jobs": {name: {**job, "priority": 90} for name, job in long.items()}})
    jobs = {job["name"]: job["id"] for job in answer.json["jobs"]}
    for job in jobs.values():
        daemon.wait_for(job, "running")
    wait_until(lambda: daemon.get(f"/v1/checkpoints?job={jobs['train']}").json["data"], "a checkpoint")
    return jobs


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_a_backup_under_load_is_whole_and_comes_back_elsewhere(make_daemon, tmp_path, mode):
    environment, training = quick_training(tmp_path)
    daemon = make_daemon("--gpus", "none", "--cpus", "8", **environment).start()
    flag, target = tmp_path / "go", tmp_path / "backup"
    jobs = busy(daemon, flag, training)
    shims = {name: daemon.shim(daemon.job(job)["attempts"][0]["id"]) for name, job in jobs.items()}
    view = back_up(daemon, target, mode)
    assert view["state"] == "done" and view["files"] > 40 and view["external"] == [], view
    manifest = json.loads((target / "backup.json").read_text())
    assert manifest["files"] == len((target / "files.jsonl").read_text().splitlines()) and not (tmp_path / "backup.partial").exists()
    assert check(target, daemon.folder) > 10
    second = make_daemon("--gpus", "none", "--cpus", "8", folder="second", **environment)
    done = restore(target, second.folder)
    assert done.returncode == 0 and f"lost: {jobs['plain']};" in done.stdout and "0 are cancelled" in done.stdout, done
    assert check(second.folder, second.folder) > 10
    second.start()
    lost = second.job(jobs["plain"])
    assert (lost["state"], lost["reason"], lost["attempts"][0]["state"]) == ("lost", "restored", "lost")
    for name in ("again", "train"):
        second.wait_for(jobs[name], "running")
        assert [attempt["state"] for attempt in second.job(jobs[name])["attempts"]] == ["lost", "running"]
    # What runs on the old machine goes on there, and ends as it would have.
    assert all(os.path.exists(f"/proc/{shim['child_pid']}") for shim in shims.values())
    flag.touch()
    assert daemon.wait_for(jobs["plain"], "succeeded")["attempts"][0]["exit_code"] == 0
    assert second.get("/v1/datasets/tens/content").status == 200
    assert second.logs(rows(second.folder, "SELECT job.id FROM job JOIN experiment ON experiment.id = experiment_id WHERE experiment.name = 'done'")[0][0]) == b"out\n"


def test_a_backup_that_the_daemon_did_not_survive_is_gone_on_with(make_daemon, tmp_path):
    daemon = make_daemon("--gpus", "none", "--cpus", "2").start()
    target, partial = tmp_path / "backup", tmp_path / "backup.partial"
    big = "for i in 1 2 3 4; do truncate -s 80M $ANNEAL_OUTPUT_DIR/$i.bin; done; echo small > $ANNEAL_OUTPUT_DIR/a.txt"
    daemon.run({"name": "big", "jobs": {"a": shell(big)}})
    assert post(daemon, "/v1/backup", {"target": str(target), "mode": "copy"}).status == 202
    wait_until(lambda: list(partial.glob("jobs/*/outputs/2.bin*")), "the second large file")
    assert post(daemon, "/v1/backup", {"target": str(tmp_path / "other")}).status == 409
    daemon.kill()
    assert partial.exists() and not target.exists()
    kept = {path.name: path.stat().st_ino for path in partial.glob("jobs/*/outputs/1.bin")}
    (partial / "attempts" / "left").mkdir(parents=True)
    refused = restore(partial, tmp_path / "new")
    assert refused.returncode == 1 and "no whole backup" in refused.stderr
    daemon.start()
    view = back_up(daemon, target, "copy")
    assert view["state"] == "done" and not partial.exists() and not (target / "attempts" / "left").exists(), view
    assert {path.name: path.stat().st_ino for path in target.glob("jobs/*/outputs/1.bin")} == kept
    check(target, daemon.folder)
    assert restore(target, tmp_path / "new").returncode == 0


def test_a_damaged_backup_and_a_used_folder_are_refused(make_daemon, tmp_path):
    daemon = make_daemon("--gpus", "none", "--cpus", "2").start()
    daemon.run({"name": "t", "jobs": {"a": shell("echo line")}})
    target = tmp_path / "backup"
    assert back_up(daemon, target, "copy")["state"] == "done"
    assert post(daemon, "/v1/backup", {"target": str(target)}).status == 409
    for wrong in (str(daemon.folder / "attempts" / "x"), "/tmp/../x", "relative"):
        assert post(daemon, "/v1/backup", {"target": wrong}).status == 400, wrong
    used = restore(target, daemon.folder)
    assert used.returncode == 1 and "is in use" in used.stderr
    log = next(target.glob("attempts/*/stdout.log"))
    log.write_bytes(b"LINE\n")
    new = tmp_path / "new"
    damaged = restore(target, new)
    assert damaged.returncode == 1 and "not what was backed up" in damaged.stderr
    # Half a restoration is no data folder; once the backup is mended it is gone on with.
    half = subprocess.run([PROGRAMS / "anneald", "--data", new, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert half.returncode == 1 and "was not finished" in half.stderr
    log.write_bytes(b"line\n")
    assert restore(target, new).returncode == 0 and not (new / "restoring.json").exists()
    manifest = json.loads((target / "backup.json").read_text())
    (target / "backup.json").write_text(json.dumps({**manifest, "format": 2}))
    newer = restore(target, tmp_path / "newer")
    assert newer.returncode == 1 and "use a newer one" in newer.stderr
    (target / "backup.json").write_text(json.dumps(manifest))
    with (target / "files.jsonl").open("a") as listing:
        listing.write('{"path":"../climbed","bytes":0}\n')
    climbing = restore(target, tmp_path / "climbing")
    assert climbing.returncode == 1 and "not inside" in climbing.stderr and not (tmp_path / "climbed").exists()


def test_limits_of_backups(make_daemon, tmp_path):
    """backupTargetLengthMax, backupRecordBytesMax: at the limit and one past it."""
    daemon = make_daemon("--gpus", "none", "--cpus", "2").start()
    # A name has at most 255 bytes.
    longest = f"{'x' * 150}/{'y' * 300}"[: 400 - len(f"{tmp_path}/")]
    assert len(f"{tmp_path}/{longest}") == 400
    assert back_up(daemon, f"{tmp_path}/{longest}", "database")["state"] == "done"
    assert post(daemon, "/v1/backup", {"target": f"{tmp_path}/{longest}z"}).status == 400
    target = tmp_path / "backup"
    assert back_up(daemon, target)["state"] == "done"
    record = (target / "backup.json").read_bytes()
    (target / "backup.json").write_bytes(record.ljust((16 << 20) + 1))
    large = restore(target, tmp_path / "new")
    assert large.returncode == 1 and "is larger than" in large.stderr
    (target / "backup.json").write_bytes(record.ljust(16 << 20))
    assert restore(target, tmp_path / "new").returncode == 0


def test_a_restored_queue_can_be_held(make_daemon, tmp_path):
    daemon = make_daemon("--gpus", "none", "--cpus", "1").start()
    mark = tmp_path / "mark"
    daemon.submit({"name": "t", "jobs": {"a": shell("sleep 1000"), "b": shell(f"touch {mark}", needs=["a"])}})
    daemon.wait_for(daemon.job_of(daemon.get("/v1/experiments").json["data"][0]["id"], "a")["id"], "running")
    line = [PROGRAMS / "anneal", "backup", str(tmp_path / "backup"), "--files", "none", "--url", daemon.url]
    run = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and "✓" in run.stdout, run
    second = make_daemon("--gpus", "none", "--cpus", "1", folder="second")
    assert restore(tmp_path / "backup", second.folder, "--hold").returncode == 0
    second.start()
    # 'a' is lost, so that 'b' cannot come any more.
    experiment = second.get("/v1/experiments").json["data"][0]["id"]
    ended = second.finished(experiment)
    assert {name: job["state"] for name, job in ended["jobs"].items()} == {"a": "lost", "b": "skipped"}
    assert not mark.exists()


def test_what_a_cluster_may_still_run_is_held(make_daemon, tmp_path):
    """No Slurm answers a restored daemon for the jobs of the daemon that it is a copy of: one that is there may still run."""
    programs, config = fake_slurm(tmp_path), tmp_path / "config.yaml"
    config.write_text(f"clusters: {{hpc: {{executor: slurm, programs: {programs}}}}}\n")
    daemon = make_daemon("--gpus", "none", "--config", str(config)).start()
    once = {**shell("true"), "cluster": "hpc", "retry": {"limit": 0}}
    daemon.submit({"name": "away", "jobs": {"again": {**once, "retry": {"limit": 2}}, "once": once}})
    wait_until(lambda: rows(daemon.folder, "SELECT count(*) FROM attempt WHERE external_id IN ('17', '18')") == [(2,)], "Slurm's ids")
    jobs = {job["name"]: job["id"] for job in daemon.get("/v1/jobs").json["data"]}
    assert back_up(daemon, tmp_path / "backup")["state"] == "done"
    second = make_daemon("--gpus", "none", "--config", str(config), folder="second")
    calls = (programs / "calls").read_text()
    restored = restore(tmp_path / "backup", second.folder)
    assert restored.returncode == 0 and "2 are held" in restored.stdout, restored
    for job in jobs.values():
        assert f"held: {job}, which may still be in the cluster 'hpc' as job 1" in restored.stdout
    daemon.kill()
    second.start()
    for job in map(second.job, jobs.values()):
        assert (job["state"], job["attempts"][0]["state"], job["attempts"][0]["cause"]) == ("queued", "lost", "restored")
    assert rows(second.folder, "SELECT DISTINCT held FROM job") == [(1,)]
    made = (programs / "calls").read_text()[len(calls) :]
    assert "sbatch" not in made and "scancel" not in made
    assert second.post(f"/v1/jobs/{jobs['again']}/release").status == 200
    wait_until(lambda: "sbatch" in (programs / "calls").read_text()[len(calls) :], "its next attempt")
