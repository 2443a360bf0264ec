"""Unmodified trainers: the official clients of TensorBoard, MLflow and trackio, and what a trainer prints, end in the job's curves."""

import json
import math

import mlflow
import pytest
from mlflow.entities import Metric

from conftest import script, shell

#: metricsPerBatchMax of TrackingLimits, as in mlflow/utils/validation.py.
METRICS_PER_BATCH = 1000
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
    # A daemon that is gone fails a test; it is not waited for.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def keys_of(daemon, job):
    """What a job has measured, by key."""
    return {key["key"]: key for key in daemon.get(f"/v1/jobs/{job}/metrics").json["keys"]}


def steps_of(daemon, job, key):
    """The steps of a job's curve."""
    return [point["step"] for point in daemon.curve(job, key)]


# TensorBoard


def test_event_files_become_curves_and_what_is_damaged_is_counted(shared_daemon):
    ended = shared_daemon.run({"name": "board", "jobs": {"a": script("board_writer.py")}})
    assert ended["state"] == "succeeded", shared_daemon.logs(ended["jobs"]["a"]["id"])
    job = ended["jobs"]["a"]["id"]
    keys = keys_of(shared_daemon, job)
    assert {"train/loss", "a/b/c", "spoiled/loss", "torn/loss"} <= keys.keys()
    assert {key["source"] for key in keys.values()} == {"tensorboard"}
    # Both starts of the writer are one curve.
    points = shared_daemon.curve(job, "train/loss")
    assert [point["step"] for point in points] == list(range(1, 151)) and {point["attempt"] for point in points} == {1}
    assert all(math.isclose(point["value"], 2 / point["step"], rel_tol=1e-6) for point in points)
    assert [point["value"] for point in shared_daemon.curve(job, "a/b/c")] == ["NaN"]
    assert [shared_daemon.curve(job, f"{split}/epoch_loss")[0]["value"] for split in ("train", "validation")] == [1.0, 2.0]
    # Records after damage are found again; of the torn one nothing is taken.
    assert steps_of(shared_daemon, job, "spoiled/loss") == [step for step in range(1, 21) if step not in (5, 10)]
    assert steps_of(shared_daemon, job, "torn/loss") == list(range(1, 10))
    assert shared_daemon.get(f"/v1/jobs/{job}/metrics").json["dropped"] == 2


# MLflow


@pytest.fixture(scope="module")
def tracked(shared_daemon):
    """A job of two attempts that logged with MLflow's client, and what it printed."""
    answer = shared_daemon.post("/v1/datasets?name=numbers", b'{"input": "1", "output": "2"}\n', **{"Content-Type": "application/x-ndjson"})
    assert answer.status == 201, answer.body
    spec = {"name": "tracked", "env": QUIET, "jobs": {"a": script("mlflow_client.py", retry={"limit": 1, "delay": "0s"})}}
    job = shared_daemon.run(spec)["jobs"]["a"]
    assert job["state"] == "succeeded", shared_daemon.logs(job["id"])
    said = [attempt_log(shared_daemon, job["id"], number) for number in (1, 2)]
    return job, {line["what"]: line["code"] for lines in said for line in lines}


def attempt_log(daemon, job, number):
    """The JSON lines that an attempt printed."""
    lines = daemon.logs(job, f"?stream=stdout&attempt={number}").splitlines()
    return [json.loads(line) for line in lines if line.startswith(b"{")]


@pytest.fixture
def client(shared_daemon, monkeypatch):
    """MLflow's client of a user, outside of any job."""
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    return mlflow.MlflowClient(tracking_uri=shared_daemon.url)


def test_a_parameter_may_not_change_within_an_attempt_and_may_with_the_next(tracked, client):
    job, codes = tracked
    assert codes["the same value again"] is None and codes["another value"] == "INVALID_PARAMETER_VALUE"
    assert codes["another value in another attempt"] is None
    run = client.get_run(job["id"])
    assert run.data.params == {"lr": "0.2", "optimizer": "adamw", "epochs": "3"}


def test_tags_and_inputs_are_kept(shared_daemon, tracked, client):
    job, _ = tracked
    run = client.get_run(job["id"])
    assert run.data.tags["team"] == "alignment" and run.data.tags["stage"] == "two" and "gone" not in run.data.tags
    inputs = run.inputs.dataset_inputs
    assert [one.dataset.name for one in inputs] == ["numbers@1"]
    assert [(tag.key, tag.value) for tag in inputs[0].tags] == [("mlflow.data.context", "training")]
    # The name is that of a registered dataset, which thereby is what the job was made from.
    dataset = shared_daemon.get("/v1/datasets/numbers@1").json["id"]
    assert dataset in json.dumps(shared_daemon.get(f"/v1/lineage/{job['id']}").json)


def test_the_history_is_one_curve_over_both_attempts(shared_daemon, tracked, client):
    job, _ = tracked
    history = client.get_metric_history(job["id"], "train/loss")
    assert [metric.step for metric in history] == list(range(1, 2521))
    assert all(metric.value == 1 / metric.step for metric in history)
    points = shared_daemon.curve(job["id"], "train/loss")
    assert [(point["step"], point["attempt"]) for point in points] == [(step, 1 if step <= 20 else 2) for step in range(1, 2521)]
    assert keys_of(shared_daemon, job["id"])["train/loss"]["source"] == "mlflow"


def test_numbers_that_are_none_come_back(tracked, client):
    job, _ = tracked
    metrics = client.get_run(job["id"]).data.metrics
    assert math.isnan(metrics["odd/nan"]) and metrics["odd/inf"] == math.inf and metrics["odd/minus"] == -math.inf
    assert client.get_metric_history(job["id"], "odd/minus")[0].value == -math.inf


def test_what_the_client_says_of_the_end_is_a_hint(tracked, client):
    job, _ = tracked
    run = client.get_run(job["id"])
    assert job["state"] == "succeeded" and [attempt["exit_code"] for attempt in job["attempts"]] == [75, 0]
    assert run.info.status == "FINISHED" and run.data.tags["anneal.client_status"] == "FAILED"


def test_runs_are_searched(tracked, client):
    job, _ = tracked
    experiment = client.get_experiment_by_name("tracked").experiment_id
    names = lambda condition: sorted(run.info.run_name for run in client.search_runs([experiment], condition))
    assert names("") == ["a", "child"]
    assert names("metrics.`train/loss` < 0.001 and params.optimizer = 'adamw' and tags.team LIKE 'align%'") == ["a"]
    assert names("metrics.depth >= 2") == ["child"]
    assert names("params.lr = '0.1'") == [] and names("attributes.run_name IN ('child', 'x')") == ["child"]
    for order, expected in (("attributes.run_name ASC", ["a", "child"]), ("attributes.run_name DESC", ["child", "a"])):
        first = client.search_runs([experiment], order_by=[order], max_results=1)
        second = client.search_runs([experiment], order_by=[order], max_results=1, page_token=first.token)
        assert [run.info.run_name for run in (*first, *second)] == expected and not second.token
    with pytest.raises(mlflow.MlflowException) as refused:
        client.search_runs([experiment], "metrics.depth ~ 2")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_run_beside_the_jobs_own_has_curves_of_its_own(shared_daemon, tracked, client):
    job, _ = tracked
    assert steps_of(shared_daemon, job["id"], "child/depth") == [2522]
    assert "child/depth" not in client.get_run(job["id"]).data.metrics and "depth" not in client.get_run(job["id"]).data.metrics


def test_a_batch_that_is_too_large_is_refused_as_mlflow_refuses_it(shared_daemon, tracked):
    job, codes = tracked
    metric = lambda step: {"key": "bulk", "value": 1.0, "timestamp": 1_700_000_000_000, "step": step}

    def send(count):
        body = {"run_id": job["id"], "metrics": [metric(step) for step in range(count)]}
        return shared_daemon.post("/api/2.0/mlflow/runs/log-batch", json.dumps(body).encode(), **{"Content-Type": "application/json"})

    refused = send(METRICS_PER_BATCH + 1)
    assert refused.status == 400 and refused.json["error_code"] == "INVALID_PARAMETER_VALUE"
    assert "at most 1000" in refused.json["message"] and "Got 1001" in refused.json["message"]
    assert "bulk" not in keys_of(shared_daemon, job["id"])
    assert send(METRICS_PER_BATCH).status == 200 and len(steps_of(shared_daemon, job["id"], "bulk")) == METRICS_PER_BATCH
    assert codes["a key of 10 kB"] == "INVALID_PARAMETER_VALUE"


def test_a_run_that_is_not_there_is_said_so_as_mlflow_says_it(client):
    with pytest.raises(mlflow.MlflowException) as missing:
        client.get_run("job_none")
    assert missing.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(mlflow.MlflowException) as refused:
        client.create_run("0")
    assert refused.value.error_code == "PERMISSION_DENIED"


def test_an_end_that_was_claimed_does_not_outweigh_the_exit_code(shared_daemon):
    text = (
        'curl -sf -H "Authorization: Bearer $MLFLOW_TRACKING_TOKEN" -H "Content-Type: application/json" '
        '-d "{\\"run_id\\": \\"$MLFLOW_RUN_ID\\", \\"status\\": \\"FINISHED\\"}" $MLFLOW_TRACKING_URI/api/2.0/mlflow/runs/update; exit 3'
    )
    job = shared_daemon.run({"name": "claims", "jobs": {"a": shell(text, retry=0)}})["jobs"]["a"]
    assert job["state"] == "failed" and job["attempts"][0]["exit_code"] == 3


def test_a_token_writes_to_the_runs_of_its_own_job_only(shared_daemon, tracked):
    job, _ = tracked
    text = (
        'curl -s -H "Authorization: Bearer $ANNEAL_TOKEN" -H "Content-Type: application/json" '
        f'-d \'{{"run_id": "{job["id"]}", "key": "x", "value": "1"}}\' $ANNEAL_URL/api/2.0/mlflow/runs/set-tag'
    )
    other = shared_daemon.run({"name": "other", "jobs": {"a": shell(text)}})["jobs"]["a"]
    assert json.loads(shared_daemon.logs(other["id"], "?stream=stdout"))["error_code"] == "PERMISSION_DENIED"


def test_a_user_may_add_to_a_run_that_has_ended(shared_daemon, tracked, client):
    job, _ = tracked
    client.log_batch(job["id"], [Metric("late", 1.5, 1_700_000_000_000, 9000)])
    assert [(point["step"], point["value"], point["attempt"]) for point in shared_daemon.curve(job["id"], "late")] == [(9000, 1.5, 2)]


# trackio


def test_trackio_logs_and_alerts(shared_daemon):
    answer = shared_daemon.submit({"name": "trackio", "env": QUIET, "jobs": {"a": script("trackio_client.py")}})
    job = shared_daemon.finished(answer.json["id"])["jobs"]["a"]
    assert job["state"] == "succeeded", shared_daemon.logs(job["id"])
    keys = keys_of(shared_daemon, job["id"])
    assert keys["train/loss"]["source"] == "trackio" and keys["train/loss"]["count"] == 20
    assert steps_of(shared_daemon, job["id"], "nested/deep") == list(range(20))
    assert {point["value"] for point in shared_daemon.curve(job["id"], "odd")} == {"NaN"}
    events = shared_daemon.get(f"/v1/stream?job={job['id']}&types=alert", Accept="application/x-ndjson").body.splitlines()
    alerts = [json.loads(line)["data"] for line in events if json.loads(line)["type"] == "alert"]
    assert [(alert["title"], alert["text"], alert["level"]) for alert in alerts] == [("loss is high", "it was 1.0 at step 0", "warn")]
    params = shared_daemon.get(f"/api/2.0/mlflow/runs/get?run_id={job['id']}").json["run"]["data"]["params"]
    # trackio adds some of its own.
    assert {"lr": "0.1", "model/layers": "2"}.items() <= {param["key"]: param["value"] for param in params}.items()


# Trainers


@pytest.fixture(scope="module")
def trained(shared_daemon):
    """Two jobs of one script of TRL, one of which reports to MLflow and to TensorBoard, the other to nobody."""
    jobs = {"reports": script("sft.py", "mlflow,tensorboard"), "prints": script("sft.py", "none")}
    answer = shared_daemon.submit({"name": "trl", "env": QUIET, "jobs": jobs})
    assert answer.status == 201, answer.body
    return shared_daemon.finished(answer.json["id"])["jobs"]


@pytest.mark.slow
def test_an_unmodified_trainer_reports_by_mlflow_and_by_event_files(shared_daemon, trained):
    job = trained["reports"]
    assert job["state"] == "succeeded", shared_daemon.logs(job["id"])
    keys = keys_of(shared_daemon, job["id"])
    assert keys["loss"]["source"] == "mlflow" and {"grad_norm", "learning_rate"} <= keys.keys()
    assert keys["train/loss"]["source"] == "tensorboard"
    # The callback of transformers calls in event files by another name what it tells MLflow.
    curves = [shared_daemon.curve(job["id"], key) for key in ("loss", "train/loss")]
    for points in curves:
        assert [(point["step"], point["attempt"]) for point in points] == [(step, 1) for step in range(1, 7)]
        assert all(0 < point["value"] < 10 for point in points)
    assert all(math.isclose(one["value"], other["value"], rel_tol=1e-6) for one, other in zip(*curves, strict=True))


@pytest.mark.slow
def test_of_a_trainer_that_reports_to_nobody_the_printed_numbers_are_taken(shared_daemon, trained):
    job = trained["prints"]
    assert job["state"] == "succeeded", shared_daemon.logs(job["id"])
    assert keys_of(shared_daemon, job["id"])["loss"]["source"] == "log"
    assert steps_of(shared_daemon, job["id"], "loss") == list(range(1, 7))
    printed = [line for line in shared_daemon.logs(job["id"], "?stream=stdout").decode().splitlines() if "'loss'" in line]
    assert len(printed) == 6


# Artifacts


def test_artifacts_go_up_and_down(tracked, client, tmp_path):
    job, _ = tracked
    client.log_text(job["id"], "from outside", "notes/outside.txt")
    assert [file.path for file in client.list_artifacts(job["id"])] == ["notes"]
    files = {file.path: file.file_size for file in client.list_artifacts(job["id"], "notes")}
    assert files == {"notes/hello.txt": len("hello from the job"), "notes/outside.txt": len("from outside")}
    for name, text in (("hello", "hello from the job"), ("outside", "from outside")):
        path = client.download_artifacts(job["id"], f"notes/{name}.txt", str(tmp_path))
        with open(path) as file:
            assert file.read() == text


def test_an_address_of_artifacts_without_a_path_does_no_harm(daemon):
    """MLflow's client asks there, with the path in the query, for what a folder holds."""
    job = daemon.run({"name": "t", "jobs": {"a": shell("mkdir -p artifacts/notes; printf hello > artifacts/notes/x.txt")}})["jobs"]["a"]
    base = "/api/2.0/mlflow-artifacts/artifacts"
    found = daemon.get(f"{base}?path={job['experiment_id']}/{job['id']}/artifacts/notes")
    assert found.status == 200 and found.json["files"] == [{"path": "x.txt", "is_dir": False, "file_size": 5}]
    assert daemon.get(base).status in (400, 404) and daemon.get(f"{base}?path=../../x").status in (400, 404)
    assert daemon.get("/assets").status == 404 and daemon.get("/healthz").status == 200
