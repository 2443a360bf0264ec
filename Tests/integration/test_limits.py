"""The service's limits (ServiceLimits.swift), each at the limit and one past it."""

import json

from conftest import shell

#: specBytesMax
SPEC = 4 * 1024 * 1024
#: requestBytesMax
REQUEST = 64 * 1024
#: idempotencyKeyLengthMax
KEY = 255
#: reportBytesMax
REPORT = 16 * 1024 * 1024
#: errorTailBytesMax
TAIL = 4096


def test_spec_bytes(daemon):
    text = b"name: x\njobs: {a: {kind: command, command: 'true'}}\n#"
    assert daemon.post("/v1/experiments?dry_run=true", text.ljust(SPEC, b"x")).status == 200
    past = daemon.post("/v1/experiments?dry_run=true", text.ljust(SPEC + 1, b"x"))
    assert past.status == 413 and past.json["code"].endswith("too_large")


def test_request_bytes(daemon):
    job = daemon.submit({"name": "t", "jobs": {"a": shell("sleep 60")}}).json["jobs"][0]["id"]
    patch = lambda size: daemon.request("PATCH", f"/v1/jobs/{job}", b'{"priority": 1}'.ljust(size), {"Content-Type": "application/json"})
    assert patch(REQUEST).status == 200 and patch(REQUEST + 1).status == 413


def test_idempotency_key_length(daemon):
    spec = lambda name: {"name": name, "jobs": {"a": shell("true")}}
    assert daemon.submit(spec("a"), **{"Idempotency-Key": "k" * KEY}).status == 201
    assert daemon.submit(spec("b"), **{"Idempotency-Key": "k" * (KEY + 1)}).status == 400


def test_report_bytes(daemon):
    def run(name, size):
        text = f"printf '%-{size}s' '{{}}' > $ANNEAL_OUTPUTS"
        return daemon.run({"name": name, "jobs": {"a": shell(text)}})["jobs"]["a"]

    assert run("at", REPORT)["state"] == "succeeded"
    past = run("past", REPORT + 1)
    assert past["state"] == "failed" and "outputs.json" in past["message"]


def test_error_tail_bytes(daemon):
    job = daemon.run({"name": "t", "jobs": {"a": shell(f"printf '%0{TAIL * 3}d' 7 >&2; exit 1")}})["jobs"]["a"]
    assert TAIL <= len(job["message"]) <= TAIL + 200 and job["message"].endswith("7")


def test_streams_larger_than_a_page_and_a_buffer_arrive_whole(daemon):
    """More events than streamPageEvents, more bytes than streamBufferBytesMax; and a view beyond viewCacheBytesMax is still right."""
    answer = daemon.submit({"name": "t", "jobs": {f"j{n}": shell("true", resources={"cpus": 2}) for n in range(200)}})
    daemon.post(f"/v1/experiments/{answer.json['id']}/cancel")
    daemon.finished(answer.json["id"])
    lines = daemon.get(f"/v1/stream?experiment={answer.json['id']}", Accept="application/x-ndjson").body.splitlines()
    numbers = [json.loads(line)["seq"] for line in lines[:-1]]
    assert len(numbers) > 400 and numbers == sorted(set(numbers))
    assert {daemon.job(job["id"])["state"] for job in answer.json["jobs"]} <= {"cancelled", "succeeded"}


def test_uploads_are_bounded_by_the_disk_alone_and_items_are_paged(daemon):
    """uploadBytesMax is 16 TiB, which a declared length can pass without sending it."""
    import socket

    host, port = daemon.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(f"POST /v1/datasets?name=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2**44 + 1}\r\n\r\n".encode())
        client.settimeout(60)
        assert b" 413 " in client.recv(4096).split(b"\r\n")[0]
    assert daemon.get("/v1/evaluations/eval_none/items").status == 404
