"""The daemon dies at any moment: nothing accepted is lost, nothing runs twice, no exit code or log byte goes missing."""

import json
import os
import random
import signal
import sqlite3
import subprocess

from conftest import PROGRAMS, shell, wait_until


def test_a_kill_of_the_daemon_leaves_the_worker_running_and_the_next_daemon_takes_it_over(daemon):
    count = 80
    text = (
        f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo line $i; "
        'echo "{\\"step\\": $i, \\"train/loss\\": $i}" >> $ANNEAL_METRICS; sleep 0.05; done; exit 7'
    )
    answer = daemon.submit({"name": "t", "jobs": {"a": shell(text)}})
    job = answer.json["jobs"][0]["id"]
    wait_until(lambda: b"line 10\n" in daemon.logs(job), "ten lines")
    daemon.restart()
    ended = daemon.finished(answer.json["id"])["jobs"]["a"]
    assert [attempt["exit_code"] for attempt in ended["attempts"]] == [7]
    assert [point["step"] for point in daemon.curve(job, "train/loss")] == list(range(1, count + 1))
    assert daemon.logs(job, "?stream=stdout").decode().split("\n")[:-1] == [f"line {n}" for n in range(1, count + 1)]


def test_an_end_while_no_daemon_was_there_is_learnt_from_its_record(daemon, tmp_path):
    flag = tmp_path / "go"
    answer = daemon.submit({"name": "t", "jobs": {"a": shell(f"while ! test -e {flag}; do sleep 0.02; done; echo done; exit 42")}})
    job = answer.json["jobs"][0]["id"]
    attempt = daemon.wait_for(job, "running")["attempts"][0]["id"]
    daemon.kill()
    flag.touch()
    wait_until((daemon.folder / "attempts" / attempt / "exit.json").exists, "exit.json")
    daemon.start()
    ended = daemon.finished(answer.json["id"])["jobs"]["a"]
    assert ended["attempts"][0]["exit_code"] == 42 and daemon.logs(job) == b"done\n"


def test_the_time_limit_holds_while_no_daemon_is_there(daemon):
    answer = daemon.submit({"name": "t", "jobs": {"a": shell("sleep 1000", timeout="2s", grace="1s")}})
    attempt = daemon.wait_for(answer.json["jobs"][0]["id"], "running")["attempts"][0]["id"]
    daemon.kill()
    wait_until((daemon.folder / "attempts" / attempt / "exit.json").exists, "exit.json")
    daemon.start()
    assert daemon.finished(answer.json["id"])["jobs"]["a"]["reason"] == "timeout"


def test_a_polite_stop_leaves_workers_alone(daemon):
    answer = daemon.submit({"name": "t", "jobs": {"a": shell("sleep 2; echo survived")}})
    job = answer.json["jobs"][0]["id"]
    daemon.wait_for(job, "running")
    daemon.restart(signal.SIGTERM)
    assert daemon.finished(answer.json["id"])["state"] == "succeeded" and daemon.logs(job) == b"survived\n"


def test_a_dead_shim_with_a_living_worker_is_not_taken_for_an_end(daemon):
    answer = daemon.submit({"name": "t", "jobs": {"a": shell("sleep 1000")}})
    job = answer.json["jobs"][0]["id"]
    attempt = daemon.wait_for(job, "running")["attempts"][0]["id"]
    shim = daemon.shim(attempt)
    daemon.kill()
    os.kill(shim["shim_pid"], signal.SIGKILL)
    daemon.start()
    assert daemon.job(job)["state"] == "running" and os.path.exists(f"/proc/{shim['child_pid']}")
    os.killpg(shim["child_pid"], signal.SIGKILL)
    lost = daemon.wait_for(job, "lost")
    assert lost["reason"] == "supervisor_lost" and len(lost["attempts"]) == 1


def test_killed_at_random_moments_it_keeps_every_accepted_job_and_runs_each_once(daemon, tmp_path):
    seed = int(os.environ.get("ANNEAL_SEED", random.randrange(2**32)))
    print(f"ANNEAL_SEED={seed}")
    draw = random.Random(seed)
    marks = tmp_path / "marks"
    marks.mkdir()
    accepted = []
    for round_number in range(6):
        for number in range(6):
            name = f"r{round_number}n{number}"
            run = shell(f"echo x >> {marks}/{name}; sleep 0.{draw.randrange(10)}; exit {draw.choice([0, 0, 1, 3])}")
            try:
                answer = daemon.submit({"name": name, "jobs": {"a": run}})
            except OSError:
                continue
            if answer.status == 201:
                accepted.append((name, answer.json["id"]))
        wait_until(lambda: draw.random() < 0.05, "the moment of the kill")
        daemon.restart()
    for name, experiment in accepted:
        job = daemon.finished(experiment)["jobs"]["a"]
        assert job["state"] in ("succeeded", "failed"), job
        started = [attempt for attempt in job["attempts"] if attempt["exit_code"] is not None]
        assert len(started) == 1 and (marks / name).read_text() == "x\n", (name, job)
    with sqlite3.connect(daemon.folder / "anneal.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_second_daemon_on_the_same_folder_is_refused(daemon):
    second = subprocess.run([PROGRAMS / "anneald", "--data", daemon.folder, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert second.returncode == 1 and "another anneald" in second.stderr


def test_a_database_of_a_newer_version_is_refused(daemon):
    daemon.kill(signal.SIGTERM)
    with sqlite3.connect(daemon.folder / "anneal.db") as database:
        row = database.execute("SELECT * FROM schema_migration ORDER BY version DESC LIMIT 1").fetchone()
        marks = ",".join("?" * len(row))
        database.execute(f"INSERT INTO schema_migration VALUES ({marks})", (row[0] + 100, *row[1:]))
    second = subprocess.run([PROGRAMS / "anneald", "--data", daemon.folder, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert second.returncode == 1 and "newer" in second.stderr


def test_a_stream_is_resumed_across_a_restart_without_gap_or_repeat(daemon):
    text = 'for i in 1 2 3 4 5 6 7 8; do echo "{\\"step\\": $i, \\"x\\": $i}" >> $ANNEAL_METRICS; sleep 0.3; done'
    answer = daemon.submit({"name": "t", "jobs": {"a": shell(text)}})
    experiment = answer.json["id"]
    wait_until(lambda: daemon.get(f"/v1/jobs/{answer.json['jobs'][0]['id']}/metrics").json["keys"], "a first metric")
    daemon.restart()
    daemon.finished(experiment)
    events = [json.loads(line) for line in daemon.get(f"/v1/stream?experiment={experiment}", Accept="application/x-ndjson").body.splitlines()]
    numbered = [event["seq"] for event in events if event["type"] != "end"]
    assert numbered == sorted(set(numbered)) and events[-1]["type"] == "end"
    half = numbered[len(numbered) // 2]
    rest = daemon.get(f"/v1/stream?experiment={experiment}", Accept="application/x-ndjson", **{"Last-Event-ID": str(half)}).body.splitlines()
    assert [json.loads(line)["seq"] for line in rest][:-1] == [number for number in numbered if number > half]
    points = [point["step"] for event in events if event["type"] == "metric" for point in event["data"]["points"]]
    assert points == list(range(1, 9))
