"""What the registry takes and refuses: formats, bad files, files of the machine, exports, and deletion."""

import gzip
import hashlib
import json
import os
import subprocess

import pytest
from conftest import PROGRAMS, wait_until

TURNS = [{"from": "human", "value": "<image>\nwhat is it?"}, {"from": "gpt", "value": "a cat"}]
CHAT = [{"role": "user", "content": "2*10=?"}, {"role": "assistant", "content": "20"}]
CHOICES = {f"choice{n}": str(n) for n in range(5)}
#: A sound record of each format that its keys tell.
SOUND = {
    "messages": {"messages": CHAT},
    "input_output": {"input": "a", "output": "b"},
    "preference": {"prompt": "p", "chosen_response": "a", "rejected_response": "", "chosen_reward": 1.5},
    "prompt": {"prompt": CHAT[:1], "answer": "20"},
    "jcqa": {"jcqa_data": {"question": "q", **CHOICES, "answer_index": 4}},
    "text": {"text": "once upon a time", "url": "x"},
    "conversations": {"id": "1", "image": "coco/1.jpg", "conversations": TURNS},
}


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def upload(daemon, name, body, query=""):
    return daemon.post(f"/v1/datasets?name={name}{query}", body, **{"Content-Type": "application/x-ndjson"})


def register(daemon, **document):
    return daemon.post("/v1/datasets", json.dumps(document).encode(), **{"Content-Type": "application/json"})


def anneal(daemon, *arguments):
    """Runs the command line; its exit code and what it printed."""
    environment = {**os.environ, "ANNEAL_URL": daemon.url}
    ended = subprocess.run([PROGRAMS / "anneal", *arguments], env=environment, capture_output=True, text=True, timeout=60)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", SOUND)
def test_each_format_is_told_by_its_keys(shared_daemon, name):
    answer = upload(shared_daemon, f"sound-{name}", lines(SOUND[name]))
    assert answer.status == 201 and answer.json["format"] == name, answer.body
    assert upload(shared_daemon, f"named-{name}", lines(SOUND[name]), f"&format={name}").status == 201


BROKEN = [
    ({"messages": [*CHAT[:1], {"role": "assistant", "content": ""}]}, "/messages/1/content", "is empty"),
    ({"input": "a", "output": ""}, "/output", "is empty"),
    ({"prompt": "p", "chosen": "a", "rejected": "b", "rejected_reward": "high"}, None, None),
    ({"prompt": CHAT}, "/prompt/1", "a prompt ends with"),
    ({"text": 3}, "/text", "must be a string"),
    ({"conversations": TURNS, "image": "../1.jpg"}, "/image", "climbs out"),
    ({"conversations": TURNS, "image": "/1.jpg"}, "/image", "is absolute"),
    ({"conversations": TURNS, "image": "a/../../1.jpg"}, "/image", "climbs out"),
    ({"conversations": TURNS}, "/conversations/0/value", "names no image"),
    ({"conversations": TURNS[1:], "image": "1.jpg"}, "/conversations/0/from", "human and gpt take turns"),
    ({"conversations": TURNS[:1], "image": "1.jpg"}, "/conversations", "must end with an answer"),
    ({"conversations": [{"from": "human", "value": "what?"}, TURNS[1]], "image": "1.jpg"}, "/conversations/0/value", "lacks <image>"),
    ({"conversations": [{"from": "robot", "value": "a"}]}, "/conversations/0/from", "'robot' is none of"),
]


@pytest.mark.parametrize("record, pointer, words", BROKEN)
def test_each_fault_of_a_record_has_its_place(shared_daemon, record, pointer, words):
    answer = upload(shared_daemon, "broken", lines(record))
    if pointer is None:
        pointer, words = "/rejected_reward", "must be a number"
    assert answer.status == 422 and answer.json["code"] == "invalid_dataset"
    assert any(error["line"] == 1 and error["pointer"] == pointer and words in error["detail"] for error in answer.json["errors"]), answer.body


def test_any_objects_and_generations_are_taken_by_name(shared_daemon):
    body = lines({"question": "q", "answer": "a"})
    refused = upload(shared_daemon, "any", body)
    assert refused.status == 422 and "name the format 'records'" in refused.json["errors"][0]["detail"]
    assert upload(shared_daemon, "any", body, "&format=records").json["format"] == "records"
    assert upload(shared_daemon, "any", body, "&format=generations").status == 422
    assert upload(shared_daemon, "gen", lines({"generation": "g"}), "&format=generations").json["format"] == "generations"
    assert upload(shared_daemon, "any", body, "&format=webpage").status == 400


def test_all_errors_are_counted_and_the_first_listed(shared_daemon):
    for count, more in ((100, ""), (101, "the first 100 are listed")):
        answer = upload(shared_daemon, "many", lines(*[{"input": "a", "output": 1}] * count))
        assert f"{count} errors in {count} records" in answer.json["detail"] and more in answer.json["detail"]
        assert len(answer.json["errors"]) == 100


GOOD = lines(SOUND["input_output"])
BAD_FILES = {
    "utf-16": (GOOD.decode().encode("utf-16"), 1, "is text in UTF-16"),
    "utf-16 without a mark": (GOOD.decode().encode("utf-16-le"), 1, "UTF-16 without a byte order mark"),
    "latin-1": (GOOD + '{"input": "é", "output": "b"}\n'.encode("latin-1"), 2, "not UTF-8"),
    "gzip": (gzip.compress(GOOD), 1, "is compressed by gzip, not JSON text in UTF-8; decompress it first"),
    "deep": (GOOD + b'{"input": "a", "output": ' + b"[" * 100_000, 2, "more than 256 levels of nesting"),
    "repeated key": (GOOD + b'{"input": "a", "input": "c", "output": "b"}\n', 2, "the key 'input' stands twice"),
    "cut": (GOOD + b'{"input": "a", "outp', 2, "the file ends inside this record"),
    "empty": (b"", 1, "holds no records"),
    "page": (b"<!DOCTYPE html><p>Log in", 1, "is an HTML or XML page"),
    "cut array": (json.dumps([SOUND["input_output"]] * 3, indent=1).encode()[:-1], 14, "']' is missing"),
    "array in an array": (b'[{"input": "a", "output": "b"}, 3]', 1, "it must be an object"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_clear_message_with_its_line(shared_daemon, name):
    body, line, words = BAD_FILES[name]
    answer = upload(shared_daemon, "bad", body)
    assert answer.status == 422 and len(answer.json["errors"]) == 1, answer.body
    assert answer.json["errors"][0]["line"] == line and words in answer.json["errors"][0]["detail"], answer.body


def test_a_line_may_be_long_but_not_endless(daemon):
    record = lambda size: b'{"input": "' + b"x" * (size - len('{"input": "", "output": "b"}')) + b'", "output": "b"}\n'
    assert upload(daemon, "long", record(64 << 20)).status == 201
    answer = upload(daemon, "long", GOOD + record((64 << 20) + 1) + GOOD)
    assert answer.status == 422 and [error["line"] for error in answer.json["errors"]] == [2]
    assert "more than 67108864 bytes" in answer.json["errors"][0]["detail"]


def test_one_json_array_is_taken_as_its_records(daemon):
    records = [{**SOUND["conversations"], "id": str(number)} for number in range(3)]
    answer = upload(daemon, "llava", b"\xef\xbb\xbf" + json.dumps(records, indent=2, ensure_ascii=False).encode())
    assert answer.status == 201 and answer.json["rows"] == 3 and answer.json["format"] == "conversations", answer.body
    assert answer.json["source"] == {"kind": "upload", "converted_from": "json_array"}
    body = daemon.get("/v1/datasets/llava/content").body
    assert [json.loads(line) for line in body.splitlines()] == records
    assert answer.json["sha256"] == hashlib.sha256(body).hexdigest()
    wait_until(lambda: not os.listdir(daemon.folder / "uploads"), "the removal of the temporary files")


def test_what_cannot_fit_is_refused_before_it_is_sent(daemon):
    import socket

    with socket.create_connection(("127.0.0.1", int(daemon.url.rsplit(":", 1)[1]))) as connection:
        connection.sendall(b"POST /v1/datasets?name=huge HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 17000000000000\r\n\r\n")
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 507") and "are free on the disk" in answer


def test_a_file_is_copied_and_what_happens_to_it_is_no_matter(daemon, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(GOOD)
    answer = register(daemon, name="copied", file=str(path), sha256=hashlib.sha256(GOOD).hexdigest())
    assert answer.status == 201 and answer.json["source"] == {"kind": "file", "path": str(path), "copied": True}, answer.body
    with open(path, "r+b") as file:
        file.write(b"{broken")
    assert daemon.get("/v1/datasets/copied/content").body == GOOD
    assert register(daemon, name="copied", file=str(path)).status == 422
    assert register(daemon, name="copied", file=str(tmp_path / "none")).status == 409
    assert register(daemon, name="copied", file=str(tmp_path)).status == 409
    wrong = register(daemon, name="copied", file=str(path), sha256="0" * 64)
    assert wrong.status == 409 and wrong.json["errors"][0]["pointer"] == "/sha256"


def test_a_file_that_is_used_where_it_lies_must_stay_as_it_is(daemon, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(GOOD * 3)
    view = register(daemon, name="lies", file=str(path), copy=False).json
    assert view["source"]["copied"] is False and not list((daemon.folder / "datasets").glob(f"*/{view['sha256']}*"))
    job = {"kind": "prepare", "source": {"dataset": "lies"}, "cache": False}
    assert daemon.run({"name": "before", "jobs": {"a": job}})["state"] == "succeeded"
    path.write_bytes(GOOD * 2 + lines({"input": "x", "output": "y"}))
    for place in ("content", "inspect"):
        answer = daemon.get(f"/v1/datasets/lies/{place}")
        assert answer.status == 409 and "has changed since it was registered" in answer.json["detail"], answer.body
    ended = daemon.run({"name": "after", "jobs": {"a": job}})["jobs"]["a"]
    assert ended["state"] == "failed" and "has changed since it was registered" in ended["message"], ended
    newer = register(daemon, name="lies", file=str(path), copy=False)
    assert newer.status == 201 and newer.json["version"] == 2
    path.write_bytes(GOOD * 3)
    assert daemon.get("/v1/datasets/lies@1/content").body == GOOD * 3, "it is what it was again"
    path.unlink()
    assert "is gone" in daemon.get("/v1/datasets/lies@1/content").json["detail"]
    mended = upload(daemon, "lies", GOOD * 3)
    assert mended.status == 200 and mended.json["id"] == view["id"] and mended.json["source"] == {"kind": "upload"}
    assert daemon.get("/v1/datasets/lies@1/content").body == GOOD * 3
    path.write_bytes(GOOD)
    register(daemon, name="kept", file=str(path), copy=False)
    assert daemon.request("DELETE", "/v1/datasets/kept").status == 204 and path.read_bytes() == GOOD
    array = tmp_path / "array.json"
    array.write_text(json.dumps([SOUND["text"]]))
    assert "must be JSON Lines" in register(daemon, name="array", file=str(array), copy=False).json["detail"]
    assert register(daemon, name="array", file=str(array)).json["rows"] == 1


def test_what_is_referred_to_is_not_deleted(daemon):
    delete = lambda name, query="": daemon.request("DELETE", f"/v1/datasets/{name}{query}")
    upload(daemon, "used", GOOD)
    ended = daemon.run({"name": "p", "jobs": {"a": {"kind": "prepare", "source": {"dataset": "used"}, "steps": [{"to_messages": {}}]}}})
    job = ended["jobs"]["a"]
    refused = delete("used")
    assert refused.status == 409 and [error["pointer"] for error in refused.json["errors"]] == ["/source/dataset"], refused.body
    assert job["id"] in refused.json["errors"][0]["detail"] and "force" in refused.json["detail"]
    made = job["outputs"]["dataset"]["id"]
    assert "is an output of job" in delete(made).json["detail"]
    tag = lambda tags: daemon.request("PATCH", "/v1/datasets/used", json.dumps({"tags": tags}).encode(), {"Content-Type": "application/json"})
    tag({"pinned": ""})
    assert "pinned" in delete("used", "?force=true").json["detail"]
    tag({"pinned": None})
    holds = {"hold": {"kind": "prepare", "source": {"dataset": "used"}, "hold": True, "cache": False}}
    held = daemon.submit({"name": "held", "jobs": holds}).json
    busy = delete("used", "?force=true")
    assert busy.status == 409 and "has not ended" in busy.json["detail"] and held["jobs"][0]["id"] in busy.json["detail"], busy.body
    daemon.post(f"/v1/experiments/{held['id']}/cancel")
    daemon.finished(held["id"])
    assert delete(made, "?force=true").status == 204 and delete("used", "?force=true").status == 204
    assert not list((daemon.folder / "datasets").glob("*/*.jsonl"))
    upload(daemon, "used", GOOD)
    again = daemon.run({"name": "p", "jobs": {"a": {"kind": "prepare", "source": {"dataset": "used"}, "steps": [{"to_messages": {}}]}}})
    assert again["jobs"]["a"]["state"] == "succeeded" and again["jobs"]["a"]["reason"] != "cached", "its outputs were deleted"
    assert daemon.get(f"/v1/datasets/{again['jobs']['a']['outputs']['dataset']['id']}/content").status == 200


def test_a_dataset_is_exported_and_converted_where_nothing_is_lost(daemon, tmp_path):
    chats = lines({"messages": CHAT, "id": 7}, {"messages": CHAT, "id": 8})
    upload(daemon, "chats", chats)
    out = tmp_path / "out.jsonl"
    code, text = anneal(daemon, "datasets", "export", "chats@1", str(out))
    assert code == 0 and "2 rows written" in text and out.read_bytes() == chats, text
    code, text = anneal(daemon, "datasets", "export", "chats@1", str(out))
    assert code == 4 and "--force" in text
    assert anneal(daemon, "datasets", "export", "chats", str(out), "--force", "--as", "input_output")[0] == 0
    assert [json.loads(line) for line in out.read_text().splitlines()][1] == {"input": "2*10=?", "output": "20", "id": 8}
    upload(daemon, "pairs", out.read_bytes())
    assert anneal(daemon, "datasets", "export", "pairs", str(out), "--force", "--as", "messages", "--layout", "json")[0] == 0
    assert json.loads(out.read_text()) == [{"messages": CHAT, "id": 7}, {"messages": CHAT, "id": 8}]
    table = tmp_path / "out.csv"
    assert anneal(daemon, "datasets", "export", "pairs", str(table), "--layout", "csv")[0] == 0
    assert table.read_bytes() == b"input,output,id\r\n2*10=?,20,7\r\n2*10=?,20,8\r\n"
    upload(daemon, "long", lines({"messages": CHAT}, {"messages": [{"role": "system", "content": "s"}, *CHAT]}))
    code, text = anneal(daemon, "datasets", "export", "long", str(tmp_path / "no"), "--as", "input_output")
    assert code == 1 and "line 2, /messages" in text and "something would be lost" in text, text
    code, text = anneal(daemon, "datasets", "export", "long", str(tmp_path / "no"), "--layout", "csv")
    assert code == 1 and "line 1, /messages" in text
    stored = next((daemon.folder / "datasets").glob(f"*/{hashlib.sha256(chats).hexdigest()}.jsonl"))
    stored.chmod(0o600)
    stored.write_bytes(chats.replace(b"20", b"21"))
    code, text = anneal(daemon, "datasets", "export", "chats", str(tmp_path / "no"))
    assert code == 1 and "has the hash" in text, text
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file() and path.suffix != ".log") == ["out.csv", "out.jsonl"]


def test_the_command_line_adds_files_and_urls(daemon, tmp_path):
    import sys

    from conftest import ROOT

    sys.path.insert(0, str(ROOT / "Tests"))
    from harness.file_server import FileServer

    with FileServer(GOOD) as server:
        code, text = anneal(daemon, "datasets", "add", server.url, "--name", "web", "--sha256", hashlib.sha256(GOOD).hexdigest())
        assert code == 0 and text.startswith("web@1: 1 rows, input_output"), text
        code, text = anneal(daemon, "datasets", "add", server.url, "--bytes-max", "3")
        assert code == 1 and "more than 3 bytes" in text, text
    path = tmp_path / "local.jsonl"
    path.write_bytes(GOOD)
    code, text = anneal(daemon, "datasets", "add", str(path), "--in-place")
    assert code == 0 and text.startswith("local@1"), text
    assert "(used where it lies)" in anneal(daemon, "datasets", "show", "local")[1]
    assert anneal(daemon, "datasets", "add", "local.jsonl")[0] == 2
    shown = anneal(daemon, "datasets", "inspect", "web")[1]
    for part in ("CHARACTERS", "WORDS", "LABEL (output)", "MEMBER", "from        " + server.url):
        assert part in shown, shown


def test_a_changed_record_is_neither_added_nor_removed(daemon):
    upload(daemon, "look", lines({"id": 1, "input": "a", "output": "b"}, {"id": 2, "input": "c", "output": "d"}))
    upload(daemon, "look", lines({"id": 1, "input": "a", "output": "B"}, {"id": 3, "input": "c", "output": "d"}))
    diff = daemon.get("/v1/datasets/diff?from=look@1&to=look@2").json
    assert (diff["common"], diff["changed"], diff["added"], diff["removed"]) == (0, 1, 1, 1)
    assert diff["changed_samples"][0]["to"] == {"line": 1, "record": {"id": 1, "input": "a", "output": "B"}}


def test_lengths_labels_and_the_schema_are_told(daemon):
    upload(daemon, "look", lines(*[{"input": f"two words {n}", "output": "o", "label": n % 2, "score": n / 2} for n in range(10)]))
    seen = daemon.get("/v1/datasets/look/inspect").json
    assert seen["label_member"] == "label" and {label["value"]: label["records"] for label in seen["labels"]} == {"0": 5, "1": 5}
    assert (seen["words"]["min"], seen["words"]["p50"], seen["words"]["max"]) == (4, 4, 4)
    fields = {field["path"]: field for field in seen["fields"]}
    assert fields["label"]["types"] == ["integer"] and fields["input"]["share"] == 1 and "number" in fields["score"]["types"]
