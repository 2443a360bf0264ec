"""What the contract says of the foreign protocols: how they end up in a job, and what they refuse."""

from __future__ import annotations

import json

BASE = "/api/2.0/mlflow/"


def post(daemon, path: str, **fields) -> tuple[int, dict]:
    """A request of MLflow's clients."""
    return daemon.call("POST", BASE + path, fields)


def test_what_mlflow_logs_is_the_jobs(daemon, seeds):
    metrics = [{"key": "ml/loss", "value": value, "timestamp": 1000 + step, "step": step} for step, value in enumerate([2.5, "NaN", 1.5])]
    params = [{"key": "lr", "value": "0.1"}]
    assert post(daemon, "runs/log-batch", run_id=seeds.failed_job, metrics=metrics, params=params)[0] == 200
    history = daemon.call("GET", f"{BASE}metrics/get-history?run_id={seeds.failed_job}&metric_key=ml/loss")[1]["metrics"]
    assert [(point["step"], point["value"]) for point in history] == [(0, 2.5), (1, "NaN"), (2, 1.5)]
    curve = daemon.call("GET", f"/v1/jobs/{seeds.failed_job}/metrics?key=ml/loss")[1]
    assert curve["source"] == "mlflow" and [point["value"] for point in curve["points"]] == [2.5, "NaN", 1.5]
    run = daemon.call("GET", f"{BASE}runs/get?run_id={seeds.failed_job}")[1]["run"]
    assert run["info"]["experiment_id"] == seeds.experiment and run["data"]["params"] == params
    found = post(daemon, "runs/search", experiment_ids=[seeds.experiment], filter="params.lr = '0.1'")[1]["runs"]
    assert [one["info"]["run_id"] for one in found] == [seeds.failed_job]


def test_refusals_are_in_the_form_of_mlflow(daemon, seeds):
    status, problem = post(daemon, "experiments/create", name="mine")
    assert (status, problem["error_code"]) == (403, "PERMISSION_DENIED")
    status, problem = post(daemon, "runs/delete", run_id=seeds.failed_job)
    assert (status, problem["error_code"]) == (400, "INVALID_STATE")
    status, problem = daemon.call("GET", BASE + "runs/get?run_id=job_none")
    assert (status, problem["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert post(daemon, "runs/set-tag", run_id=seeds.job, key="twice", value="a")[0] == 200
    post(daemon, "runs/log-parameter", run_id=seeds.job, key="fixed", value="1")
    status, problem = post(daemon, "runs/log-parameter", run_id=seeds.job, key="fixed", value="2")
    assert (status, problem["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_artifacts_come_back_as_they_were_sent(daemon, seeds):
    path = f"/api/2.0/mlflow-artifacts/artifacts/{seeds.experiment}/{seeds.job}/artifacts/notes/a.bin"
    content = bytes(range(256))
    assert daemon.call("PUT", path, content, {"Content-Type": "application/octet-stream"})[0] == 200
    assert daemon.call("GET", path) == (200, content)
    listed = daemon.call("GET", f"{BASE}artifacts/list?run_id={seeds.job}&path=notes")[1]["files"]
    assert listed == [{"path": "notes/a.bin", "is_dir": False, "file_size": 256}]
    assert daemon.call("GET", path.replace("notes/a.bin", "..%2F..%2Foutputs.json"))[0] == 400


def test_trackio_and_mlflow_find_their_versions_at_one_address(daemon):
    version = daemon.call("GET", "/version")[1]
    assert (version["api_version"], version["api_transport"]) == (1, "http")
    assert daemon.call("GET", "/version", headers={"User-Agent": "mlflow-python-client/3"})[1] == b"3.0.0"
    assert daemon.call("GET", "/health") == (200, b"OK")
    status, problem = daemon.call("POST", "/api/bulk_log", {"kwargs": {"logs": []}})
    assert (status, problem["code"]) == (403, "forbidden")
    assert daemon.call("POST", "/api/bulk_log", json.dumps([]).encode())[0] == 400
