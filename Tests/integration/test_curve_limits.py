"""The limits on what is measured and asked for (ServiceLimits.swift), each at the limit and one past it."""

import json
import urllib.parse

import pytest

from conftest import script, shell

JSON = {"Content-Type": "application/json"}
#: trackingRequestBytesMax
REQUEST = 4 * 1024 * 1024
#: pointsPerBatchMax
POINTS = 50_000
#: artifactBytesMax
ARTIFACT = 64 * 1024 * 1024
#: webhooksMax
WEBHOOKS = 100
#: curvesMax
CURVES = 1000
#: runsPerJobMax
RUNS = 1000
#: curveJobsMax
JOBS = 200


@pytest.fixture(scope="module")
def job(shared_daemon):
    """A job that runs as long as the tests do."""
    return shared_daemon.submit({"name": "hold", "jobs": {"a": shell("sleep 3600")}}).json["jobs"][0]["id"]


def log(daemon, job, points, size=0):
    return daemon.post(f"/v1/jobs/{job}/metrics", json.dumps({"points": points}).encode().ljust(size), **JSON)


def test_request_bytes(shared_daemon, job):
    shared_daemon.wait_for(job, "running")
    point = [{"key": "k", "step": 1, "value": 1}]
    assert log(shared_daemon, job, point, REQUEST).status == 200
    past = log(shared_daemon, job, point, REQUEST + 1)
    assert past.status == 413 and past.json["code"].endswith("too_large")


def test_points_of_a_batch(shared_daemon, job):
    shared_daemon.wait_for(job, "running")
    points = [{"key": "p", "step": step, "value": 1} for step in range(POINTS + 1)]
    assert log(shared_daemon, job, points[:POINTS]).json == {"added": POINTS, "known": 0}
    past = log(shared_daemon, job, points)
    assert past.status == 413 and str(POINTS) in past.json["detail"]
    assert len(shared_daemon.get(f"/v1/jobs/{job}/metrics?key=p&layout=columns").json["steps"]) == POINTS


def test_curves_and_jobs_of_a_request(shared_daemon, job):
    shared_daemon.wait_for(job, "running")
    assert log(shared_daemon, job, [{"key": f"many/{n}", "step": 1, "value": n} for n in range(CURVES)]).status == 200
    ask = lambda keys: shared_daemon.get(f"/v1/metrics?job={job}&" + urllib.parse.urlencode([("key", key) for key in keys]))
    assert len(ask(["many/*"]).json["curves"]) == CURVES
    past = ask(["many/*", "other"])
    assert past.status == 400 and str(CURVES) in past.json["detail"]
    jobs = lambda count: shared_daemon.get("/v1/metrics?key=other&" + f"job={job}&" * count)
    assert jobs(JOBS).status == 200 and jobs(JOBS + 1).status == 400


def test_artifact_bytes(shared_daemon, job):
    shared_daemon.wait_for(job, "running")
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{job}/artifacts/model.bin"
    body = bytes(ARTIFACT + 1)
    assert shared_daemon.request("PUT", path, body[:ARTIFACT]).status == 200
    assert len(shared_daemon.get(path).body) == ARTIFACT
    assert shared_daemon.request("PUT", path, body).status == 413
    assert len(shared_daemon.get(path).body) == ARTIFACT


def test_webhooks(shared_daemon):
    make = lambda number: shared_daemon.post("/v1/webhooks", json.dumps({"url": f"https://example.org/{number}"}).encode(), **JSON).status
    assert {make(number) for number in range(WEBHOOKS)} == {201}
    assert make(WEBHOOKS) == 409


def test_runs_of_a_job(shared_daemon):
    ended = shared_daemon.run({"name": "runs", "jobs": {"a": script("many_runs.py", str(RUNS + 1))}})
    log = shared_daemon.get(f"/v1/jobs/{ended['jobs']['a']['id']}/logs?stream=stdout").body
    assert json.loads(log) == {"200": RUNS, "429": 1}
