"""Tokens: who may call what, and what of another project nobody sees."""

import json
import os
import re
import socket
import subprocess

import pytest
import yaml
from conftest import PROGRAMS, ROOT, script, shell, wait_until

JSON = {"Content-Type": "application/json"}
CONTRACT = yaml.safe_load((ROOT / "openapi.yaml").read_text())
METHODS = ("get", "post", "put", "patch", "delete")
RANKS = {"read": 0, "submit": 1, "admin": 2}


def operations():
    """Method, path and needed scope of each operation that needs one; the forms of foreign protocols included."""
    for path, item in CONTRACT["paths"].items():
        for method in METHODS:
            if method in item and item[method]["security"]:
                yield method.upper(), path, item[method]["security"][1]["bearerAuth"][0]


def make_token(daemon, name, scope, **more):
    """A new token of a daemon whose own token is set."""
    answer = daemon.request("POST", "/v1/tokens", json.dumps({"name": name, "scope": scope, **more}).encode(), dict(JSON))
    assert answer.status == 201, answer.body
    return answer.json["token"]


def sent(daemon, token, method, path, body=None, **headers):
    """The answer to a request with a token in place of the daemon's own."""
    kept, daemon.token = daemon.token, None
    try:
        return daemon.request(method, path, body, {**headers, **({"Authorization": f"Bearer {token}"} if token else {})})
    finally:
        daemon.token = kept


@pytest.fixture
def guarded(make_daemon, tmp_path):
    """A daemon whose configuration has a token."""
    return make_guarded(make_daemon, tmp_path, "")


def make_guarded(make_daemon, tmp_path, more):
    (tmp_path / "anneal.yaml").write_text("token: the-configured-token\n" + more)
    daemon = make_daemon("--gpus", "none", "--cpus", "2", "--config", str(tmp_path / "anneal.yaml"))
    daemon.token = "the-configured-token"
    return daemon.start()


def planted(daemon, project):
    """One of everything in a project: experiment, job, checkpoint, evaluation and dataset."""
    makes = script("makes_artifacts.py", outputs=["model", "evaluation"])
    prepares = {"kind": "prepare", "cache": False, "source": {"generator": {"name": "times_ten", "count": 20 + len(project)}}}
    run = daemon.run({"name": "planted", "project": project, "jobs": {"a": makes, "rows": prepares}})
    job = run["jobs"]["a"]
    assert run["state"] == "succeeded", daemon.logs(job["id"])
    checkpoint = daemon.get(f"/v1/checkpoints?job={job['id']}").json["data"][0]["id"]
    evaluation = daemon.get(f"/v1/evaluations?job={job['id']}").json["data"][0]["id"]
    dataset = run["jobs"]["rows"]["outputs"]["dataset"]["id"]
    return {"experiment": run["id"], "job": job["id"], "checkpoint": checkpoint, "evaluation": evaluation, "dataset": dataset}


def test_a_token_is_shown_once_and_lasts_until_it_is_revoked(guarded):
    token = make_token(guarded, "ci", "submit")
    listed = guarded.get("/v1/tokens").json["data"][0]
    assert (listed["name"], listed["scope"], listed["state"], listed["token"]) == ("ci", "submit", "active", None)
    assert sent(guarded, token, "GET", "/v1/jobs").status == 200
    assert guarded.get("/v1/tokens").json["data"][0]["last_used_at"]
    guarded.restart()
    assert sent(guarded, token, "GET", "/v1/jobs").status == 200
    assert guarded.request("POST", "/v1/tokens", b'{"name": "ci", "scope": "read"}', dict(JSON)).status == 409
    assert guarded.request("DELETE", "/v1/tokens/ci").json["state"] == "revoked"
    refused = sent(guarded, token, "GET", "/v1/jobs")
    assert refused.status == 401 and "revoked" in refused.json["detail"]
    brief = make_token(guarded, "ci", "read", expires_in="1s")
    wait_until(lambda: sent(guarded, brief, "GET", "/v1/jobs").status == 401, "the token's end")
    faults = guarded.request("POST", "/v1/tokens", b'{"name": "", "scope": "all", "projects": [], "expires_in": "soon", "x": 1}', dict(JSON))
    assert {fault["pointer"] for fault in faults.json["errors"]} == {"/name", "/scope", "/projects", "/expires_in", "/x"}
    assert guarded.request("POST", "/v1/tokens", b'{"name": "a", "scope": "admin", "projects": ["p"]}', dict(JSON)).status == 409


def test_a_tokens_projects_and_lifetime_have_their_limits(guarded):
    def status(**more):
        return guarded.request("POST", "/v1/tokens", json.dumps({"name": f"t{len(json.dumps(more))}", "scope": "read", **more}).encode(), dict(JSON)).status

    names = [f"p{number}" for number in range(101)]
    # tokenProjectsMax and tokenLifetimeMax, and one past each.
    assert status(projects=names[:100]) == 201 and status(projects=names) == 400 and status(projects=["p", "p"]) == 400
    assert status(expires_in="3650d") == 201 and status(expires_in="3651d") == 400 and status(expires_in="0s") == 400


def test_no_token_does_more_than_its_scope_on_any_route(guarded):
    tokens = {scope: make_token(guarded, scope, scope) for scope in RANKS}
    for method, path, needed in operations():
        target = re.sub(r"\{[^}]*\}", "x", path)
        assert sent(guarded, None, method, target).status == 401, (method, path)
        for scope, token in tokens.items():
            if RANKS[scope] < RANKS[needed]:
                answer = sent(guarded, token, method, target, b"{}" if method != "GET" else None, **JSON)
                assert answer.status == 403, (method, path, scope, answer.body)
                assert needed in (answer.json.get("detail") or answer.json["message"]), answer.body
            elif path != "/v1/stream":
                assert sent(guarded, token, method, target, b"{}" if method != "GET" else None, **JSON).status not in (401, 403) or "mlflow" in path or "/api/" in path


def test_a_token_of_one_project_finds_nothing_of_another(guarded):
    theirs, ours = planted(guarded, "theirs"), planted(guarded, "ours")
    dataset = theirs["dataset"]
    token = make_token(guarded, "ours", "submit", projects=["ours"])
    get = lambda path: sent(guarded, token, "GET", path)
    assert get(f"/v1/jobs/{ours['job']}").status == 200
    for list_, mine in (("experiments", "experiment"), ("jobs", "job"), ("checkpoints", "checkpoint"), ("evaluations", "evaluation")):
        found = [entry["id"] for entry in get(f"/v1/{list_}").json["data"]]
        assert ours[mine] in found and theirs[mine] not in found, list_
    assert [entry["name"] for entry in get("/v1/projects").json["data"]] == ["ours"]
    assert [entry["id"] for entry in get("/v1/datasets").json["data"]] == [ours["dataset"]] and get(f"/v1/datasets/{dataset}").status == 404
    names = {"experiment_id": theirs["experiment"], "job_id": theirs["job"], "checkpoint_id": theirs["checkpoint"], "project": "theirs",
             "evaluation_id": theirs["evaluation"], "dataset": dataset, "id": theirs["job"], "run_id": theirs["job"], "path": "x"}
    for method, path, needed in operations():
        if "{" not in path or RANKS[needed] > RANKS["submit"]:
            continue
        target = re.sub(r"\{([^}]*)\}", lambda match: names.get(match[1], "x"), path)
        answer = sent(guarded, token, method, target, b'{"points": []}' if method != "GET" else None, **JSON)
        assert answer.status == 404, (method, path, answer.status, answer.body)
    job, evaluation = theirs["job"], theirs["evaluation"]
    for query in (f"jobs?experiment={theirs['experiment']}", f"metrics?job={job}&key=*", f"stream?job={job}", f"checkpoints?job={job}",
                  f"evaluations?job={job}", f"evaluations/compare?base={evaluation}&candidate={evaluation}", f"datasets/diff?from={dataset}&to={dataset}"):
        assert get(f"/v1/{query}").status == 404, query
    # What was uploaded is everybody's to read, and not one project's to change; a name is that of whose datasets have it.
    upload = lambda by, name: sent(guarded, by, "POST", f"/v1/datasets?name={name}", b'{"input": "a", "output": "b"}\n', **{"Content-Type": "application/x-ndjson"})
    shared = upload(guarded.token, "shared").json["id"]
    assert get(f"/v1/datasets/{shared}").status == 200 and sent(guarded, token, "DELETE", f"/v1/datasets/{shared}").status == 403
    assert sent(guarded, token, "DELETE", f"/v1/datasets/{ours['dataset']}").status in (204, 409)
    named = guarded.get(f"/v1/datasets/{dataset}").json["name"]
    assert upload(token, named).status == 403 and upload(token, "fresh").status in (200, 201)
    for path in ("/metrics", "/v1/usage", "/v1/doctor"):
        refused = get(path)
        assert refused.status == 403 and "'ours'" in refused.json["detail"], path
    mlflow = lambda operation, body: sent(guarded, token, "POST", f"/api/2.0/mlflow/{operation}", json.dumps(body).encode(), **JSON)
    assert get(f"/api/2.0/mlflow/runs/get?run_id={job}").status == 404
    assert get(f"/api/2.0/mlflow/experiments/get?experiment_id={theirs['experiment']}").status == 404
    assert get(f"/api/2.0/mlflow/metrics/get-history?run_id={job}&metric_key=a").status == 404
    assert get(f"/api/2.0/mlflow/artifacts/list?run_id={job}").status == 404
    assert mlflow("runs/search", {"experiment_ids": [theirs["experiment"]]}).json["runs"] == []
    assert [one["experiment_id"] for one in mlflow("experiments/search", {}).json["experiments"]] == [ours["experiment"]]
    for operation in ("log-metric", "log-batch", "set-tag", "delete-tag", "log-parameter", "log-inputs", "update", "delete", "restore"):
        refused = mlflow(f"runs/{operation}", {"run_id": job, "key": "k", "value": 1, "timestamp": 1})
        assert refused.status == 404, (operation, refused.body)


def test_a_token_of_one_project_submits_to_it_alone_and_names_nothing_of_others(guarded):
    theirs = planted(guarded, "theirs")
    token = make_token(guarded, "ours", "submit", projects=["ours"])
    submit = lambda spec: sent(guarded, token, "POST", "/v1/experiments", json.dumps(spec).encode(), **JSON)
    refused = submit({"name": "t", "project": "theirs", "jobs": {"a": shell("true")}})
    assert refused.status == 403 and refused.json["errors"][0]["pointer"] == "/project"
    assert submit({"name": "t", "jobs": {"a": shell("true")}}).status == 403
    named = submit({"name": "t", "project": "ours", "jobs": {"a": {"kind": "evaluate", "model": f"checkpoint:{theirs['checkpoint']}",
                    "benchmarks": [{"name": "b", "dataset": "rows"}]}}})
    assert named.status == 422 and any("there is no checkpoint" in fault["detail"] for fault in named.json["errors"]), named.body
    taken = submit({"name": "t", "project": "ours", "jobs": {"a": shell("true")}})
    assert taken.status == 201
    guarded.finished(taken.json["id"])
    events = sent(guarded, token, "GET", f"/v1/stream?experiment={taken.json['id']}", Accept="application/x-ndjson").body.decode()
    assert "succeeded" in events


def test_the_stream_of_everything_tells_a_token_of_its_projects_alone(guarded):
    token = make_token(guarded, "ours", "read", projects=["ours"])
    request = f"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", int(guarded.url.rsplit(":", 1)[1])), timeout=60) as stream:
        stream.sendall(request)
        lines = stream.makefile("rb")
        assert b" 200 " in lines.readline()
        runs = [guarded.run({"name": "t", "project": project, "jobs": {"a": shell("true")}})["id"] for project in ("theirs", "ours", "theirs", "ours")]
        told = []
        while not (told and told[-1]["experiment_id"] == runs[3] and told[-1]["job_id"] is None and told[-1]["data"]["state"] == "succeeded"):
            line = lines.readline()
            told += [json.loads(line)] if line.startswith(b"{") else []
        assert {event["experiment_id"] for event in told} == {runs[1], runs[3]}
        assert [event["seq"] for event in told] == sorted({event["seq"] for event in told})


@pytest.mark.parametrize(
    "text, fault",
    [
        ("proxies: [nginx]", "'proxies'"), ("proxies: [10.0.0.0/33]", "'proxies'"), ("rate_limits: {streams: many}", "'rate_limits.streams'"),
        ("rate_limits: {x: 1}", "'rate_limits' has no 'x'"), ("rate_limits: 5", "'rate_limits' must"), ("paths: {readable: data}", "'paths.readable'"),
        ("paths: {readable: [data]}", "absolute"), ("paths: {writable: [/x]}", "'writable'"), ("audit_retention: soon", "'audit_retention'"),
        ("secrets: {path: /x}", "'secrets' has no 'path'"), ("secrets: [x]", "'secrets' must"),
    ],
)
def test_a_wrong_configuration_is_refused_with_words(tmp_path, text, fault):
    (tmp_path / "anneal.yaml").write_text(text + "\n")
    command = [PROGRAMS / "anneald", "--data", tmp_path / "data", "--listen", "none", "--config", tmp_path / "anneal.yaml"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2 and fault in run.stderr, run.stderr


def test_an_attempts_token_reaches_its_own_experiment_alone(guarded):
    other = guarded.run({"name": "other", "jobs": {"a": shell("true")}})["jobs"]["a"]
    text = """
ask() { curl -s -o /dev/null -w "%{http_code} " -H "Authorization: Bearer $ANNEAL_TOKEN" "$@"; }
ask $ANNEAL_URL/v1/jobs/$ANNEAL_JOB_ID; ask $ANNEAL_URL/v1/jobs/OTHER; ask $ANNEAL_URL/v1/jobs/OTHER/logs; ask $ANNEAL_URL/v1/gpus/metrics
ask $ANNEAL_URL/v1/tokens; ask -X POST -H "Content-Type: application/json" -d '{"points": []}' $ANNEAL_URL/v1/jobs/OTHER/metrics
ask "$ANNEAL_URL/api/2.0/mlflow/runs/get?run_id=OTHER"; ask "$ANNEAL_URL/api/2.0/mlflow/runs/get?run_id=$ANNEAL_JOB_ID"
curl -s -H "Authorization: Bearer $ANNEAL_TOKEN" $ANNEAL_URL/v1/jobs | grep -c OTHER
""".replace("OTHER", other["id"])
    job = guarded.run({"name": "t", "jobs": {"a": shell(text)}})["jobs"]["a"]
    codes = guarded.logs(job["id"], "?stream=stdout").decode().split()
    assert codes == ["200", "404", "404", "403", "403", "404", "404", "200", "0"]


def test_tokens_stand_in_no_log_no_page_of_the_database_and_no_answer(guarded):
    token = make_token(guarded, "secret", "admin")
    run = guarded.run({"name": "t", "jobs": {"a": shell("true")}})
    sent(guarded, token, "POST", f"/v1/jobs/{run['jobs']['a']['id']}/cancel", b"")
    sent(guarded, token, "GET", "/v1/nothing")
    sent(guarded, token + "x", "GET", "/v1/jobs")
    bodies = [sent(guarded, token, "GET", path).body for path in ("/v1/tokens", "/v1/audit", "/v1/doctor", "/v1/jobs", "/metrics", "/v1/experiments")]
    guarded.kill(15)
    files = [path for path in guarded.folder.rglob("*") if path.is_file()] + [guarded.folder.parent / "data.log"]
    for secret in (token, guarded.token):
        assert not any(secret.encode() in body for body in bodies)
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
    assert any(path.name == "anneal.db" for path in files)


def test_every_write_is_in_the_audit_log_with_who_and_how_it_went(guarded):
    reader = make_token(guarded, "reader", "read")
    run = guarded.run({"name": "t", "jobs": {"a": shell("true")}})
    job = run["jobs"]["a"]["id"]
    assert sent(guarded, reader, "POST", f"/v1/jobs/{job}/cancel", b"").status == 403
    guarded.request("PATCH", "/v1/projects/p?", b'{"weight": 2}', dict(JSON))
    log = wait_until(lambda: (page := guarded.get("/v1/audit").json["data"]) and len(page) >= 4 and page, "the audit log")
    by_operation = {record["operation"]: record for record in log}
    assert by_operation["submitExperiment"]["targets"] == [run["id"]] and by_operation["submitExperiment"]["actor_kind"] == "configured"
    refused = by_operation["cancelJob"]
    assert (refused["actor"], refused["status"], refused["targets"], refused["address"]) == ("reader", 403, [job], "127.0.0.1")
    assert by_operation["updateProject"]["status"] == 200 and by_operation["createToken"]["status"] == 201
    assert [one["operation"] for one in guarded.get("/v1/audit?actor=reader").json["data"]] == ["cancelJob"]
    first = guarded.get("/v1/audit?limit=1").json
    assert first["has_more"] and guarded.get(f"/v1/audit?limit=1&after={first['next']}").json["data"][0]["id"] < first["data"][0]["id"]
    assert sent(guarded, reader, "GET", "/v1/audit").status == 403


def test_the_socket_is_its_owners_and_told_in_the_audit_log(guarded):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(guarded.folder / "anneal.sock"))
        client.sendall(b"PATCH /v1/projects/p HTTP/1.1\r\nHost: any\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"weight\": 2}")
        assert b" 200 " in client.recv(4096).split(b"\r\n")[0]
    record = wait_until(lambda: guarded.get("/v1/audit?operation=updateProject").json["data"], "the record")[0]
    assert record["actor_kind"] == "socket" and record["actor"].startswith("uid ") and record["address"] is None


def test_callers_above_their_rate_wait_and_guessers_longer(make_daemon, tmp_path):
    limits = "rate_limits: {token_per_second: 0.5, token_burst: 5, streams: 1, failures_burst: 3, failures_per_minute: 1}\n"
    daemon = make_guarded(make_daemon, tmp_path, limits)
    token, other = make_token(daemon, "a", "read"), make_token(daemon, "b", "read")
    answers = [sent(daemon, token, "GET", "/v1/jobs") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert [sent(daemon, "ann_" + str(n), "GET", "/v1/jobs").status for n in range(4)] == [401, 401, 401, 429]
    # One that has proved itself from here goes on; a right token that has not is no better than a guess.
    assert daemon.get("/v1/jobs").status == 200 and sent(daemon, other, "GET", "/v1/jobs").status == 429
    guess = sent(daemon, other, "GET", "/v1/jobs")
    assert int(guess.headers["Retry-After"]) > 1 and "unknown tokens" in guess.json["detail"]


def test_a_caller_has_so_many_streams_and_loses_them_with_its_token(make_daemon, tmp_path):
    daemon = make_guarded(make_daemon, tmp_path, "rate_limits: {streams: 1}\n")
    token = make_token(daemon, "a", "read")
    request = f"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", int(daemon.url.rsplit(":", 1)[1]))) as stream:
        stream.sendall(request)
        assert b" 200 " in stream.recv(4096).split(b"\r\n")[0]
        refused = sent(daemon, token, "GET", "/v1/stream")
        assert refused.status == 429 and "streams" in refused.json["detail"]
        daemon.request("DELETE", "/v1/tokens/a")
        stream.settimeout(30)
        while stream.recv(4096):
            pass
    fresh = make_token(daemon, "a", "read")
    assert sent(daemon, fresh, "GET", "/v1/jobs").status == 200


def test_a_spec_names_files_of_the_allowed_folders_alone(make_daemon, tmp_path):
    allowed, hidden = tmp_path / "allowed", tmp_path / "hidden"
    for folder in (allowed, hidden):
        folder.mkdir()
        (folder / "rows.jsonl").write_text('{"input": "a", "output": "b"}\n')
    (allowed / "out").symlink_to(hidden)
    (allowed / "loop").symlink_to(allowed / "loop")
    (tmp_path / "link").symlink_to(allowed)
    daemon = make_guarded(make_daemon, tmp_path, f"paths: {{readable: [{tmp_path}/link]}}\n")
    spec = lambda path: {"name": "t", "jobs": {"a": {"kind": "prepare", "source": {"dataset": str(path)}}}}
    assert daemon.submit(spec(allowed / "rows.jsonl"), "?dry_run=true").status == 200
    assert daemon.submit(spec(tmp_path / "link" / "rows.jsonl"), "?dry_run=true").status == 200
    assert daemon.submit(spec("rows.jsonl"), f"?dry_run=true&base_directory={allowed}").status == 200
    assert daemon.submit(spec(allowed / "none.jsonl")).status == 409
    for path in (hidden / "rows.jsonl", allowed / ".." / "hidden" / "rows.jsonl", allowed / "out" / "rows.jsonl", allowed / "loop" / "x", "/etc/passwd",
                 tmp_path / "allowed2" / "rows.jsonl", hidden / "none.jsonl", "/proc/self/cwd/rows.jsonl"):
        for query in ("", "?dry_run=true"):
            refused = daemon.submit(spec(path), query)
            assert refused.status == 403, (path, refused.body)
            assert refused.json["errors"][0]["pointer"] == "/jobs/a/source/dataset" and "lets specs read" in refused.json["errors"][0]["detail"]
    assert daemon.submit(spec("../hidden/rows.jsonl"), f"?base_directory={allowed}").status == 403
    register = lambda path: daemon.post("/v1/datasets", json.dumps({"name": "x", "file": str(path)}).encode(), **JSON)
    assert register(allowed / "rows.jsonl").status == 201 and register(allowed / "out" / "rows.jsonl").status == 403


def test_artifacts_and_uploads_stay_in_their_folders(guarded):
    text = 'mkdir -p $ANNEAL_OUTPUT_DIR/artifacts && cd $ANNEAL_OUTPUT_DIR/artifacts && ln -s /etc out && ln -s /etc/hostname name && echo ok > plain'
    job = guarded.run({"name": "t", "jobs": {"a": shell(text)}})["jobs"]["a"]
    base = f"/api/2.0/mlflow-artifacts/artifacts/{job['experiment_id']}/{job['id']}/artifacts"
    assert guarded.get(f"{base}/plain").body == b"ok\n"
    for path in ("out/hostname", "name", "../../../anneal.db", "%2e%2e/%2e%2e/%2e%2e/anneal.db", "a%2F..%2F..%2Fx", "..", "x%00y", "out/passwd"):
        assert guarded.get(f"{base}/{path}").status in (400, 404), path
        assert guarded.request("PUT", f"{base}/{path}" + ("" if "name" in path else "/new"), b"x").status in (400, 404) or path == "name", path
    assert not os.path.islink(guarded.folder / "jobs" / job["id"] / "outputs" / "artifacts" / "name.partial")
    assert guarded.get(f"/api/2.0/mlflow/artifacts/list?run_id={job['id']}&path=out").json["files"] == []
    assert guarded.request("PUT", f"{base}/below/new.txt", b"x").status == 200 and guarded.get(f"{base}/below/new.txt").body == b"x"
    for name in ("..", "a/b", "..%2Fx", "/etc/x", "%00", ".hidden", "a%0Ab", ""):
        refused = guarded.request("POST", f"/v1/datasets?name={name}", b'{"a": 1}\n', {"Content-Type": "application/x-ndjson"})
        assert refused.status == 400, name


def test_a_projects_quotas_hold_at_submission_or_by_waiting(daemon):
    change = lambda **terms: daemon.request("PATCH", "/v1/projects/p", json.dumps(terms).encode(), dict(JSON))
    assert change(queued_limit=2, running_limit=1).status == 200
    view = daemon.get("/v1/projects/p").json
    assert (view["queued_limit"], view["running_limit"], view["artifact_bytes_limit"], view["artifact_bytes"]) == (2, 1, None, 0)
    refused = daemon.submit({"name": "many", "project": "p", "jobs": {f"j{n}": shell("true") for n in range(3)}})
    assert refused.status == 409 and "2 jobs waiting" in refused.json["detail"], refused.body
    spec = {"name": "two", "project": "p", "jobs": {name: shell("exec tail -f /dev/null", resources={"cpus": 1}) for name in "ab"}}
    run = daemon.submit(spec).json
    jobs = [job["id"] for job in run["jobs"]]
    running = wait_until(lambda: [job for job in jobs if daemon.job(job)["state"] == "running"], "the first job")
    waiting = next(job for job in jobs if job not in running)
    waits = wait_until(lambda: daemon.get(f"/v1/jobs/{waiting}/explain").json["waits_for"], "the reason")
    assert "its project may run 1 job at a time" in waits[0]["message"] and len(running) == 1
    assert change(running_limit=None).status == 200
    daemon.wait_for(waiting, "running")
    daemon.restart()
    assert daemon.get("/v1/projects/p").json["queued_limit"] == 2
    daemon.post(f"/v1/experiments/{run['id']}/cancel")
    daemon.finished(run["id"])
    made = daemon.run({"name": "rows", "project": "p", "jobs": {"r": {"kind": "prepare", "source": {"generator": {"name": "times_ten", "count": 50}}}}})
    assert made["state"] == "succeeded" and daemon.get("/v1/projects/p").json["artifact_bytes"] > 0
    assert change(artifact_bytes_limit=1).status == 200
    refused = daemon.submit({"name": "more", "project": "p", "jobs": {"a": shell("true")}})
    assert refused.status == 409 and "bytes of checkpoints and datasets" in refused.json["detail"]
    assert change(queued_limit=-1).status == 400 and change(running_limit=1_000_001).status == 400 and change(queued_limit=1_000_000).status == 200
