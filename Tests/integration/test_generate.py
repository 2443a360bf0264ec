"""Generations against a mock server: the right end whatever is killed in the middle."""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from conftest import ROOT, wait_until

MOCK = ROOT / "Tests" / "WorkerTests" / "mock_server.py"


class Mock:
    """The server that is asked."""

    def __init__(self, *arguments):
        command = [sys.executable, "-B", str(MOCK), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def stats(self):
        """What was asked so far."""
        with urllib.request.urlopen(self.url + "/stats", timeout=60) as answer:
            return json.load(answer)

    def stop(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def mock():
    """Starts mock servers, which are ended with the test."""
    made = []

    def make(*arguments):
        made.append(Mock(*arguments))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def data(tmp_path):
    """Writes a file of so many records."""

    def make(count):
        path = tmp_path / "data.jsonl"
        path.write_text("".join(json.dumps({"id": number, "problem": f"q{number}*"}) + "\n" for number in range(count)))
        return str(path)

    return make


def spec(server, data, **more):
    """A spec with one generation."""
    job = {"kind": "generate", "server": {"url": server}, "dataset": data, "prompt": {"user": "{problem}"}, **more}
    return {"name": "g", "jobs": {"gen": job}}


def records(daemon, job, output="generations"):
    """The records of an output, by the registry."""
    content = daemon.get(f"/v1/datasets/{job['outputs'][output]['id']}/content").body
    return [json.loads(line) for line in content.splitlines()]


def test_generations_are_registered_with_their_lineage_and_an_equal_job_is_not_run_again(daemon, mock, data):
    server = mock()
    body = spec(server.url, data(50), samples=2, parse_reasoning=True)
    job = daemon.run(body)["jobs"]["gen"]
    assert job["state"] == "succeeded", job
    assert set(job["outputs"]) == {"generations", "rs0", "rs1"}
    dataset = daemon.get(f"/v1/datasets/{job['outputs']['rs1']['id']}").json
    assert dataset["rows"] == 50 and dataset["format"] == "generations" and dataset["produced_by"] == job["id"]
    assert [record["id"] for record in records(daemon, job)] == [*range(50), *range(50)]
    assert records(daemon, job, "rs1")[9]["generation"] == "answer to q9*"
    types = {node["type"] for node in daemon.get(f"/v1/lineage/{dataset['id']}").json["nodes"]}
    assert {"dataset", "job"} <= types
    keys = {entry["key"] for entry in daemon.get(f"/v1/jobs/{job['id']}/metrics").json["keys"]}
    assert {"generate/in_flight", "generate/failed", "progress/done"} <= keys
    again = daemon.run(body)["jobs"]["gen"]
    assert again["reason"] == "cached" and server.stats()["requests"] == 100


def test_chunks_run_as_jobs_of_their_own_and_are_merged_once(daemon, mock, data):
    server = mock()
    ended = daemon.run(spec(server.url, data(11), chunks=3))
    assert {name: job["state"] for name, job in ended["jobs"].items()} == dict.fromkeys(
        ["gen-chunk-0", "gen-chunk-1", "gen-chunk-2", "gen"], "succeeded"
    )
    assert [record["id"] for record in records(daemon, ended["jobs"]["gen"])] == list(range(11))
    assert server.stats()["repeated"] == 0


def test_failed_records_are_retried_alone(daemon, mock, data):
    bad = mock("--mode", "poison:q1*")
    answer = daemon.submit(spec(bad.url, data(40))).json
    job = daemon.finished(answer["id"])["jobs"]["gen"]
    assert job["state"] == "failed" and "1 of 40 generations failed (refused 1)" in job["message"]
    asked = bad.stats()["requests"]
    assert daemon.post(f"/v1/jobs/{job['id']}/retry").status in (200, 202)
    wait_until(lambda: len(daemon.job(job["id"])["attempts"]) == 2, "the second attempt")
    daemon.finished(answer["id"])
    assert bad.stats()["requests"] == asked + 1


def generations(daemon, job, part="", query=""):
    """What the daemon says of a job's generations."""
    return daemon.get(f"/v1/jobs/{job}/generations{part}{query}").json


def test_the_database_holds_every_pass_and_failure_and_a_retry_takes_failures_away(daemon, mock, data):
    server = mock("--mode", "poison:q1*")
    answer = daemon.submit(spec(server.url, data(40), samples=2, retry_delay=0.01)).json
    job = daemon.finished(answer["id"])["jobs"]["gen"]["id"]
    seen = generations(daemon, job)
    assert (seen["records"], seen["total"], seen["done"], seen["failed"]) == (40, 80, 78, 2)
    assert seen["tokens"] == 78 * 5 and seen["finish_reasons"]["stop"] == 78 and seen["truncated_share"] == 0
    assert [(one["seed"], one["state"], one["missing"]) for one in seen["passes"]] == [
        (seed, "incomplete", [{"from": 1, "to": 1}]) for seed in (0, 1)
    ]
    assert seen["requests_in_flight"] is None and seen["eta_seconds"] is None
    first = generations(daemon, job, "/failures", "?limit=1")
    assert first["has_more"] and first["data"][0]["record"] == 1 and first["data"][0]["cause"] == "refused"
    assert "too long" in first["data"][0]["message"] and server.url in first["data"][0]["message"]
    rest = generations(daemon, job, "/failures", f"?limit=1&after={first['next']}")
    assert not rest["has_more"] and rest["data"][0]["seed"] == 1
    assert daemon.get(f"/v1/jobs/{job}/generations/failures?after=x").status == 400
    samples = generations(daemon, job, "/samples", "?count=100&seed=1")["data"]
    assert sorted(one["record"] for one in samples) == [number for number in range(40) if number != 1]
    assert all(one["input"]["problem"] == f"q{one['record']}*" and "answer to" in one["generation"] for one in samples)
    assert generations(daemon, job, "/samples", "?random_seed=4") == generations(daemon, job, "/samples", "?random_seed=4")
    assert daemon.get(f"/v1/jobs/{job}/generations/samples?seed=9").status == 404
    # One past generationSamplesMax, which was asked for above.
    assert daemon.get(f"/v1/jobs/{job}/generations/samples?count=101").status == 400
    # The same address answers well now.
    server.stop()
    mock("--port", str(server.port))
    assert daemon.post(f"/v1/jobs/{job}/retry").status in (200, 202)
    wait_until(lambda: daemon.job(job)["state"] == "succeeded", "the retry")
    seen = generations(daemon, job)
    assert (seen["done"], seen["failed"], seen["failures"]["data"]) == (80, 0, [])
    assert {one["state"] for one in seen["passes"]} == {"complete"}
    after = generations(daemon, job, "/samples", "?count=100&seed=1")["data"]
    assert sorted(one["record"] for one in after) == list(range(40))


def test_it_is_followed_while_it_runs_and_after_a_restart_of_the_daemon(daemon, mock, data):
    server = mock("--delay", "0.02")
    answer = daemon.submit(spec(server.url, data(3000), concurrency=16, adaptive=False)).json
    job = answer["jobs"][0]["id"]
    wait_until(lambda: generations(daemon, job)["done"] >= 100, "a hundred records")
    live = wait_until(lambda: (view := generations(daemon, job))["tokens_per_second"] and view, "a rate")
    assert live["state"] == "running" and live["passes"][0]["state"] == "running" and live["requests_in_flight"] <= 16
    assert live["eta_seconds"] > 0 and live["records_per_second"] > 0
    assert len(generations(daemon, job, "/samples", "?count=3")["data"]) == 3
    daemon.restart()
    before = generations(daemon, job)["done"]
    assert before >= 100
    wait_until(lambda: generations(daemon, job)["done"] > before, "more after the restart")
    daemon.kill()
    # It goes on without the daemon, to its end.
    wait_until(lambda: (pathlib.Path(daemon.folder) / "jobs" / job / "outputs" / "output.jsonl.done").exists(), "the end")
    daemon.start()
    daemon.finished(answer["id"])
    seen = generations(daemon, job)
    assert (seen["state"], seen["done"], seen["tokens"]) == ("succeeded", 3000, 15000)
    keys = {entry["key"] for entry in daemon.get(f"/v1/jobs/{job}/metrics").json["keys"]}
    assert {"generate/tokens_per_second", "generate/in_flight", "generate/eta_seconds"} <= keys


def test_a_merged_job_shows_the_sum_of_its_chunks_and_a_cached_one_its_original(daemon, mock, data):
    server = mock()
    body = spec(server.url, data(11), chunks=3, samples=2)
    job = daemon.run(body)["jobs"]["gen"]
    seen = generations(daemon, job["id"])
    assert (seen["records"], seen["total"], seen["done"]) == (11, 22, 22)
    assert sorted((one["chunk"], one["seed"], one["first"], one["total"]) for one in seen["passes"]) == [
        (0, 0, 0, 4), (0, 1, 0, 4), (1, 0, 4, 4), (1, 1, 4, 4), (2, 0, 8, 3), (2, 1, 8, 3)
    ]  # fmt: skip
    assert sorted(one["record"] for one in generations(daemon, job["id"], "/samples", "?count=100&seed=1")["data"]) == list(range(11))
    again = daemon.run(body)["jobs"]["gen"]
    assert again["reason"] == "cached" and generations(daemon, again["id"])["done"] == 22
    other = daemon.run({"name": "c", "jobs": {"c": {"kind": "command", "command": "true"}}})["jobs"]["c"]
    assert daemon.get(f"/v1/jobs/{other['id']}/generations").status == 404


def test_more_samples_or_records_ask_only_for_what_is_new(daemon, mock, data):
    server = mock()
    path = data(30)
    daemon.run(spec(server.url, path, samples=2, limit=20))
    assert server.stats()["requests"] == 40
    more = daemon.run(spec(server.url, path, samples=3, limit=30))["jobs"]["gen"]
    assert server.stats()["requests"] == 90 and server.stats()["repeated"] == 0
    seen = generations(daemon, more["id"])
    assert (seen["done"], seen["reused"]) == (90, 40) and more["summary"]["reused"] == 40
    assert b"40 of 90 generations are taken over and not asked again" in daemon.logs(more["id"])
    assert [record["id"] for record in records(daemon, more, "rs0")] == list(range(30))
    # In chunks too, each from what the whole runs left.
    chunked = daemon.run(spec(server.url, path, samples=3, chunks=2))["jobs"]["gen"]
    assert generations(daemon, chunked["id"])["reused"] == 90 and server.stats()["requests"] == 90
    assert [record["id"] for record in records(daemon, chunked, "rs2")] == list(range(30))
    # Another prompt is another question, and 'cache: false' asks anew.
    daemon.run(spec(server.url, path, samples=1, prompt={"user": "Now: {problem}"}))
    assert server.stats()["requests"] == 120
    anew = daemon.run(spec(server.url, path, samples=1, cache=False))["jobs"]["gen"]
    assert server.stats()["requests"] == 150 and generations(daemon, anew["id"])["reused"] == 0


def worker_of(daemon, job):
    """The process id of the worker that runs now; `None` between attempts."""
    for attempt in reversed(daemon.job(job)["attempts"]):
        folder = daemon.folder / "attempts" / attempt["id"]
        if (folder / "exit.json").exists() or not (folder / "shim.json").exists():
            continue
        return json.loads((folder / "shim.json").read_text())["child_pid"]
    return None


def ledger_lines(daemon, job):
    """Records that are on file."""
    path = pathlib.Path(daemon.folder) / "jobs" / job / "outputs" / "output.jsonl-async"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_ten_kills_of_worker_and_daemon_lose_nothing_and_repeat_little(daemon, mock, data):
    count, in_flight, kills = 5000, 64, 10
    chance = random.Random(5)
    server = mock("--delay", "0.05")
    body = spec(server.url, data(count), concurrency=in_flight, adaptive=False, retry={"limit": 20, "delay": "0s"})
    answer = daemon.submit(body).json
    job = answer["jobs"][0]["id"]
    moments = sorted(chance.sample(range(100, count - 500), kills))
    worker_kills = 0
    for turn, moment in enumerate(moments):
        wait_until(lambda moment=moment: ledger_lines(daemon, job) >= moment, f"{moment} records")
        if turn % 2:
            daemon.restart()
            continue
        pid = wait_until(lambda: worker_of(daemon, job), "a worker")
        os.kill(pid, signal.SIGKILL)
        worker_kills += 1
    view = daemon.finished(answer["id"])["jobs"]["gen"]
    assert view["state"] == "succeeded", view["message"]
    assert [record["id"] for record in records(daemon, view)] == list(range(count))
    assert len(view["attempts"]) == worker_kills + 1
    seen = generations(daemon, job)
    assert (seen["done"], seen["failed"], seen["passes"][0]["state"]) == (count, 0, "complete")
    stats = server.stats()
    print(f"{stats['repeated']} of {count} requests were asked twice in {worker_kills} kills of the worker and {kills - worker_kills} of the daemon")
    assert stats["different"] == count and stats["repeated"] <= worker_kills * in_flight
    text = daemon.logs(job).decode()
    assert re.search(r"[1-9]\d* of 5000 generations are there from an earlier attempt", text)
