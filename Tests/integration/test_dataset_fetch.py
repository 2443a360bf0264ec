"""Datasets that a job fetches: over cut connections, killed workers, changed files and servers that lie."""

import hashlib
import json
import os
import pathlib
import signal
import sys

import pytest
from conftest import ROOT, wait_until

sys.path.insert(0, str(ROOT / "Tests"))
from harness.file_server import FileServer, Turn  # noqa: E402


def rows(count, word="a"):
    """Records in the simplest format, of equal length."""
    return "".join(json.dumps({"input": f"{word}{n:06}", "output": "b" * 40}) + "\n" for n in range(count)).encode()


FILE = rows(20_000)
HASH = hashlib.sha256(FILE).hexdigest()


def register(daemon, **document):
    return daemon.post("/v1/datasets", json.dumps(document).encode(), **{"Content-Type": "application/json"})


def fetched(daemon, url, name="data", **document):
    """The job that fetched `url`, when it has ended."""
    answer = register(daemon, name=name, url=url, **document)
    assert answer.status == 202, answer.body
    return daemon.finished(answer.json["experiment_id"])["jobs"]["fetch"]


def prepared(daemon, source, **more):
    """A job of one attempt that prepares from a URL."""
    spec = {"name": "p", "jobs": {"a": {"kind": "prepare", "source": source, "retry": 0, "cache": False, **more}}}
    return daemon.run(spec)["jobs"]["a"]


def test_a_url_becomes_a_dataset_byte_for_byte(daemon):
    with FileServer(FILE) as server:
        job = fetched(daemon, server.url + "?signature=secret", sha256=HASH.upper())
        assert job["state"] == "succeeded", job
        view = daemon.get("/v1/datasets/data").json
        assert (view["sha256"], view["rows"], view["format"], view["produced_by"]) == (HASH, 20_000, "input_output", job["id"])
        assert view["source"] == {"kind": "url", "url": server.url}
        assert daemon.get("/v1/datasets/data/content").body == FILE
        assert daemon.curve(job["id"], "download/bytes")[-1]["value"] == len(FILE)
        assert daemon.curve(job["id"], "download/total")[-1]["value"] == len(FILE)
        assert daemon.curve(job["id"], "progress/done")[-1]["value"] == daemon.curve(job["id"], "progress/total")[-1]["value"]
        again = fetched(daemon, server.url)
        assert again["outputs"]["dataset"]["id"] == view["id"], "the same content under the same name is the same version"
        assert daemon.request("DELETE", "/v1/datasets/data").status == 204, "the job that only fetched it does not keep it"


def test_a_cut_connection_is_gone_on_with(daemon):
    with FileServer(FILE, Turn(cut=500_000), Turn(cut=300_000), Turn(status=503), Turn(cut=1)) as server:
        job = fetched(daemon, server.url)
        assert job["state"] == "succeeded" and daemon.get("/v1/datasets/data").json["sha256"] == HASH, job
        starts = [int(request.get("range", "bytes=0-")[6:-1]) for request in server.requests]
        assert starts[0] == 0 and starts == sorted(starts) and 500_000 <= starts[2] <= 800_000 and starts[2] == starts[3], starts
        assert {request.get("if-range") for request in server.requests[1:]} == {'"one"'}


def test_a_server_without_ranges_or_tags_is_asked_for_everything_again(daemon):
    with FileServer(FILE, Turn(cut=500_000, ranges=False), Turn(ranges=False)) as server:
        assert fetched(daemon, server.url)["state"] == "succeeded"
        assert daemon.get("/v1/datasets/data").json["sha256"] == HASH
    with FileServer(FILE, Turn(cut=500_000), tag=None) as server:
        assert fetched(daemon, server.url, name="untagged")["state"] == "succeeded"
        assert "range" not in server.requests[1], "what nothing tells from another version is fetched anew"


def test_a_file_that_changed_meanwhile_is_fetched_anew(daemon):
    other = rows(20_000, "z")
    with FileServer(FILE, Turn(cut=500_000), Turn(content=other, tag='"two"')) as server:
        assert fetched(daemon, server.url)["state"] == "succeeded"
        assert server.requests[1]["if-range"] == '"one"'
    assert daemon.get("/v1/datasets/data").json["sha256"] == hashlib.sha256(other).hexdigest()
    # A server that hands out parts of another file all the same is found out by the hash.
    with FileServer(other, Turn(cut=500_000), Turn(content=FILE), tag=None) as server:
        job = fetched(daemon, server.url, name="mixed", sha256=HASH)
        assert job["state"] == "succeeded" and len(server.requests) == 3, job
    assert daemon.get("/v1/datasets/mixed").json["sha256"] == HASH


def test_errors_of_the_server_are_waited_out(daemon):
    with FileServer(FILE, Turn(status=500), Turn(status=429, headers={"Retry-After": "0"}), Turn(length=len(FILE) * 2)) as server:
        job = fetched(daemon, server.url)
        assert job["state"] == "succeeded" and len(job["attempts"]) == 1, job
        assert b"trying again" in daemon.logs(job["id"])
    assert daemon.get("/v1/datasets/data").json["sha256"] == HASH


def test_a_killed_worker_goes_on_where_it_was(daemon):
    with FileServer(FILE, Turn(hold=700_000)) as server:
        answer = register(daemon, name="data", url=server.url)
        job = answer.json["job_id"]
        assert server.holding.wait(60)
        path = daemon.folder / "jobs" / job / "outputs" / "source.download"
        wait_until(lambda: path.exists() and path.stat().st_size > 500_000, "the first part of the file")
        attempt = daemon.job(job)["attempts"][0]["id"]
        os.kill(daemon.shim(attempt)["child_pid"], signal.SIGKILL)
        ended = daemon.finished(answer.json["experiment_id"])["jobs"]["fetch"]
        assert ended["state"] == "succeeded" and len(ended["attempts"]) == 2, ended
        assert int(server.requests[1]["range"][6:-1]) > 500_000
        assert b"of an earlier attempt" in daemon.logs(job)
    assert daemon.get("/v1/datasets/data").json["sha256"] == HASH
    assert not path.exists() and not path.with_name("source.download.json").exists()


def test_more_bytes_than_allowed_are_not_fetched(daemon):
    with FileServer(FILE, Turn(), Turn(chunked=True)) as server:
        for _ in range(2):
            job = prepared(daemon, {"url": server.url, "bytes_max": 100_000})
            assert job["reason"] == "bad_data" and "more than 100000 bytes" in job["message"], job
            folder = daemon.folder / "jobs" / job["id"] / "outputs"
            assert not list(folder.glob("source.download*"))
        exactly = prepared(daemon, {"url": server.url, "bytes_max": len(FILE)})
        assert exactly["state"] == "succeeded", exactly


@pytest.mark.parametrize(
    "turn, reason, words",
    [
        (Turn(status=404), "bad_config", "the server answered 404"),
        (Turn(status=302, headers={"Location": "/data.jsonl"}), "bad_config", "redirects"),
        (Turn(status=200, body=b"<!DOCTYPE html><p>Please log in"), "bad_data", "is an HTML or XML page"),
        (Turn(content=b"\x1f\x8b\x08\x00more"), "bad_data", "is compressed by gzip, not JSON text in UTF-8; decompress it first"),
        (Turn(content=b""), "bad_data", "holds no records"),
        (Turn(content=FILE[:-20]), "bad_data", "line 20000: the file ends inside a record"),
        (Turn(content=FILE + b'{"input": 3, "output": "x"}\n'), "bad_data", "line 20001, /input: is an integer"),
    ],
    ids=["missing", "redirects", "page", "gzip", "empty", "cut", "broken"],
)
def test_what_is_no_data_is_told_in_one_message(daemon, turn, reason, words):
    turns = [turn] * 8 if turn.status == 302 else [turn]
    with FileServer(FILE, *turns) as server:
        job = prepared(daemon, {"url": server.url})
        assert job["state"] == "failed" and job["reason"] == reason and words in job["message"], job


def test_a_wrong_hash_and_a_dead_server_are_told(daemon):
    with FileServer(FILE) as server:
        job = prepared(daemon, {"url": server.url, "sha256": "0" * 64})
        assert job["reason"] == "bad_data" and f"has the hash {HASH}, not {'0' * 64}" in job["message"], job
    job = prepared(daemon, {"url": "http://127.0.0.1:9/x"})
    assert job["reason"] == "network" and "gave up after" in job["message"], job


def test_what_was_fetched_goes_through_steps_and_gets_its_name(daemon):
    with FileServer(FILE) as server:
        job = prepared(
            daemon, {"url": server.url}, register_as="pairs", steps=[{"to_messages": {}}, {"split": {"train": 0.9, "validation": 0.1}}])
    assert job["state"] == "succeeded", job
    assert daemon.get("/v1/datasets/pairs.train").json["rows"] == 18_000
    assert daemon.get("/v1/datasets/pairs.validation").json["source"] is None


@pytest.mark.parametrize(
    "document, pointer",
    [
        ({"name": "x"}, "/"), ({"name": "x", "url": "http://a/b", "file": "/c"}, "/"), ({"name": "x", "url": "ftp://a"}, "/url"),
        ({"name": "x", "file": "relative"}, "/file"), ({"name": "../x", "file": "/c"}, "/name"), ({"file": "/c"}, "/name"),
        ({"name": "x", "url": "http://a/b", "sha256": "abc"}, "/sha256"), ({"name": "x", "url": "http://a/b", "copy": True}, "/copy"),
        ({"name": "x", "file": "/c", "bytes_max": 3}, "/bytes_max"), ({"name": "x", "url": "http://a/b", "bytes_max": 0}, "/bytes_max"),
        ({"name": "x", "url": "http://a/b", "bytes_max": 1 << 45}, "/bytes_max"), ({"name": "x", "file": "/c", "format": "xml"}, "/format"),
        ({"name": "x", "file": "/c", "color": 1}, "/color"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_its_place(shared_daemon, document, pointer):
    answer = register(shared_daemon, **document)
    assert answer.status == 400 and answer.json["errors"][0]["pointer"] == pointer, answer.body


def test_two_requests_with_one_key_are_one_job(daemon):
    with FileServer(FILE, Turn(hold=10)) as server:
        send = lambda: daemon.post(
            "/v1/datasets", json.dumps({"name": "data", "url": server.url}).encode(),
            **{"Content-Type": "application/json", "Idempotency-Key": "k"})
        first, second = send(), send()
        assert first.status == second.status == 202 and first.json == second.json
        busy = register(daemon, name="data", url=server.url)
        assert busy.status == 409 and "still" in busy.json["detail"]
        server.release()
        assert daemon.finished(first.json["experiment_id"])["state"] == "succeeded"


def test_a_download_that_cannot_fit_fails_before_the_disk_is_full(make_daemon, tmp_path):
    """Needs root to mount a small file system."""
    import subprocess

    mount = pathlib.Path(tmp_path / "small")
    mount.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", mount], capture_output=True).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        daemon = make_daemon("--gpus", "none", "--cpus", "2", folder="small/data").start()
        large = FILE * 64
        with FileServer(large, Turn(), Turn(chunked=True)) as server:
            for _ in range(2):
                job = prepared(daemon, {"url": server.url})
                assert job["reason"] == "disk_full" and "are free on the disk" in job["message"], job
    finally:
        subprocess.run(["umount", "-l", mount], check=True)
