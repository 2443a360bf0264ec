"""Curves in every form that the contract describes, read by it alone."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import struct

import contract
import pytest

#: What the seeds' worker wrote under `train/loss`, by step.
LOSSES = [3.0, 2.0, math.nan, 1.0]


def number(value: float | str) -> float:
    """A value as JSON has it."""
    return float(value)


def binary(content: bytes) -> tuple[dict, list[list[tuple[float, ...]]]]:
    """The header, and for each curve its steps, times and values."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    offset, curves = 8 + length, []
    for curve in header["curves"]:
        columns = []
        for _ in range(3):
            columns.append(struct.unpack_from(f"<{curve['count']}d", content, offset))
            offset += 8 * curve["count"]
        curves.append(columns)
    assert offset == len(content)
    return header, curves


def same(values, expected) -> bool:
    """Equal numbers, where NaN is equal to itself."""
    return [repr(float(value)) for value in values] == [repr(float(value)) for value in expected]


def test_every_form_tells_the_same_points(daemon, seeds):
    path = f"/v1/jobs/{seeds.job}/metrics?key=train/loss"
    curve = daemon.call("GET", path)[1]
    assert same([number(point["value"]) for point in curve["points"]], LOSSES)
    steps, times = [point["step"] for point in curve["points"]], [point["time"] for point in curve["points"]]
    columns = daemon.call("GET", path + "&layout=columns")[1]
    assert (columns["count"], columns["steps"], columns["times"]) == (len(LOSSES), steps, times)
    assert same([number(value) for value in columns["values"]], LOSSES)
    lines = [json.loads(line) for line in daemon.call("GET", path, headers={"Accept": "application/x-ndjson"})[1].splitlines()]
    assert [line["step"] for line in lines] == steps and {line["job_id"] for line in lines} == {seeds.job}
    rows = list(csv.DictReader(io.StringIO(daemon.call("GET", path, headers={"Accept": "text/csv"})[1].decode())))
    assert same([row["value"] for row in rows], LOSSES) and [int(row["attempt"]) for row in rows] == columns["attempts"]
    header, ((first, second, third),) = binary(daemon.call("GET", path, headers={"Accept": "application/vnd.anneal.curves"})[1])
    assert (list(first), list(second)) == (steps, times) and same(third, LOSSES)
    assert sum(count for _, count in header["curves"][0]["attempts"]) == len(LOSSES)


def test_patterns_and_ranges_choose_what_the_contract_says(daemon, seeds):
    found = daemon.call("GET", f"/v1/metrics?experiment={seeds.experiment}&key=train/*&from=0.5&to=2.5")[1]
    assert {curve["job_id"] for curve in found["curves"]} >= {seeds.job}
    assert all([point["step"] for point in curve["points"]] == [1, 2] for curve in found["curves"])
    path = f"/v1/jobs/{seeds.job}/metrics"
    second = daemon.call("GET", f"{path}?key=train/loss")[1]["points"][1]
    exact = daemon.call("GET", f"{path}?key=train/loss&by=time&from={second['time']}&to={second['time']}")[1]["points"]
    assert second in exact
    assert daemon.call("GET", f"{path}?key=train/loss&from=3&to=2")[0] == 400
    for layout in ("points", "columns"):
        empty = daemon.call("GET", f"{path}?key=train/loss&from=1000&layout={layout}")[1]
        validator("Curve" if layout == "points" else "CurveColumns").validate(empty)
        assert empty.get("points", empty.get("steps")) == []
    assert daemon.call("GET", f"{path}?key=nothing")[0] == 404 and daemon.call("GET", f"{path}?key=nothing*")[1]["curves"] == []
    assert daemon.call("GET", "/v1/metrics?key=*")[0] == 400


def test_a_batch_is_taken_whole_once_or_not_at_all(daemon, seeds):
    path = f"/v1/jobs/{seeds.failed_job}/metrics"
    batch = {"series": [{"key": "eval/x", "steps": [1, 2], "times": [1.5, 2.5], "values": [1, "Infinity"]}]}
    assert daemon.call("POST", path, batch)[1] == {"added": 2, "known": 0}
    assert daemon.call("POST", path, batch)[1] == {"added": 0, "known": 2}
    bad = {"points": [{"key": "eval/y", "step": 1, "value": 1}, {"key": "eval/y", "step": -1, "value": 1}]}
    status, problem = daemon.call("POST", path, bad)
    assert status == 400 and problem["errors"][0]["pointer"] == "/points/1"
    assert daemon.call("GET", path + "?key=eval/y")[0] == 404


def test_an_idempotency_key_belongs_to_one_batch(daemon, seeds):
    path, key = f"/v1/jobs/{seeds.failed_job}/metrics", {"Idempotency-Key": "batch-1"}
    first, second = ({"points": [{"key": "eval/z", "step": step, "time": 1, "value": 1}]} for step in (1, 2))
    assert daemon.call("POST", path, first, key)[1] == daemon.call("POST", path, first, key)[1] == {"added": 1, "known": 0}
    status, problem = daemon.call("POST", path, second, key)
    assert (status, problem["code"]) == (422, "idempotency_mismatch")


def test_a_stream_goes_on_after_every_id_that_it_gave(daemon, seeds):
    """From each id on comes what followed it, and nothing twice."""
    path = f"/v1/stream?job={seeds.job}"
    frames = events(daemon.call("GET", path)[1])
    assert frames[-1]["event"] == "end" and any(frame["event"] == "metric" for frame in frames)
    for index, frame in enumerate(frames):
        if "id" in frame:
            validator("StreamPosition").validate(frame["id"])
            rest = events(daemon.call("GET", path + "&after=" + frame["id"])[1])
            assert [one.get("id") for one in rest] == [one.get("id") for one in frames[index + 1 :]]


def test_events_have_the_shapes_of_the_contract(daemon, seeds):
    shapes = {"state": "StateEventData", "metric": "MetricEventData", "checkpoint": "CheckpointEventData", "evaluation": "EvaluationEventData"}
    lines = daemon.call("GET", f"/v1/stream?experiment={seeds.experiment}", headers={"Accept": "application/x-ndjson"})[1].splitlines()
    told = [json.loads(line) for line in lines]
    assert {event["type"] for event in told} == {*shapes, "end"}
    for event in told:
        validator("StreamEvent").validate(event)
        if event["type"] in shapes:
            validator(shapes[event["type"]]).validate(event["data"])
    log = events(daemon.call("GET", f"/v1/jobs/{seeds.job}/logs", headers={"Accept": "text/event-stream"})[1])
    assert [frame["event"] for frame in log] == ["log", "end"]
    validator("LogEventData").validate(json.loads(log[0]["data"]))


@functools.cache
def validator(name: str):
    """Judges by a schema of the contract."""
    library = pytest.importorskip("jsonschema_rs", reason="jsonschema_rs is not installed")
    return library.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": contract.load()["components"]})


def events(content: bytes) -> list[dict[str, str]]:
    """Server-sent events as their fields."""
    frames = [frame for frame in content.decode().split("\n\n") if frame and not frame.startswith(":")]
    return [dict(line.split(": ", 1) for line in frame.splitlines()) for frame in frames]
