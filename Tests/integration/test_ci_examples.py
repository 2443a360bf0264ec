"""The examples for CI: the script submits, waits, gates and comments against a real daemon, and the files of CI services call it so."""

import http.server
import json
import os
import shutil
import subprocess
import threading

import pytest
import yaml

from conftest import ROOT, wait_until
from test_evaluate import asked, problems
from test_generate import mock  # noqa: F401  (a fixture)

SCRIPT = ROOT / "deploy" / "ci" / "anneal-ci.sh"


@pytest.fixture
def comments():
    """An address that takes comments, and those that it got: path, header and body."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Authorization"], json.loads(body)["body"]))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()


def run(line, folder, **environment):
    if not shutil.which("jq") or not shutil.which("curl"):
        pytest.skip("curl and jq are needed")
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    return subprocess.run(line, cwd=folder, env=clean, capture_output=True, text=True, timeout=120)


def spec(tmp_path, command):
    path = tmp_path / "spec.yaml"
    path.write_text(f"name: t\njobs:\n  a:\n    kind: command\n    cache: false\n    command: {json.dumps(command)}\n")
    return path


def test_a_success_is_told_of_and_the_same_run_submits_once(shared_daemon, tmp_path, comments):
    url, got = comments
    environment = {
        "ANNEAL_URL": shared_daemon.url, "ANNEAL_RUN_KEY": "run-1", "COMMENT_URL": f"{url}/comments", "COMMENT_HEADER": "Authorization: Bearer x",
    }  # fmt: skip
    line = [SCRIPT, spec(tmp_path, "echo good"), "name=pr-7"]
    first, second = run(line, tmp_path, **environment), run(line, tmp_path, **environment)
    assert first.returncode == 0 and second.returncode == 0, (first, second)
    assert first.stdout.splitlines()[0] == second.stdout.splitlines()[0]
    assert "| a | command | succeeded |" in (tmp_path / "report.md").read_text()
    assert [(path, header) for path, header, _ in got] == [("/comments", "Bearer x")] * 2 and "`pr-7` succeeded" in got[0][2]


def test_a_failure_fails_and_a_wrong_spec_is_told_of(shared_daemon, tmp_path):
    failed = run([SCRIPT, spec(tmp_path, "exit 3")], tmp_path, ANNEAL_URL=shared_daemon.url)
    assert failed.returncode == 1 and "failed" in failed.stdout and "exit" in (tmp_path / "report.md").read_text(), failed
    (tmp_path / "bad.yaml").write_text("name: t\njobs: {a: {kind: command}}\n")
    refused = run([SCRIPT, "bad.yaml"], tmp_path, ANNEAL_URL=shared_daemon.url)
    assert refused.returncode == 2 and "/jobs/a" in refused.stderr, refused


def test_a_missed_gate_fails_and_is_told_of_where_tokens_are_asked_for(make_daemon, mock, tmp_path, comments):  # noqa: F811
    url, got = comments
    (tmp_path / "anneal.yaml").write_text("token: the-configured-token\n")
    daemon = make_daemon("--gpus", "none", "--cpus", "2", "--config", str(tmp_path / "anneal.yaml"))
    daemon.token = "the-configured-token"
    daemon.start()
    scopes = {}
    for scope in ("read", "submit"):
        body = json.dumps({"name": scope, "scope": scope}).encode()
        scopes[scope] = daemon.post("/v1/tokens", body, **{"Content-Type": "application/json"}).json["token"]
    job = asked(mock("--mode", "solve:3").url, problems(tmp_path, 12), gate={"accuracy": ">= 0.9"})
    (tmp_path / "gated.yaml").write_text(json.dumps({"name": "gated", "jobs": {"e": job}}))
    environment = {"ANNEAL_URL": daemon.url, "COMMENT_URL": url, "COMMENT_HEADER": "Authorization: Bearer x"}
    for token in ("", scopes["read"]):
        refused = run([SCRIPT, "gated.yaml"], tmp_path, ANNEAL_TOKEN=token, **environment)
        assert refused.returncode == 2 and ("token" in refused.stderr) and not got, refused
    missed = run([SCRIPT, "gated.yaml"], tmp_path, ANNEAL_TOKEN=scopes["submit"], **environment)
    assert missed.returncode == 1, missed
    report = got[0][2]
    assert report == (tmp_path / "report.md").read_text()
    for words in ("`gated` failed", "the gate was missed", "Gate: **missed**", "- accuracy >= 0.9: 0.66", "✗"):
        assert words in report, (words, report)
    assert not [token for token in scopes.values() if token in missed.stdout + missed.stderr + report]
    passed = run([SCRIPT, "gated.yaml", 'jobs.e.gate={"accuracy": ">= 0.5"}'], tmp_path, ANNEAL_TOKEN=scopes["submit"], **environment)
    assert passed.returncode == 0 and "Gate: **passed**" in passed.stdout, passed


def test_a_run_that_is_cancelled_cancels_its_experiment(shared_daemon, tmp_path):
    environment = {"PATH": os.environ["PATH"], "ANNEAL_URL": shared_daemon.url, "ANNEAL_CANCEL": "1"}
    line = [SCRIPT, spec(tmp_path, "sleep 1000"), "name=stopped"]
    script = subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    experiment = script.stdout.readline().split()[1]
    script.stdout.readline()
    os.killpg(script.pid, 15)
    assert script.wait(60) != 0
    wait_until(lambda: shared_daemon.get(f"/v1/experiments/{experiment}").json["state"] == "cancelled", "the cancellation")


def test_the_files_of_services_run_the_script(shared_daemon, tmp_path):
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "anneal-ci.sh").symlink_to(SCRIPT)
    (tmp_path / "experiments").mkdir()
    spec(tmp_path, "echo good").rename(tmp_path / "experiments" / "main.yaml")
    github = yaml.safe_load((SCRIPT.parent / "github-actions.yml").read_text())
    step = github["jobs"]["train"]["steps"][1]
    assert step["env"]["ANNEAL_CANCEL"] == "1" and "comments" in step["env"]["COMMENT_URL"]
    gitlab = yaml.safe_load((SCRIPT.parent / "gitlab-ci.yml").read_text())["train"]
    lines = {"github": step["run"].replace("${{ github.event.pull_request.number }}", "7"), "gitlab": "\n".join(gitlab["script"])}
    for name, text in lines.items():
        done = run(["bash", "-euc", text], tmp_path, ANNEAL_URL=shared_daemon.url, CI_MERGE_REQUEST_IID="8", COMMENT_TOKEN="x")
        assert done.returncode == 0, (name, done)
    names = {experiment["name"] for experiment in shared_daemon.get("/v1/experiments").json["data"]}
    assert {"pr-7", "mr-8"} <= names
