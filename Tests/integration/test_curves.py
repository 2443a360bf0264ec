"""Curves: many at once, in every format, down-sampled, joined over attempts, and safe from repeats and from the daemon's death."""

import csv
import io
import json
import math
import struct
import threading

import pytest

from conftest import python, shell, wait_until

#: pointsPerBatchMax of ServiceLimits.
BATCH_POINTS = 50_000
#: curveJobsMax of ServiceLimits.
CURVE_JOBS = 200
#: keyBytesMax of TelemetryLimits, stepMax of TelemetryLimits.
KEY_BYTES, STEP = 250, 2**53

#: Writes lines to the metrics file: `write(step, **values)`.
PRELUDE = """
import json, math, os, sys, time
file = open(os.environ["ANNEAL_METRICS"], "a")
def write(step, values, **more):
    file.write(json.dumps({"step": step, "time": 1.7e9 + step, **more, **values}) + "\\n")
    file.flush()
"""
FORMATS = {"csv": "text/csv", "lines": "application/x-ndjson", "binary": "application/vnd.anneal.curves"}


def metered(text, *arguments, **more):
    """A job of Python code that may call `write`."""
    return python(PRELUDE + text, *arguments, **more)


def post_points(daemon, job, body):
    """Sends a batch of points for a job, as a user."""
    return daemon.post(f"/v1/jobs/{job}/metrics", json.dumps(body).encode(), **{"Content-Type": "application/json"})


def number(value):
    """A value of JSON, of which the three that are no numbers come as texts, as a float."""
    return float(value)


def same(left, right):
    """Whether two lists of floats are equal, NaN to NaN."""
    return len(left) == len(right) and all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def seeds(shared_daemon):
    """An experiment of six jobs with three curves each."""
    text = 'seed = int(sys.argv[1])\nfor i in range(1, 101): write(i, {"train/loss": seed + 1 / i, "train/lr": 0.1, "val/loss": float(seed)})'
    jobs = {f"s{seed}": metered(text, str(seed)) for seed in range(6)}
    return shared_daemon.run({"name": "seeds", "jobs": jobs})


def test_curves_of_many_jobs_come_at_once_by_patterns(shared_daemon, seeds):
    jobs = {job["id"]: job["name"] for job in seeds["jobs"].values()}
    found = shared_daemon.get(f"/v1/metrics?experiment={seeds['id']}&key=train/*&key=val/loss").json
    named = {(jobs[curve["job_id"]], curve["key"]): curve for curve in found["curves"]}
    assert named.keys() == {(f"s{seed}", key) for seed in range(6) for key in ("train/loss", "train/lr", "val/loss")}
    assert len(found["curves"]) == len(named) and found["seq"] > 0
    assert [point["value"] for point in named["s3", "train/loss"]["points"]] == [3 + 1 / step for step in range(1, 101)]
    two = [seeds["jobs"][name]["id"] for name in ("s1", "s4")]
    some = shared_daemon.get(f"/v1/metrics?job={two[0]}&job={two[1]}&key=*loss&last=1").json["curves"]
    assert [(curve["job_id"], curve["key"]) for curve in some] == [(job, key) for job in two for key in ("train/loss", "val/loss")]
    assert all([point["step"] for point in curve["points"]] == [100] for curve in some)
    assert shared_daemon.get(f"/v1/metrics?job={two[0]}&key=nothing*").json["curves"] == []


def test_what_cannot_be_asked_for_is_said(shared_daemon, seeds):
    job = seeds["jobs"]["s0"]["id"]
    for query, status in (
        ("key=*", 400), (f"job={job}", 400), ("job=job_none&key=*", 404), ("experiment=exp_none&key=*", 404), (f"job={job}&key=*&points=0", 400),
        (f"job={job}&key=*&source=nobody", 400), (f"job={job}&key=*&layout=circle", 400), (f"job={job}&key=*&from=9&to=3", 400),
        (f"job={job}&key=*&by=mood", 400), ("&".join([f"job={job}"] * (CURVE_JOBS + 1)) + "&key=*", 400),
    ):
        answer = shared_daemon.get(f"/v1/metrics?{query}")
        assert answer.status == status and answer.json["detail"], query[:80]


@pytest.fixture(scope="module")
def odd(shared_daemon):
    """A job with values that are no numbers and keys that are no words, of two attempts."""
    text = """
first = os.environ["ANNEAL_ATTEMPT"] == "1"
for i in range(1, 61) if first else range(51, 101):
    write(i, {"x": math.nan if i == 7 else math.inf if i == 8 else -math.inf if i == 9 else i / 3, 'a,"b"/c d': 1e-300 * i, "=SUM(A1)": 1.0})
sys.exit(75 if first else 0)
"""
    return shared_daemon.run({"name": "odd", "jobs": {"a": metered(text, retry={"limit": 1, "delay": "0s"})}})["jobs"]["a"]


def as_rows(curves):
    """Curves in JSON as rows of (key, step, time, value, attempt)."""
    return [(curve["key"], p["step"], p["time"], number(p["value"]), p["attempt"]) for curve in curves for p in curve["points"]]


def unpack(body):
    """Decodes the binary format: a header's length, the header, and for each curve its steps, times and values as doubles."""
    (length,) = struct.unpack_from("<Q", body)
    header, place, rows = json.loads(body[8 : 8 + length]), 8 + length, []
    assert place % 8 == 0
    for curve in header["curves"]:
        count = curve["count"]
        steps, times, values = (struct.unpack_from(f"<{count}d", body, place + part * 8 * count) for part in range(3))
        place += 3 * 8 * count
        attempts = [number for number, times in curve["attempts"] for _ in range(times)]
        rows += zip([curve["key"]] * count, map(int, steps), times, values, attempts, strict=True)
    assert place == len(body)
    return rows


def test_every_format_tells_the_same(shared_daemon, odd):
    path = f"/v1/metrics?job={odd['id']}&key=*"
    rows = as_rows(shared_daemon.get(path).json["curves"])
    assert len(rows) == 300 and {row[0] for row in rows} == {"x", 'a,"b"/c d', "=SUM(A1)"}
    expect = [math.nan, math.inf, -math.inf]
    assert same([row[3] for row in rows if row[0] == "x" and row[1] in (7, 8, 9)], expect)

    def agrees(others):
        return [row[:3] + row[4:] for row in others] == [row[:3] + row[4:] for row in rows] and same([r[3] for r in others], [r[3] for r in rows])

    lines = [json.loads(line) for line in shared_daemon.get(path, Accept=FORMATS["lines"]).body.splitlines()]
    assert agrees([(line["key"], line["step"], line["time"], number(line["value"]), line["attempt"]) for line in lines])
    columns = shared_daemon.get(path + "&layout=columns").json["curves"]
    assert agrees([row for c in columns for row in zip([c["key"]] * c["count"], c["steps"], c["times"], map(number, c["values"]), c["attempts"], strict=True)])
    answer = shared_daemon.get(path, Accept=FORMATS["binary"])
    assert answer.headers["Content-Type"] == FORMATS["binary"] and agrees(unpack(answer.body))
    table = list(csv.DictReader(io.StringIO(shared_daemon.get(path, Accept=FORMATS["csv"]).body.decode(), newline="")))
    assert list(table[0]) == ["job_id", "key", "step", "time", "value", "attempt"]
    # A spreadsheet must not take a key for a formula.
    plain = [(row["key"].removeprefix("'"), int(row["step"]), float(row["time"]), float(row["value"]), int(row["attempt"])) for row in table]
    assert agrees(plain) and {row["key"] for row in table} == {"x", 'a,"b"/c d', "'=SUM(A1)"}


def test_a_resumed_attempt_goes_on_with_the_curve(shared_daemon, odd):
    points = shared_daemon.curve(odd["id"], "x")
    assert [(point["step"], point["attempt"]) for point in points] == [(step, 1 if step <= 50 else 2) for step in range(1, 101)]
    alone = shared_daemon.get(f"/v1/jobs/{odd['id']}/metrics?key=x&attempt=1").json["points"]
    assert [point["step"] for point in alone] == list(range(1, 61))
    summary = {key["key"]: key for key in shared_daemon.get(f"/v1/jobs/{odd['id']}/metrics").json["keys"]}["x"]
    assert (summary["first_step"], summary["last_step"], summary["count"]) == (1, 100, 100)


def test_a_number_that_names_no_step_takes_nothing_from_other_curves(shared_daemon):
    """MLflow's log_metric without a step means step 0; that the second attempt says so of one key says nothing of another."""
    text = """
first = os.environ["ANNEAL_ATTEMPT"] == "1"
for i in range(1, 61) if first else range(51, 101): write(i, {"loss": 1.0})
if not first: write(0, {"seconds": 12.5})
sys.exit(75 if first else 0)
"""
    job = shared_daemon.run({"name": "stepless", "jobs": {"a": metered(text, retry={"limit": 1, "delay": "0s"})}})["jobs"]["a"]["id"]
    assert [point["step"] for point in shared_daemon.curve(job, "loss")] == list(range(1, 101))
    assert [point["value"] for point in shared_daemon.curve(job, "seconds")] == [12.5]


def test_a_stretch_of_a_curve_by_step_by_time_and_from_the_end(shared_daemon, odd):
    steps = lambda query: [p["step"] for p in shared_daemon.get(f"/v1/jobs/{odd['id']}/metrics?key=x&{query}").json["points"]]
    assert steps("from=40&to=45") == list(range(40, 46)) and steps("last=3") == [98, 99, 100]
    assert steps("by=time&from=1700000090&to=1700000092") == [90, 91, 92] and steps("from=98&last=2") == [99, 100]
    assert steps("attempt=2&to=52") == [51, 52] and steps("from=1000") == []


@pytest.mark.parametrize("count", [2_000, 120_000])
def test_down_sampling_keeps_the_extremes_and_what_is_no_number(shared_daemon, count):
    """Of few points each is looked at; of many their summaries. Written by the worker in one go."""
    text = f"""
for i in range({count}):
    value = -1e9 if i == {count // 3} else 1e9 if i == {count // 2} else math.nan if i == {count // 5} else math.sin(i / 50)
    file.write('{{"step": %d, "time": %d, "x": %s}}\\n' % (i, 1700000000 + i, repr(value).replace("nan", "NaN")))
"""
    job = shared_daemon.run({"name": f"many{count}", "jobs": {"a": metered(text)}})["jobs"]["a"]["id"]
    points = shared_daemon.get(f"/v1/jobs/{job}/metrics?key=x&points=300").json["points"]
    values = {point["step"]: point["value"] for point in points}
    assert len(points) <= 300 and [p["step"] for p in points] == sorted(values)
    assert (values[0], values[count // 3], values[count // 2], values[count // 5]) == (0.0, -1e9, 1e9, "NaN") and count - 1 in values
    whole = shared_daemon.get(f"/v1/metrics?job={job}&key=x", Accept=FORMATS["binary"]).body
    assert [row[1] for row in unpack(whole)] == list(range(count))


def test_steps_out_of_order_repeated_and_absurd(shared_daemon):
    text = f"""
for step in (5, 3, 9, 1, 3):
    write(step, {{"x": float(step)}}, time=1.7e9 + file.tell())
for line in ({{"step": -1, "x": 1}}, {{"step": {STEP} + 1, "x": 1}}, {{"step": 1.5, "x": 1}}, {{"step": "7", "x": 1}}, {{"x": 1}}, [1], 7):
    file.write(json.dumps(line) + "\\n")
write({STEP}, {{"x": 1.0, "text": "no number", "list": [1], "": 2.0, "tab\\t": 3.0}})
"""
    job = shared_daemon.run({"name": "absurd", "jobs": {"a": metered(text)}})["jobs"]["a"]["id"]
    assert [p["step"] for p in shared_daemon.curve(job, "x")] == [1, 3, 5, 9, STEP]
    # By time every point is told, the repeated step twice.
    by_time = shared_daemon.get(f"/v1/jobs/{job}/metrics?key=x&by=time").json["points"]
    assert [p["step"] for p in by_time if p["step"] != STEP] == [5, 3, 9, 1, 3]
    summary = shared_daemon.get(f"/v1/jobs/{job}/metrics").json
    assert [key["key"] for key in summary["keys"]] == ["x"] and summary["dropped"] == 7 + 4


def test_a_key_of_ten_kilobytes_is_refused_and_what_stands_beside_it_is_kept(shared_daemon):
    text = f'write(1, {{"k" * 10_000: 1.0, "k" * {KEY_BYTES + 1}: 1.0, "k" * {KEY_BYTES}: 2.0, "x": 3.0}})'
    job = shared_daemon.run({"name": "keys", "jobs": {"a": metered(text)}})["jobs"]["a"]["id"]
    summary = shared_daemon.get(f"/v1/jobs/{job}/metrics").json
    assert [key["key"] for key in summary["keys"]] == ["k" * KEY_BYTES, "x"] and summary["dropped"] == 2
    point = {"key": "k" * 10_000, "step": 1, "value": 1.0}
    refused = post_points(shared_daemon, job, {"points": [{"key": "y", "step": 1, "value": 1.0}, point]})
    assert refused.status == 400 and refused.json["errors"][0]["pointer"] == "/points/1" and str(KEY_BYTES) in refused.json["detail"]
    metric = {"run_id": job, "key": "k" * 10_000, "value": 1.0, "timestamp": 1, "step": 1}
    refused = shared_daemon.post("/api/2.0/mlflow/runs/log-metric", json.dumps(metric).encode(), **{"Content-Type": "application/json"})
    assert refused.status == 400 and refused.json["error_code"] == "INVALID_PARAMETER_VALUE" and "10000" in refused.json["message"]
    # All of a batch is taken or none.
    assert shared_daemon.get(f"/v1/jobs/{job}/metrics?key=y").status == 404


def test_bad_batches_are_refused_with_the_place_of_the_fault(shared_daemon):
    job = shared_daemon.run({"name": "bad", "jobs": {"a": shell("true")}})["jobs"]["a"]["id"]
    good = {"key": "x", "step": 1, "value": 1.0}
    for body, pointer in (
        ({"points": [good, {**good, "step": -1}]}, "/points/1"), ({"points": [{**good, "step": STEP + 1}]}, "/points/0"),
        ({"points": [{**good, "value": "much"}]}, "/points/0"), ({"points": [{**good, "time": -5}]}, "/points/0"),
        ({"series": [{"key": "x", "steps": [1, 2], "values": [1.0]}]}, "/series/0"), ({"points": 7}, "/points"),
    ):
        refused = post_points(shared_daemon, job, body)
        assert refused.status == 400 and refused.json["errors"][0]["pointer"].startswith(pointer), body
    assert shared_daemon.get(f"/v1/jobs/{job}/metrics").json["keys"] == []
    series = lambda count: {"series": [{"key": "x", "steps": list(range(count)), "values": [0.0] * count}]}
    assert post_points(shared_daemon, job, series(BATCH_POINTS + 1)).status == 413
    assert post_points(shared_daemon, job, series(BATCH_POINTS)).json == {"added": BATCH_POINTS, "known": 0}


def test_a_batch_that_is_sent_again_doubles_nothing(shared_daemon):
    job = shared_daemon.run({"name": "again", "jobs": {"a": shell("true")}})["jobs"]["a"]["id"]
    columns = {"key": "x", "steps": list(range(10_000)), "times": [1.7e9 + i for i in range(10_000)], "values": [i / 7 for i in range(10_000)]}
    points = [{"key": "y", "step": step, "time": 1.7e9, "value": value} for step, value in ((1, "NaN"), (2, "Infinity"), (3, "-Infinity"))]
    body = {"series": [columns], "points": points}
    assert post_points(shared_daemon, job, body).json == {"added": 10_003, "known": 0}
    before = shared_daemon.get(f"/v1/metrics?job={job}&key=*").json
    for _ in range(3):
        assert post_points(shared_daemon, job, body).json == {"added": 0, "known": 10_003}
    # Nothing was written and nobody was told.
    assert shared_daemon.get(f"/v1/metrics?job={job}&key=*").json == before
    assert [point["value"] for point in shared_daemon.curve(job, "y")] == ["NaN", "Infinity", "-Infinity"]


def test_an_attempts_own_token_sends_points_and_a_job_that_never_ran_takes_none(shared_daemon):
    text = """
import urllib.request
request = urllib.request.Request(os.environ["ANNEAL_URL"] + "/v1/jobs/" + os.environ["ANNEAL_JOB_ID"] + "/metrics",
    json.dumps({"points": [{"key": "x", "step": 1, "value": 2.5}]}).encode(),
    {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["ANNEAL_TOKEN"]})
print(urllib.request.urlopen(request).read().decode())
"""
    spec = {"name": "own", "jobs": {"a": metered(text), "b": shell("true", **{"if": "false"})}}
    jobs = shared_daemon.run(spec)["jobs"]
    assert json.loads(shared_daemon.logs(jobs["a"]["id"], "?stream=stdout")) == {"added": 1, "known": 0}
    assert shared_daemon.curve(jobs["a"]["id"], "x")[0]["value"] == 2.5
    assert post_points(shared_daemon, jobs["b"]["id"], {"points": [{"key": "x", "step": 1, "value": 1}]}).status == 409


def test_everything_that_was_answered_is_there_after_the_daemon_is_killed(daemon):
    answer = daemon.submit({"name": "t", "jobs": {"a": shell("sleep 600")}})
    job = answer.json["jobs"][0]["id"]
    daemon.wait_for(job, "running")
    batch = lambda n: {"series": [{"key": "x", "steps": list(range(n * 50, n * 50 + 50)), "times": [1.7e9 + n] * 50, "values": [float(n)] * 50}]}
    answered = []

    def send():
        for n in range(100_000):
            try:
                if post_points(daemon, job, batch(n)).status != 200:
                    return
            except OSError:
                return
            answered.append(n)

    sender = threading.Thread(target=send)
    sender.start()
    # More than one attempt's tail holds, so that some of it was packed.
    wait_until(lambda: len(answered) > 200, "some batches")
    daemon.kill()
    sender.join()
    daemon.start()
    points = daemon.curve(job, "x")
    assert [p["step"] for p in points] == list(range(len(points))) and len(points) % 50 == 0
    # The last batch may have been kept without its answer having been heard.
    assert len(points) // 50 in (len(answered), len(answered) + 1)
    for n in (0, len(answered) // 2, len(answered) - 1):
        assert post_points(daemon, job, batch(n)).json == {"added": 0, "known": 50}
    assert daemon.curve(job, "x") == points
    daemon.post(f"/v1/jobs/{job}/cancel")
