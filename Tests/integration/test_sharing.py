"""What users of several projects share and what they do not: results that are used again, data sets, what workers have written."""

import json
import subprocess

import pytest
from conftest import PROGRAMS, python, shell, wait_until
from test_access import JSON, make_guarded, make_token, sent
from test_generate import data, mock, records, spec  # noqa: F401 (fixtures)

ROWS = {"rows": {"kind": "prepare", "source": {"generator": {"name": "times_ten", "count": 31}}}}
TOKEN = 'hf_"told"\\in-an-answer-77'


@pytest.fixture
def guarded(make_daemon, tmp_path):
    """A daemon with a token in its configuration, and a secret."""
    (tmp_path / "team").write_text(f"HF_TOKEN={TOKEN}\n")
    (tmp_path / "team").chmod(0o600)
    return make_guarded(make_daemon, tmp_path, f"secrets: {tmp_path}/team\n")


def test_a_result_of_another_project_is_used_again_only_where_nobody_is_kept_from_it(guarded):
    def reason(project, number):
        return guarded.run({"name": f"r{number}", "project": project, "jobs": ROWS})["jobs"]["rows"]["reason"]

    assert reason("theirs", 1) == "succeeded" and reason("ours", 2) == "cached"
    token = make_token(guarded, "ours", "submit", projects=["ours"])
    both = make_token(guarded, "both", "submit", projects=["theirs", "third"])
    first = guarded.run({"name": "r3", "project": "theirs", "jobs": {"other": {**ROWS["rows"], "source": {"generator": {"name": "times_ten", "count": 32}}}}})
    answer = sent(guarded, token, "POST", "/v1/experiments", json.dumps(
        {"name": "r4", "project": "ours", "jobs": {"other": {**ROWS["rows"], "source": {"generator": {"name": "times_ten", "count": 32}}}}}).encode(), **JSON)
    ended = guarded.finished(answer.json["id"])["jobs"]["other"]
    theirs = first["jobs"]["other"]
    assert (ended["state"], ended["reason"], ended["cached_from"]) == ("succeeded", "succeeded", None)
    assert theirs["id"] not in json.dumps(sent(guarded, token, "GET", f"/v1/jobs/{ended['id']}").json)
    # Within a project as ever, and where all who are confined to one see the other.
    assert reason("ours", 5) == "succeeded" and reason("ours", 6) == "cached" and reason("third", 7) == "cached" and both
    assert guarded.request("DELETE", "/v1/tokens/ours").status == 200
    assert guarded.run({"name": "r8", "project": "fourth", "jobs": ROWS})["jobs"]["rows"]["reason"] == "cached"


def test_answers_of_another_projects_model_are_asked_for_again(guarded, mock, data):
    server, path = mock(), data(6)
    make_token(guarded, "ours", "read", projects=["ours"])
    guarded.run({**spec(server.url, path, samples=2), "project": "theirs"})
    # Neither as a whole nor record by record.
    ours = guarded.run({**spec(server.url, path, samples=2), "project": "ours"})["jobs"]["gen"]
    assert ours["reason"] == "succeeded" and server.stats()["requests"] == 24
    more = guarded.run({**spec(server.url, path, samples=3), "project": "theirs"})["jobs"]["gen"]
    assert more["summary"]["reused"] == 12 and server.stats()["requests"] == 30


def test_who_uploaded_a_dataset_stands_in_the_audit_log(guarded):
    body = b'{"input": "a", "output": "b"}\n'
    made = []
    for name in ("first", "second"):
        token = make_token(guarded, name, "submit")
        made.append(sent(guarded, token, "POST", "/v1/datasets?name=shared", body, **{"Content-Type": "application/x-ndjson"}))
    assert [answer.status for answer in made] == [201, 200] and made[0].json["id"] == made[1].json["id"]
    found = wait_until(lambda: len(page := guarded.get("/v1/audit?operation=uploadDataset").json["data"]) == 2 and page, "both records")
    assert [(record["actor"], record["targets"], record["status"]) for record in found] == [
        ("second", [made[0].json["id"]], 200), ("first", [made[0].json["id"]], 201)]


def test_a_token_that_only_reads_does_not_validate(guarded):
    """A check of a spec tells which files, data sets and secrets the machine has: it is for those who may submit."""
    token = make_token(guarded, "reader", "read")
    body = json.dumps({"name": "t", "jobs": {"a": shell("true")}}).encode()
    refused = sent(guarded, token, "POST", "/v1/experiments?dry_run=true", body, **JSON)
    assert refused.status == 403 and "scope 'submit'" in refused.json["detail"]
    assert sent(guarded, make_token(guarded, "ci", "submit"), "POST", "/v1/experiments?dry_run=true", body, **JSON).status == 200


ITEMS = """
import json, os, pathlib
output, secret = pathlib.Path(os.environ["ANNEAL_OUTPUT_DIR"]), os.environ["HF_TOKEN"]
(output / "model").mkdir(parents=True)
(output / "model" / "config.json").write_text("{}")
items = output / "items.jsonl"
items.write_text(json.dumps({"index": 0, "score": 0, "answer": "I am told " + secret + "!"}) + "\\n")
benchmark = {"name": "toy", "dataset": {"sha256": "0" * 64, "path": str(items)}, "samples": 1, "grader": "exact", "settings": {}, "item_count": 1,
             "metrics": {"accuracy": {"value": 0, "stderr": 0}}, "items": str(items), "item_scores": [0]}
evaluation = {"version": 1, "model": str(output / "model"), "server": {"engine": "transformers"}, "benchmarks": [benchmark]}
(output / "evaluation.json").write_text(json.dumps(evaluation))
pathlib.Path(os.environ["ANNEAL_OUTPUTS"]).write_text(json.dumps({"outputs": {"evaluation": {"type": "evaluation", "path": str(output / "evaluation.json")}}}))
"""


def test_a_secret_is_hidden_in_the_items_that_a_worker_has_written(guarded):
    ended = guarded.run({"name": "t", "jobs": {"a": python(ITEMS, secrets=["HF_TOKEN"], outputs=["evaluation"])}})["jobs"]["a"]
    assert ended["state"] == "succeeded", guarded.logs(ended["id"])
    evaluation = ended["outputs"]["evaluation"]["id"]
    items = guarded.get(f"/v1/evaluations/{evaluation}/items")
    [item] = items.json["data"]
    assert set(item["answer"].removeprefix("I am told ").removesuffix("!")) == {"*"} and b"told\\\\\"" not in items.body, item
    guarded.restart()
    assert guarded.get(f"/v1/evaluations/{evaluation}/items").json["data"] == [item]


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("data: /x\nhosts: [good.example, 'http://bad.example/']\n", 2, "'http://bad.example/'"), ("hosts:\n  - a.example\n  - 'b c'\n", 3, "'b c'"),
        ("hosts: only.one\n", 1, "must be a list"), ("hosts: [5]\n", 1, "not '5'"), ("\n\nproxies: 10.0.0.1\n", 3, "must be a list"),
        ("proxies:\n- 10.0.0.0/8\n- nginx\n", 3, "'nginx'"),
    ],
)
def test_a_host_or_a_proxy_that_is_none_is_told_with_its_line(tmp_path, text, line, words):
    (tmp_path / "anneal.yaml").write_text(text)
    command = [PROGRAMS / "anneald", "--data", tmp_path / "data", "--listen", "none", "--config", tmp_path / "anneal.yaml"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert ran.returncode == 2 and f"anneal.yaml:{line}: " in ran.stderr and words in ran.stderr, ran.stderr


def test_validate_tells_in_what_container_a_job_would_run(make_daemon, tmp_path):
    (tmp_path / "anneal.yaml").write_text("containers: {runtime: docker, program: /bin/true, mounts: ['/scratch:/s']}\n")
    daemon = make_daemon("--gpus", "none", "--cpus", "2", "--config", str(tmp_path / "anneal.yaml")).start()
    jobs = {"a": shell("true", container={"image": "lab/train:1", "mounts": ["/corpus:/corpus:ro"], "network": "none"}), "bare": shell("true")}
    (tmp_path / "spec.json").write_text(json.dumps({"name": "t", "jobs": jobs}))
    told = subprocess.run([PROGRAMS / "anneal", "validate", tmp_path / "spec.json", "--url", daemon.url], capture_output=True, text=True, timeout=60)
    assert "a: in a container, docker lab/train:1, network none, sees /scratch as /s, /corpus (read-only)" in told.stdout, told
    assert "bare: in" not in told.stdout
