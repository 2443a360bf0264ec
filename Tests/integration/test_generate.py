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
    stats = server.stats()
    assert stats["different"] == count and stats["repeated"] <= worker_kills * in_flight
    text = daemon.logs(job).decode()
    assert re.search(r"[1-9]\d* of 5000 generations are there from an earlier attempt", text)
