"""Secrets reach their worker, and nothing else: no file, no answer, no command line, no other process."""

import hashlib
import json
import os
import signal
import sqlite3

import pytest
from conftest import command, python, shell, wait_until

TOKEN = "hf_kept-to-itself-0815"
KEY = "wandb/kept\"to\\itself"
#: Prints a digest, so that the test knows what the worker got and no log holds it.
DIGEST = "import hashlib, os; print(hashlib.sha256(os.environ['{}'].encode()).hexdigest())"

#: Lets a program wait to be ended.
PAUSE = "import signal, sys; sys.stdout.flush(); signal.pause()"


@pytest.fixture
def file(tmp_path):
    """The file of secrets."""
    path = tmp_path / "secrets"
    path.write_text(f"# of the team\nHF_TOKEN={TOKEN}\n\nWANDB_API_KEY = '{KEY}'\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def daemon(make_daemon, file, tmp_path):
    """A daemon that takes secrets from that file, and one from its own environment."""
    config = tmp_path / "anneald.yaml"
    config.write_text(json.dumps({"secrets": {"file": str(file), "environment": ["FROM_OUTSIDE"]}}))
    return make_daemon("--gpus", "none", "--cpus", "4", "--config", config, FROM_OUTSIDE="outer-secret-4711", NOT_LISTED="other-secret").start()


def digest(value):
    """SHA-256 of a text, as the worker prints it."""
    return hashlib.sha256(value.encode()).hexdigest()


def holders(folder, *values):
    """The files below a folder that hold one of the values."""
    return [
        path for path in folder.rglob("*") if path.is_file() and any(value.encode() in path.read_bytes() for value in values)
    ]


def test_a_secret_is_in_its_workers_environment_and_nowhere_else(daemon):
    spec = {
        "name": "kept",
        "secrets": ["HF_TOKEN"],
        "jobs": {"a": python(f"{DIGEST.format('WANDB_API_KEY')}; {DIGEST.format('HF_TOKEN')}; {PAUSE}", secrets=["WANDB_API_KEY"])},
    }
    answer = daemon.submit(spec)
    job = answer.json["jobs"][0]["id"]
    printed = wait_until(lambda: (lines := daemon.logs(job).decode().split()) and len(lines) == 2 and lines, "both digests")
    assert printed == [digest(KEY), digest(TOKEN)]
    attempt = daemon.job(job)["attempts"][0]["id"]
    shim = daemon.shim(attempt)
    within = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            try:
                with open(f"/proc/{entry}/{name}", "rb") as text:
                    if TOKEN.encode() in text.read():
                        within.append((int(entry), name))
            except OSError:
                continue
    assert within == [(shim["child_pid"], "environ")]
    daemon.post(f"/v1/jobs/{job}/cancel")
    daemon.finished(answer.json["id"])
    answers = [daemon.get(path).body for path in (f"/v1/experiments/{answer.json['id']}", f"/v1/jobs/{job}", f"/v1/jobs/{job}/explain", "/v1/queue")]
    answers += [daemon.submit(spec, "?dry_run=true").body, answer.body, daemon.get("/v1/doctor").body]
    assert not any(value.encode() in body for body in answers for value in (TOKEN, KEY))
    daemon.kill(signal.SIGTERM)
    assert holders(daemon.folder, TOKEN, KEY) == [] and TOKEN not in daemon.log_text()
    document = json.loads((daemon.folder / "attempts" / attempt / "spec.json").read_text())
    assert document["secrets"] == ["HF_TOKEN", "WANDB_API_KEY"] and not set(document["secrets"]) & set(document["environment"])


def test_what_a_worker_tells_of_its_secret_is_hidden(daemon):
    text = "import os, sys; print('before', os.environ['HF_TOKEN'], 'after'); sys.exit('RuntimeError: no access with ' + os.environ['HF_TOKEN'])"
    ended = daemon.run({"name": "told", "secrets": ["HF_TOKEN"], "jobs": {"a": python(text, retry=0)}})["jobs"]["a"]
    stars = "*" * len(TOKEN)
    assert daemon.logs(ended["id"], "?stream=stdout").decode() == f"before {stars} after\n"
    # At an offset within the value, and by the last lines.
    assert daemon.logs(ended["id"], "?stream=stdout&offset=12").decode() == f"{stars[5:]} after\n"
    assert daemon.logs(ended["id"], "?stream=stderr&tail=1").decode().endswith(stars + "\n")
    assert TOKEN not in daemon.get(f"/v1/jobs/{ended['id']}/logs?follow=true", Accept="text/event-stream").body.decode()
    assert stars in ended["message"]
    assert TOKEN.encode() not in daemon.get(f"/v1/jobs/{ended['id']}/explain").body
    # The file keeps what the worker wrote; the database never had it. A new daemon hides it as well.
    daemon.restart()
    assert stars in daemon.logs(ended["id"], "?stream=stdout").decode()
    daemon.kill(signal.SIGTERM)
    assert {path.name for path in holders(daemon.folder, TOKEN)} == {"stdout.log", "stderr.log"}


def test_a_secret_is_read_anew_at_each_start_and_survives_the_daemon(daemon, file, tmp_path):
    flag = tmp_path / "go"
    wait = f"\nimport sys, threading\nsys.stdout.flush()\nwhile not os.path.exists('{flag}'): threading.Event().wait(0.02)\n"
    text = DIGEST.format("HF_TOKEN") + wait + DIGEST.format("HF_TOKEN")
    answer = daemon.submit({"name": "long", "jobs": {"a": python(text, secrets=["HF_TOKEN"])}})
    job = answer.json["jobs"][0]["id"]
    wait_until(lambda: daemon.logs(job), "the first digest")
    file.write_text("HF_TOKEN=hf_the-next-one\n")
    daemon.restart()
    flag.touch()
    assert daemon.finished(answer.json["id"])["state"] == "succeeded"
    assert daemon.logs(job).decode().split() == [digest(TOKEN)] * 2
    ended = daemon.run({"name": "next", "jobs": {"a": python(DIGEST.format("HF_TOKEN"), secrets=["HF_TOKEN"])}})
    assert daemon.logs(ended["jobs"]["a"]["id"]).decode().split() == [digest("hf_the-next-one")]


def test_a_secret_that_is_missing_is_refused_with_what_to_do(daemon):
    spec = {"name": "lacking", "jobs": {"a": command("true", secrets=["HF_TOKEN", "NOT_LISTED"])}}
    answer = daemon.submit(spec)
    assert answer.status == 409 and [error["pointer"] for error in answer.json["errors"]] == ["/jobs/a/secrets/1"]
    assert "NOT_LISTED" in answer.json["errors"][0]["detail"] and "other-secret" not in str(answer.json)
    plan = daemon.submit(spec, "?dry_run=true").json
    assert any("NOT_LISTED" in warning for warning in plan["warnings"])
    assert plan["jobs"][0]["environment"]["HF_TOKEN"] == "•••"


def test_the_environment_gives_what_it_is_said_to(daemon):
    ended = daemon.run({"name": "outside", "jobs": {"a": python(DIGEST.format("FROM_OUTSIDE"), secrets=["FROM_OUTSIDE"])}})
    assert daemon.logs(ended["jobs"]["a"]["id"]).decode().split() == [digest("outer-secret-4711")]


def test_a_file_that_others_can_read_is_not_used(daemon, file, tmp_path):
    flag = tmp_path / "go"
    first = shell(f"while ! test -e {flag}; do sleep 0.02; done")
    answer = daemon.submit({"name": "waits", "jobs": {"first": first, "a": command("true", secrets=["HF_TOKEN"], needs="first")}})
    file.chmod(0o640)
    refused = daemon.submit({"name": "open", "jobs": {"a": command("true", secrets=["HF_TOKEN"])}})
    assert refused.status == 409 and "chmod 600" in refused.json["errors"][0]["detail"]
    check = next(check for check in daemon.get("/v1/doctor").json["checks"] if check["name"] == "secrets")
    assert not check["ok"] and "640" in check["detail"]
    flag.touch()
    ended = daemon.finished(answer.json["id"])["jobs"]["a"]
    assert ended["reason"] == "start_failed" and "chmod 600" in ended["message"]


def test_systemd_credentials_are_secrets(make_daemon, tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "HF_TOKEN").write_text(TOKEN + "\n")
    daemon = make_daemon("--gpus", "none", CREDENTIALS_DIRECTORY=str(folder)).start()
    ended = daemon.run({"name": "by-systemd", "jobs": {"a": python(DIGEST.format("HF_TOKEN"), secrets=["HF_TOKEN"])}})
    assert daemon.logs(ended["jobs"]["a"]["id"]).decode().split() == [digest(TOKEN)]


def test_a_tracker_is_told_of_no_secret(daemon):
    text = (
        "import json, os, urllib.request as u; "
        "body = json.dumps({'run_id': os.environ['ANNEAL_JOB_ID'], 'key': 'hub_token', 'value': os.environ['HF_TOKEN']}).encode(); "
        "request = u.Request(os.environ['ANNEAL_URL'] + '/api/2.0/mlflow/runs/log-parameter', body, "
        "{'Content-Type': 'application/json', 'Authorization': 'Bearer ' + os.environ['ANNEAL_TOKEN']}); u.urlopen(request)"
    )
    ended = daemon.run({"name": "tracked", "jobs": {"a": python(text, secrets=["HF_TOKEN"])}})["jobs"]["a"]
    assert ended["state"] == "succeeded", daemon.logs(ended["id"])
    daemon.kill(signal.SIGTERM)
    with sqlite3.connect(daemon.folder / "anneal.db") as database:
        assert TOKEN not in "\n".join(database.iterdump())
