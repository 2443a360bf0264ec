"""Datasets come in by upload, are validated line by line, kept by content, and go out byte for byte."""

import hashlib
import json
import os

from conftest import command, shell, wait_until


def record(question, answer):
    return json.dumps({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]})


GOOD = "".join(record(f"{n}*10=?", str(n * 10)) + "\n" for n in range(50)).encode()


def test_an_upload_is_a_version_by_content_and_is_served_byte_for_byte(daemon):
    first = daemon.post("/v1/datasets?name=tens", GOOD)
    assert first.status == 201
    view = first.json
    assert view["sha256"] == hashlib.sha256(GOOD).hexdigest()
    assert (view["rows"], view["bytes"], view["format"], view["version"]) == (50, len(GOOD), "messages", 1)
    again = daemon.post("/v1/datasets?name=tens", GOOD)
    assert again.status == 200 and again.json["id"] == view["id"]
    other = daemon.post("/v1/datasets?name=tens", GOOD + record("q", "a").encode() + b"\n")
    assert other.status == 201 and other.json["version"] == 2
    assert daemon.get("/v1/datasets/tens@1/content").body == GOOD
    assert daemon.get("/v1/datasets/tens").json["version"] == 2
    assert daemon.get(f"/v1/datasets/{view['id']}").json == view


def test_broken_records_are_told_with_line_and_pointer_and_nothing_is_kept(daemon):
    lines = [record("q", "a"), "{broken", '{"messages": [{"role": "user", "content": 3}]}', record("q", "a")]
    answer = daemon.post("/v1/datasets?name=bad", "\n".join(lines).encode())
    assert answer.status == 422 and answer.json["code"] == "invalid_dataset"
    assert {error["line"] for error in answer.json["errors"]} == {2, 3}
    assert any(error["pointer"] == "/messages/0/content" for error in answer.json["errors"])
    assert daemon.get("/v1/datasets").json["data"] == []
    wait_until(lambda: not os.listdir(daemon.folder / "uploads"), "the removal of the temporary file")


def test_an_empty_upload_and_a_bad_name_are_refused(daemon):
    assert daemon.post("/v1/datasets?name=empty", b"").status == 422
    assert daemon.post("/v1/datasets?name=../x", GOOD).status == 400
    assert daemon.post("/v1/datasets", GOOD).status == 400
    assert daemon.post("/v1/datasets?name=" + "n" * 200, GOOD).status == 201
    assert daemon.post("/v1/datasets?name=" + "n" * 201, GOOD).status == 400


def test_a_declared_format_that_is_not_that_of_the_records_is_a_conflict(daemon):
    answer = daemon.post("/v1/datasets?name=x&format=preference", GOOD)
    assert answer.status == 409 and "messages" in answer.json["detail"]


def test_a_dataset_in_use_is_not_deleted_and_an_unused_one_is_with_its_content(daemon):
    daemon.post("/v1/datasets?name=used", GOOD)
    spec = {"name": "p", "jobs": {"a": {"kind": "prepare", "source": {"dataset": "used"}, "steps": [{"shuffle": {"seed": 1}}]}}}
    ended = daemon.run(spec)
    assert ended["state"] == "succeeded", ended["jobs"]["a"]
    assert daemon.request("DELETE", "/v1/datasets/used").status == 409
    made = ended["jobs"]["a"]["outputs"]["dataset"]
    assert daemon.request("DELETE", f"/v1/datasets/{made['id']}").status == 409
    free = daemon.post("/v1/datasets?name=free", GOOD[: len(GOOD) // 2].rsplit(b"\n", 1)[0] + b"\n").json
    assert daemon.request("DELETE", "/v1/datasets/free").status == 204
    assert daemon.get("/v1/datasets/free").status == 404
    assert not list((daemon.folder / "datasets").glob(f"*/{free['sha256']}*"))


def test_a_large_upload_is_streamed_to_disk(daemon, tmp_path):
    body = GOOD * 8000
    answer = daemon.post("/v1/datasets?name=large", body)
    assert answer.status == 201 and answer.json["rows"] == 400_000
    resident = int(next(line for line in open(f"/proc/{daemon.process.pid}/status") if line.startswith("VmHWM")).split()[1])
    assert resident * 1024 < len(body) * 4, f"{resident} kB resident for an upload of {len(body)} bytes"


def test_prepare_makes_generates_splits_and_registers_with_lineage(daemon):
    spec = {
        "name": "gen",
        "jobs": {
            "data": {
                "kind": "prepare",
                "source": {"generator": {"name": "times_ten", "count": 100}},
                "steps": [{"split": {"train": 0.9, "validation": 0.1, "seed": 7}}],
            },
            "count": command("wc", "-l", "${data.train}", "${data.validation}"),
        },
    }
    ended = daemon.run(spec)
    outputs = ended["jobs"]["data"]["outputs"]
    assert (outputs["train"]["rows"], outputs["validation"]["rows"]) == (90, 10)
    train = {line for line in daemon.get(f"/v1/datasets/{outputs['train']['id']}/content").body.splitlines()}
    validation = {line for line in daemon.get(f"/v1/datasets/{outputs['validation']['id']}/content").body.splitlines()}
    assert len(train | validation) == 100 and not train & validation
    assert daemon.get(f"/v1/datasets/{outputs['train']['id']}").json["produced_by"] == ended["jobs"]["data"]["id"]
    lineage = daemon.get(f"/v1/lineage/{outputs['train']['id']}").json
    assert {edge["to"] for edge in lineage["edges"] if edge["from"] == outputs["train"]["id"]} == {ended["jobs"]["count"]["id"]}


def test_prepare_of_broken_data_fails_with_the_place(daemon, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text(record("q", "a") + "\n" + '{"messages": "no list"}\n')
    ended = daemon.run({"name": "b", "jobs": {"a": {"kind": "prepare", "source": {"file": str(source)}, "format": "messages"}}})
    job = ended["jobs"]["a"]
    assert job["state"] == "failed" and job["reason"] == "bad_data" and "line 2" in job["message"], job


def test_a_missing_file_is_refused_at_submission_with_its_line(daemon):
    answer = daemon.submit("name: x\njobs:\n  a:\n    kind: prepare\n    source: {file: /no/such/file.jsonl}\n")
    assert answer.status == 409
    assert answer.json["errors"][0]["pointer"] == "/jobs/a/source/file" and answer.json["errors"][0]["line"] == 5


def test_a_full_disk_is_a_clear_failure_and_loses_nothing(make_daemon, tmp_path):
    """A small file system of its own, filled up and emptied again. Needs root to mount it."""
    import pytest, subprocess

    mount = tmp_path / "small"
    mount.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mount], capture_output=True).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        daemon = make_daemon("--gpus", "none", "--cpus", "2", folder="small/data").start()
        first = daemon.run({"name": "before", "jobs": {"a": shell("echo fine")}})
        (mount / "ballast").write_bytes(b"")
        with open(mount / "ballast", "wb") as ballast:
            try:
                while ballast.write(b"x" * 65536):
                    ballast.flush()
            except OSError:
                pass
        refused = daemon.post("/v1/datasets?name=big", GOOD * 200)
        assert refused.status == 507 and refused.json["code"] == "disk_full", refused.body
        (mount / "ballast").unlink()
        after = wait_until(lambda: daemon.submit({"name": "after", "jobs": {"a": shell("echo fine")}}).status == 201, "room again")
        assert after and daemon.job(first["jobs"]["a"]["id"])["state"] == "succeeded"
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def test_a_dataset_is_inspected_compared_and_tagged(daemon):
    lines = lambda *pairs: "".join(record(*pair) + "\n" for pair in pairs).encode()
    upload = lambda body: daemon.post("/v1/datasets?name=look", body, **{"Content-Type": "application/x-ndjson"})
    assert upload(lines(("2*10=?", "20"), ("3*10=?", "30"), ("2*10=?", "20"))).status == 201
    assert upload(lines(("3*10=?", "30"), ("4*10=?", "40"))).json["version"] == 2
    seen = daemon.get("/v1/datasets/look@1/inspect?samples=2").json
    assert seen["duplicates"] == 1 and seen["labels"][0] == {"value": "20", "records": 2} and len(seen["samples"]) == 2
    assert sum(bucket["records"] for bucket in seen["characters"]["histogram"]) == 3
    diff = daemon.get("/v1/datasets/diff?from=look@1&to=look@2").json
    assert (diff["common"], diff["added"], diff["removed"]) == (1, 1, 2)
    assert daemon.get("/v1/datasets/diff?from=look@1").status == 400
    patch = lambda body: daemon.request("PATCH", "/v1/datasets/look@2", json.dumps(body).encode(), {"Content-Type": "application/json"})
    assert patch({"tags": {"quality": "checked", "owner": "ada"}}).json["tags"] == {"quality": "checked", "owner": "ada"}
    assert patch({"tags": {"owner": None}}).json["tags"] == {"quality": "checked"}
    assert [one["version"] for one in daemon.get("/v1/datasets?tag=quality:checked").json["data"]] == [2]
    for bad in ({}, {"tags": {"": "x"}}, {"tags": {"a": 1}}, {"tags": {}, "more": 1}):
        assert patch(bad).status == 400, bad
    assert patch({"tags": {f"t{number}": "" for number in range(100)}}).status == 409
    assert daemon.request("DELETE", "/v1/datasets/look@2").status == 204
