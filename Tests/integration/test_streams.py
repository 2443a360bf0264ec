"""Streams: events with sequence numbers, logs as they grow, and readers that come back."""

import json
import socket
import threading
import urllib.request

from conftest import shell


def lines_of(daemon, path, **headers):
    """Opens a stream and returns its lines one by one as they come."""
    request = urllib.request.Request(daemon.url + path, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        yield from answer


def test_a_stream_tells_history_first_then_what_happens_and_ends_with_its_experiment(daemon, tmp_path):
    flag = tmp_path / "go"
    answer = daemon.submit({"name": "t", "jobs": {"a": shell(f"while ! test -e {flag}; do sleep 0.02; done")}})
    experiment, job = answer.json["id"], answer.json["jobs"][0]["id"]
    daemon.wait_for(job, "running")
    events = []
    for line in lines_of(daemon, f"/v1/stream?experiment={experiment}", Accept="application/x-ndjson"):
        events.append(json.loads(line))
        if events[-1]["type"] == "state" and events[-1]["data"]["state"] == "running" and events[-1]["attempt_id"]:
            flag.touch()
    states = [event["data"]["state"] for event in events if event["type"] == "state" and event["job_id"] == job and not event["attempt_id"]]
    assert states == ["waiting", "queued", "starting", "running", "succeeded"]
    assert events[-1]["type"] == "end"
    numbers = [event["seq"] for event in events[:-1]]
    assert numbers == sorted(set(numbers))


def test_server_sent_events_carry_id_event_and_data(daemon):
    ended = daemon.run({"name": "t", "jobs": {"a": shell("true")}})
    text = b"".join(lines_of(daemon, f"/v1/stream?experiment={ended['id']}")).decode()
    frames = [dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":")) for frame in text.split("\n\n") if frame.strip()]
    frames = [frame for frame in frames if frame]
    assert frames[-1]["event"] == "end"
    assert all(frame["event"] == "state" and int(frame["id"]) == json.loads(frame["data"])["seq"] for frame in frames[:-1])


def test_types_filter_what_is_sent_and_unknown_ones_are_refused(daemon):
    ended = daemon.run({"name": "t", "jobs": {"a": shell('echo \'{"step": 1, "x": 1}\' >> $ANNEAL_METRICS')}})
    events = [json.loads(line) for line in lines_of(daemon, f"/v1/stream?experiment={ended['id']}&types=metric", Accept="application/x-ndjson")]
    assert [event["type"] for event in events] == ["metric", "end"]
    assert daemon.get("/v1/stream?types=nonsense").status == 400
    assert daemon.get("/v1/stream?job=job_none").status == 404


def test_a_reader_that_does_not_read_misses_nothing_and_slows_nobody(daemon):
    """Thousands of points flow past a client that reads nothing until the end."""
    count = 3000
    key = "k" * 200
    text = f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo \"{{\\\"step\\\": $i, \\\"{key}\\\": $i}}\"; done >> $ANNEAL_METRICS"
    answer = daemon.submit({"name": "t", "jobs": {"a": shell("sleep 0.3; " + text)}})
    experiment = answer.json["id"]
    host, port = daemon.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.sendall(f"GET /v1/stream?experiment={experiment} HTTP/1.0\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n".encode())
        daemon.finished(experiment)
        body = b""
        reader.settimeout(60)
        # It reads now, and no more through a keyhole.
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        while piece := reader.recv(1 << 16):
            body += piece
    events = [json.loads(line) for line in body.split(b"\r\n\r\n", 1)[1].splitlines()]
    steps = [point["step"] for event in events if event["type"] == "metric" for point in event["data"]["points"]]
    assert steps == list(range(1, count + 1)) and events[-1]["type"] == "end"


def test_a_followed_log_comes_as_it_is_written_and_ends_with_the_job(daemon, tmp_path):
    gate = tmp_path / "gate"
    answer = daemon.submit({"name": "t", "jobs": {"a": shell(f"echo one; while ! test -e {gate}; do sleep 0.02; done; printf two")}})
    job = answer.json["jobs"][0]["id"]
    daemon.wait_for(job, "running")
    got = []
    for line in lines_of(daemon, f"/v1/jobs/{job}/logs?follow=true&stream=stdout"):
        got.append(line)
        gate.touch()
    assert got == [b"one\n", b"two"]


def test_logs_by_offset_by_tail_and_with_bytes_that_are_not_text(daemon):
    ended = daemon.run({"name": "t", "jobs": {"a": shell(r"printf 'a\nb\n\377\000c\nlast'")}})
    job = ended["jobs"]["a"]["id"]
    whole = b"a\nb\n\xff\x00c\nlast"
    assert daemon.logs(job, "?stream=stdout") == whole
    assert daemon.logs(job, "?stream=stdout&offset=4") == whole[4:]
    assert daemon.logs(job, "?stream=stdout&tail=2") == b"\xff\x00c\nlast"
    assert daemon.logs(job, "?stream=stdout&tail=0") == b""
    assert daemon.get(f"/v1/jobs/{job}/logs?attempt=2").status == 404


def test_a_wait_is_held_until_the_end_and_not_longer(daemon, tmp_path):
    gate = tmp_path / "gate"
    answer = daemon.submit({"name": "t", "jobs": {"a": shell(f"while ! test -e {gate}; do sleep 0.02; done")}})
    job = answer.json["jobs"][0]["id"]
    assert daemon.get(f"/v1/jobs/{job}?wait=1").json["state"] in ("queued", "starting", "running")
    held = []
    waiter = threading.Thread(target=lambda: held.append(daemon.get(f"/v1/jobs/{job}?wait=60").json))
    waiter.start()
    gate.touch()
    waiter.join()
    assert held[0]["state"] == "succeeded"


def test_a_polled_job_is_never_older_than_the_last_answer(daemon):
    answer = daemon.submit({"name": "t", "jobs": {"a": shell("sleep 30")}})
    job = answer.json["jobs"][0]["id"]
    daemon.wait_for(job, "running")
    for priority in range(1, 60):
        daemon.request("PATCH", f"/v1/jobs/{job}", json.dumps({"priority": priority}).encode(), {"Content-Type": "application/json"})
        assert daemon.job(job)["priority"] == priority


def test_metrics_keep_nan_and_infinity_and_drop_nothing_by_sampling_extremes(daemon):
    text = (
        "i=0; while [ $i -lt 500 ]; do i=$((i+1)); v=1.5; [ $i = 250 ] && v=-99; [ $i = 300 ] && v=99; "
        'echo "{\\"step\\": $i, \\"x\\": $v}"; done >> $ANNEAL_METRICS; '
        "echo '{\"step\": 501, \"y\": NaN, \"z\": \"Infinity\", \"w\": -Infinity}' >> $ANNEAL_METRICS; printf '{\"step\": 502, \"y\"' >> $ANNEAL_METRICS"
    )
    job = daemon.run({"name": "t", "jobs": {"a": shell(text)}})["jobs"]["a"]["id"]
    assert [daemon.curve(job, key)[0]["value"] for key in "yzw"] == ["NaN", "Infinity", "-Infinity"]
    sampled = daemon.get(f"/v1/jobs/{job}/metrics?key=x&points=20").json["points"]
    assert len(sampled) <= 24 and {-99.0, 99.0} <= {point["value"] for point in sampled}
    assert len(daemon.curve(job, "x")) == 500
    assert daemon.get(f"/v1/jobs/{job}/metrics?key=none").status == 404
