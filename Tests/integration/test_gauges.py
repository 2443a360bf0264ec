"""Figures of the daemon and its devices: Prometheus' text, readings of GPUs that say when they are made up, and GPU time."""

import datetime
import json
import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import Daemon, shell, wait_until


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A daemon with two simulated GPUs that are read each second."""
    folder = tmp_path_factory.mktemp("gauges")
    (folder / "config.yaml").write_text("sample_interval: 1s\n")
    daemon = Daemon(folder / "data", "--gpus", "sim:2", "--cpus", "2", "--config", str(folder / "config.yaml")).start()
    yield daemon
    daemon.clean_up()


@pytest.fixture(scope="module")
def busy(machine, tmp_path_factory):
    """A job that holds both GPUs while the devices are looked at, and what was seen meanwhile."""
    gate = tmp_path_factory.mktemp("gate") / "go"
    job = shell(f"while ! test -e '{gate}'; do sleep 0.02; done", resources={"gpus": 2})
    answer = machine.submit({"name": "t", "project": "gauged", "jobs": {"a": job}})
    identifier = answer.json["jobs"][0]["id"]
    machine.wait_for(identifier, "running")
    wait_until(lambda: families(machine)["anneal_gpu_utilization_ratio"].samples[0].labels["job"] == identifier, "a reading under the job")
    first = len(machine.get("/v1/gpus/metrics").json["host"]["times"])
    wait_until(lambda: len(machine.get("/v1/gpus/metrics").json["host"]["times"]) >= first + 2, "two readings")
    # The daemon puts them down to the job every ten seconds.
    wait_until(lambda: machine.get(f"/v1/jobs/{identifier}/metrics").json["keys"], "a reading among the job's metrics")
    seen = families(machine), machine.get("/v1/gpus/metrics?seconds=60").json, machine.get("/v1/usage").json
    gate.touch()
    return machine.finished(answer.json["id"])["jobs"]["a"], *seen


def families(daemon):
    """The metrics that a scrape finds, by name, as Prometheus' own parser reads them."""
    answer = daemon.get("/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = list(text_string_to_metric_families(answer.body.decode()))
    assert len({family.name for family in found}) == len(found), "a family stands twice"
    return {family.name: family for family in found}


def seconds(job):
    """How long the only attempt of a job ran."""
    (attempt,) = job["attempts"]
    start, end = (datetime.datetime.fromisoformat(attempt[name]) for name in ("started_at", "finished_at"))
    return (end - start).total_seconds()


def test_a_scrape_is_read_by_prometheus_own_parser(busy):
    _, scraped, _, _ = busy
    assert all(family.documentation and family.type in ("gauge", "counter") for family in scraped.values())
    jobs = {sample.labels["state"]: sample.value for sample in scraped["anneal_jobs"].samples}
    assert jobs["running"] == 1 and jobs["failed"] == 0
    assert {sample.labels["state"]: sample.value for sample in scraped["anneal_gpus"].samples} == {"held": 2, "free": 0}
    values = [sample.value for family in scraped.values() for sample in family.samples]
    assert all(math.isfinite(value) and value >= 0 for value in values)
    assert scraped["anneal_events"].samples[0].value > 0 and scraped["anneal_resident_bytes"].samples[0].value > 1e6


def test_devices_that_do_not_exist_are_labelled_as_simulated(busy):
    job, scraped, history, _ = busy
    devices = {name: family for name, family in scraped.items() if name.startswith(("anneal_gpu_", "ray_node_g"))}
    assert {"anneal_gpu_utilization_ratio", "anneal_gpu_memory_used_bytes", "ray_node_gpus_utilization", "ray_node_gram_used"} <= devices.keys()
    for name, family in devices.items():
        assert {(sample.labels["simulated"], sample.labels["job"]) for sample in family.samples} == {("true", job["id"])}, name
        assert len({sample.labels["uuid"] for sample in family.samples}) == 2, name
    assert [(gpu["index"], gpu["simulated"]) for gpu in history["gpus"]] == [(0, True), (1, True)]
    for gpu in history["gpus"]:
        columns = [gpu[name] for name in ("times", "utilization", "memory_bytes", "power_watts", "temperature_celsius")]
        assert len({len(column) for column in columns}) == 1 and len(gpu["times"]) >= 3 and gpu["times"] == sorted(gpu["times"])
        assert all(0 <= value <= 1 for value in gpu["utilization"] if value is not None)
    host = history["host"]
    assert len(host["times"]) == len(host["cpu"]) == len(host["memory_bytes"]) and all(value > 0 for value in host["memory_bytes"])


def test_readings_go_back_as_far_as_asked(machine, busy):
    assert len(machine.get("/v1/gpus/metrics?seconds=1").json["host"]["times"]) <= 2
    assert machine.get("/v1/gpus/metrics?seconds=0").status == 400 and machine.get("/v1/gpus/metrics?seconds=3601").status == 400


def test_gpu_time_is_counted_by_project_experiment_and_job(machine, busy):
    job, _, _, meanwhile = busy
    assert meanwhile["data"][0]["name"] == "gauged" and meanwhile["data"][0]["gpu_hours"] > 0
    held = 2 * seconds(job)
    for by, name in (("project", "gauged"), ("experiment", job["experiment_id"]), ("job", job["id"])):
        usage = machine.get(f"/v1/usage?by={by}").json
        row = next(row for row in usage["data"] if row["name"] == name)
        assert usage["by"] == by and row["attempts"] == 1
        assert row["gpu_hours"] * 3600 == pytest.approx(held, abs=0.01)
        assert 0 <= row["idle_gpu_hours"] <= row["gpu_hours"] * 1.5
    assert machine.get("/v1/usage?since=2100-01-01T00:00:00Z").json["data"] == []
    assert machine.get("/v1/usage?by=colour").status == 400 and machine.get("/v1/usage?since=yesterday").status == 400


def test_a_share_of_a_gpu_counts_as_a_part(machine, busy):
    job = machine.run({"name": "half", "jobs": {"a": shell("sleep 0.5", resources={"gpus": 0.5})}})["jobs"]["a"]
    row = next(row for row in machine.get("/v1/usage?by=job").json["data"] if row["name"] == job["id"])
    assert row["gpu_hours"] * 3600 == pytest.approx(seconds(job) / 2, abs=0.01)


def test_the_readings_of_its_devices_are_metrics_of_the_job(machine, busy):
    job, *_ = busy
    keys = {key["key"]: key for key in machine.get(f"/v1/jobs/{job['id']}/metrics").json["keys"]}
    print(sorted(keys))
    assert all(f"ray/node.0.gpu.{index}.util" in keys for index in (0, 1)), sorted(keys)
