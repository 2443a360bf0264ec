"""Alerts: rules of the spec on numbers from any source, what they stop, and the errors of those that cannot be read."""

import json

import pytest

from conftest import python, shell, wait_until

#: alertsMax of SpecLimits.
ALERTS = 50

#: Writes the values it is given, then ends, or with `--wait` stays until it is told to; where one is a text, waits for a file of that name.
WRITER = """
import json, os, signal, sys, threading
file, pause = open(os.environ["ANNEAL_METRICS"], "a"), threading.Event()
for step, values in enumerate(json.loads(sys.argv[1]), 1):
    while isinstance(values, str) and not os.path.exists(values):
        pause.wait(0.01)
    if isinstance(values, dict):
        file.write(json.dumps({"step": step, **values}) + "\\n")
        file.flush()
if len(sys.argv) > 2: signal.pause()
"""


def measured(points, *alerts, wait=False, **more):
    """A job that writes `points`, one dictionary for each step, under the rules of `alerts`."""
    return python(WRITER, json.dumps(points), *(["--wait"] if wait else []), alerts=list(alerts), **more)


def losses(*values):
    """The losses of one step after another."""
    return [{"train/loss": value} for value in values]


def alerts_of(daemon, job):
    """The alerts that were told of a job that has ended, in their order."""
    events = [json.loads(line) for line in daemon.get(f"/v1/stream?job={job}&types=alert", Accept="application/x-ndjson").body.splitlines()]
    return [event["data"] for event in events if event["type"] == "alert"]


def test_a_rule_that_comes_true_stops_the_job(shared_daemon):
    rule = {"when": "train/loss > 10 for 3", "do": "stop", "level": "error"}
    job = shared_daemon.run({"name": "stop", "jobs": {"a": measured(losses(1, 11, 12, 2, 11, 12, 13), rule, wait=True, retry=3)}})["jobs"]["a"]
    assert (job["state"], job["reason"]) == ("failed", "alert") and "train/loss > 10 for 3" in job["message"]
    # What a rule stops is not tried again.
    assert len(job["attempts"]) == 1
    (alert,) = alerts_of(shared_daemon, job["id"])
    assert (alert["title"], alert["level"], alert["step"]) == ("train/loss > 10 for 3", "error", 7)
    assert "train/loss is 13" in alert["text"] and "for 3 steps" in alert["text"]
    explained = shared_daemon.get(f"/v1/jobs/{job['id']}/explain").json
    assert "train/loss" in json.dumps(explained)


def test_a_rule_tells_once_and_again_only_after_it_has_ceased(shared_daemon):
    rule = {"when": "train/loss > 10 for 2"}
    job = shared_daemon.run({"name": "once", "jobs": {"a": measured(losses(11, 11, 11, 11, 1, 11, 11, 1, 11), rule)}})["jobs"]["a"]
    assert job["state"] == "succeeded"
    assert [(alert["step"], alert["level"]) for alert in alerts_of(shared_daemon, job["id"])] == [(2, "warn"), (7, "warn")]


def test_a_rule_counts_on_over_a_restart_of_the_daemon(daemon, tmp_path):
    """What was told before the restart is not told again, and steps before it count."""
    points = [*losses(11, 11), str(tmp_path / "go"), *losses(11, 11)]
    job = measured(points, {"when": "train/loss > 10"}, {"when": "train/loss > 10 for 3"})
    answer = daemon.submit({"name": "t", "jobs": {"a": job}})
    identifier = answer.json["jobs"][0]["id"]
    wait_until(lambda: any(key["count"] == 2 for key in daemon.get(f"/v1/jobs/{identifier}/metrics").json["keys"]), "two points")
    daemon.restart()
    (tmp_path / "go").touch()
    daemon.finished(answer.json["id"])
    told = [(alert["title"], alert["step"]) for alert in alerts_of(daemon, identifier)]
    assert told == [("train/loss > 10", 1), ("train/loss > 10 for 3", 4)]


def test_rules_compare_two_keys_and_look_for_what_is_no_number(shared_daemon):
    points = [{"a": step, "b": 3} for step in range(5)] + [{"a": 0, "x": value} for value in ("NaN", "Infinity", 1.0)]
    rules = [{"when": "a > b"}, {"when": "b <= a for 2"}, {"when": "x is nan for 2", "level": "info"}, {"when": "b != 3"}]
    job = shared_daemon.run({"name": "keys", "jobs": {"a": measured(points, *rules)}})["jobs"]["a"]
    told = {alert["title"]: alert["step"] for alert in alerts_of(shared_daemon, job["id"])}
    assert told == {"a > b": 5, "b <= a for 2": 5, "x is nan for 2": 7}


def test_rules_see_points_that_come_over_the_network(shared_daemon):
    text = (
        'curl -sf -H "Authorization: Bearer $ANNEAL_TOKEN" -H "Content-Type: application/json" '
        '-d \'{"points": [{"key": "sent", "step": 4, "value": 99}]}\' $ANNEAL_URL/v1/jobs/$ANNEAL_JOB_ID/metrics'
    )
    job = shared_daemon.run({"name": "network", "jobs": {"a": shell(text, alerts=[{"when": "sent > 90"}])}})["jobs"]["a"]
    assert [(alert["title"], alert["step"]) for alert in alerts_of(shared_daemon, job["id"])] == [("sent > 90", 4)]


@pytest.mark.parametrize("when", ["train/loss >> 10", "train/loss > 10 for 0", "3 > train/loss", "gpu_idle > 20", "a > 1 for", "a > inf", "a is high"])
def test_a_condition_that_cannot_be_read_is_refused_with_its_place(shared_daemon, when):
    answer = shared_daemon.submit({"name": "bad", "jobs": {"a": shell("true", alerts=[{"when": "a > 1"}, {"when": when}])}}, "?dry_run=true")
    assert answer.status == 409, answer.body
    assert "/jobs/a/alerts/1/when" in [error["pointer"] for error in answer.json["errors"]]


@pytest.mark.parametrize(
    "alert, pointer",
    [
        ({"when": "a > 1", "do": "dance"}, "/jobs/a/alerts/0/do"), ({"when": "a > 1", "level": "loud"}, "/jobs/a/alerts/0/level"),
        ({"do": "stop"}, "/jobs/a/alerts/0"), ({"when": "a > 1", "then": "stop"}, "/jobs/a/alerts/0/then"), ({"when": 7}, "/jobs/a/alerts/0/when"),
    ],
)  # fmt: skip
def test_a_rule_of_another_shape_is_refused_with_its_place(shared_daemon, alert, pointer):
    answer = shared_daemon.submit({"name": "bad", "jobs": {"a": shell("true", alerts=[alert])}}, "?dry_run=true")
    assert answer.status == 422, answer.body
    assert any(error["pointer"].startswith(pointer) for error in answer.json["errors"]), answer.json["errors"]


def test_a_rule_of_a_yaml_document_is_refused_with_its_line(shared_daemon):
    text = "name: t\njobs:\n  a:\n    kind: command\n    command: 'true'\n    alerts:\n      - {when: 'train/loss > 10 for 3'}\n      - {when: 'loss up'}\n"
    answer = shared_daemon.submit(text)
    assert answer.status == 409
    (error,) = answer.json["errors"]
    assert error["pointer"] == "/jobs/a/alerts/1/when" and error["line"] == 8


def test_so_many_rules_and_not_one_more(shared_daemon):
    spec = lambda count: {"name": "many", "jobs": {"a": shell("true", alerts=[{"when": f"a > {n}"} for n in range(count)])}}
    assert shared_daemon.submit(spec(ALERTS), "?dry_run=true").status == 200
    assert shared_daemon.submit(spec(ALERTS + 1), "?dry_run=true").status == 422
