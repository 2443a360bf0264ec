"""The proof of safety, held against every operation of the contract: who gets in, what is named, what is told, what is written down."""

import json
import re
import socket
import sqlite3
import stat

import pytest
from conftest import python, shell, wait_until
from stand_ins import secret_holders
from test_access import CONTRACT, JSON, METHODS, make_guarded, make_token, operations, planted, sent

#: High enough that a test's own requests are not taken for guesses.
NO_LIMITS = "rate_limits: {failures_burst: 1000000, failures_per_minute: 1000000}\n"
PARAMETER = re.compile(r"\{[^}]*\}")


def every_operation():
    """Method, path and the operation itself, the open ones included."""
    for path, item in CONTRACT["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def target_of(path, value="x"):
    """A path with each of its parameters replaced."""
    return PARAMETER.sub(lambda _: value, path)


def body_of(method):
    """A body that is JSON where there may be one."""
    return None if method == "GET" else b"{}"


@pytest.fixture
def guarded(make_daemon, tmp_path):
    """A daemon with a token in its configuration."""
    return make_guarded(make_daemon, tmp_path, NO_LIMITS)


def test_every_operation_says_who_may_call_it():
    for method, path, operation in every_operation():
        assert "security" in operation, (method, path)
        assert operation["security"] == [] or operation["security"][0] == {}, (method, path)


def test_a_token_that_does_not_live_opens_nothing(guarded):
    revoked, brief = make_token(guarded, "revoked", "admin"), make_token(guarded, "brief", "admin", expires_in="1s")
    assert guarded.request("DELETE", "/v1/tokens/revoked").status == 200
    ended = guarded.run({"name": "t", "jobs": {"a": shell("echo $ANNEAL_TOKEN")}})["jobs"]["a"]
    past = guarded.logs(ended["id"], "?stream=stdout").decode().strip()
    wait_until(lambda: sent(guarded, brief, "GET", "/v1/jobs").status == 401, "the token's end")
    shown = {"none": None, "unknown": "ann_" + "0" * 40, "revoked": revoked, "expired": brief, "of an attempt that has ended": past}
    for method, path, _ in operations():
        for word, token in shown.items():
            answer = sent(guarded, token, method, target_of(path), body_of(method), **JSON)
            assert answer.status == 401, (word, method, path, answer.body)


def test_a_workers_token_reads_its_experiment_logs_for_its_job_and_does_no_more(guarded, tmp_path):
    theirs = planted(guarded, "theirs")
    text = f"umask 077; echo $ANNEAL_TOKEN > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/token; exec tail -f /dev/null"
    answer = guarded.submit({"name": "own", "project": "ours", "jobs": {"a": shell(text)}}).json
    token = wait_until(lambda: (tmp_path / "token").exists() and (tmp_path / "token").read_text().strip(), "the worker's token")
    own = answer["jobs"][0]["id"]
    names = {"experiment_id": theirs["experiment"], "job_id": theirs["job"], "checkpoint_id": theirs["checkpoint"], "id": theirs["job"],
             "evaluation_id": theirs["evaluation"], "dataset": theirs["dataset"], "run_id": theirs["job"], "project": "theirs", "path+": "x"}
    for method, path, operation in every_operation():
        if operation["security"] == [] or operation["operationId"] == "streamEvents":
            continue
        target = re.sub(r"\{([^}]*)\}", lambda match: names.get(match[1], "x"), path)
        refused = sent(guarded, token, method, target, body_of(method), **JSON)
        scopes = {scope for choice in operation["security"] for scope in choice.get("bearerAuth", [])}
        if not scopes & {"read", "attempt"}:
            assert refused.status == 403, (method, path, refused.body)
        elif "{" in path:
            assert refused.status in (403, 404), (method, path, refused.body)
        else:
            assert not any(name.encode() in refused.body for name in theirs.values()), (method, path)
    for path in (f"/v1/jobs/{own}", f"/v1/experiments/{answer['id']}", f"/v1/jobs/{own}/logs", f"/v1/jobs/{own}/explain"):
        assert sent(guarded, token, "GET", path).status == 200, path
    points = b'{"points": [{"key": "a", "step": 1, "value": 1}]}'
    assert sent(guarded, token, "POST", f"/v1/jobs/{own}/metrics", points, **JSON).status in (200, 202, 204)
    guarded.post(f"/v1/jobs/{own}/cancel")
    guarded.finished(answer["id"])


def test_what_lists_tell_a_token_of_one_project_holds_nothing_of_another(guarded):
    theirs = planted(guarded, "theirs")
    token = make_token(guarded, "ours", "read", projects=["ours"])
    for method, path, operation in every_operation():
        if method != "GET" or "{" in path or operation["operationId"] == "streamEvents":
            continue
        body = sent(guarded, token, "GET", path).body
        assert not any(name.encode() in body for name in (*theirs.values(), '"theirs"')), path


def test_no_operation_is_for_other_names_and_other_pages(guarded):
    for method, path, operation in every_operation():
        target = target_of(path)
        for headers, status in (({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403)):
            answer = guarded.request(method, target, body_of(method), {**JSON, **headers})
            # MLflow's protocol has no word for the former.
            assert answer.status == status or (answer.status, status) == (400, 421) and "/mlflow" in path, (method, path, headers, answer.status)
            assert "access-control-allow-origin" not in {name.lower() for name in answer.headers}, (method, path)


#: What somebody may put where a name is meant.
CLIMBING = (
    "..", "%2e%2e", "%2E%2E%2F%2e%2e%2fanneal.db", "..%2f..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "..%5c..%5cetc", "%00", "x%00.jsonl", ".", "%2e",
    "%252e%252e%252f", "%c0%ae%c0%ae", "%ff", "x" * 6000, "%0d%0aSet-Cookie:a=b", "a;b", "'--", "~root", "file:%2f%2f%2fetc%2fpasswd", "$(id)",
)


def test_no_path_climbs_out_of_what_it_names(guarded):
    """Every parameter of every path, in every spelling: a refusal in words, nothing of the machine's files, and no error of the daemon's."""
    before = listing(guarded.folder)
    for method, path, operation in every_operation():
        if "{" not in path or operation["security"] == [] and method != "GET":
            continue
        for name in CLIMBING:
            answer = guarded.request(method, target_of(path, name), body_of(method), dict(JSON))
            assert 400 <= answer.status < 500, (method, path, name[:40], answer.status, answer.body[:300])
            assert b"root:x:" not in answer.body and b"SQLite format" not in answer.body, (method, path, name[:40])
            assert "set-cookie" not in {header.lower() for header in answer.headers}
    assert guarded.process.poll() is None
    assert {path for path in listing(guarded.folder) - before if "audit" not in path and "anneal.db" not in path} == set()


def listing(folder):
    """Every file and folder below `folder` and beside it."""
    return {str(path) for path in folder.parent.rglob("*")}


def test_dots_in_the_path_itself_lead_nowhere(guarded):
    for target in ("/v1/../v1/jobs", "/../../etc/passwd", "/assets/../index.html", "/assets/..%2f..%2f..%2fetc%2fpasswd", "//etc/passwd", "/./v1/jobs",
                   "/assets/%2e%2e/%2e%2e/etc/passwd", "/v1/jobs/..;/tokens", "/%2e%2e/%2e%2e/etc/passwd", "/openapi.yaml/../etc/passwd"):
        status, body = raw(guarded, target)
        assert status in (400, 404) and b"root:x:" not in body, (target, status)


def raw(daemon, target):
    """Status and body of a GET of a target as it stands, with the daemon's token."""
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {daemon.token}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(daemon.url.rsplit(":", 1)[1]))) as client:
        client.sendall(request.encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


def test_a_spec_reads_no_file_beyond_the_allowed_folders_by_any_key(make_daemon, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "rows.jsonl").write_text('{"input": "a", "output": "b"}\n')
    (allowed / "model").mkdir()
    (allowed / "model" / "config.json").write_text("{}")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "f.jsonl").write_text('{"input": "hidden-words", "output": "b"}\n')
    (hidden / "f.yaml").write_text("hidden-words: [")
    (hidden / "config.json").write_text("{}")
    daemon = make_guarded(make_daemon, tmp_path, f"paths: {{readable: [{allowed}]}}\n")
    data, model = str(allowed / "rows.jsonl"), str(allowed / "model")
    jobs = {
        "/source/file": {"kind": "prepare", "source": {"file": f"{hidden}/f.jsonl"}},
        "/source/dataset": {"kind": "prepare", "source": {"dataset": f"{hidden}/f.jsonl"}},
        "/model": {"kind": "train", "method": "sft", "model": f"{hidden}", "dataset": data, "params": {"max_steps": 1}},
        "/dataset": {"kind": "train", "method": "sft", "model": model, "dataset": f"{hidden}/f.jsonl", "params": {"max_steps": 1}},
        "/validation": {"kind": "train", "method": "sft", "model": model, "dataset": data, "validation": f"{hidden}/f.jsonl", "params": {"max_steps": 1}},
        "/prompt": {"kind": "generate", "model": model, "dataset": data, "server": {"engine": "mock"}, "prompt": f"{hidden}/f.yaml"},
        "/benchmarks/0/dataset": {"kind": "evaluate", "model": model, "server": {"engine": "mock"}, "benchmarks": [{"dataset": f"{hidden}/f.jsonl"}]},
        "/container/mounts/0": shell("true", container={"image": "i", "mounts": [f"{hidden}:/seen"]}),
    }
    for pointer, job in jobs.items():
        for query in ("", "?dry_run=true"):
            refused = daemon.submit({"name": "t", "jobs": {"a": job}}, query)
            told = {error["pointer"]: error["detail"] for error in refused.json.get("errors", [])}
            assert refused.status == 403, (pointer, refused.body)
            assert "lets specs read" in told[f"/jobs/a{pointer}"] and b"hidden-words" not in refused.body, (pointer, told)


TOKEN = "hf_grepped-for-everywhere-2209"
#: Tells everybody of its secret in every way that a worker has: prints it, names it in its report, and logs it by the trackers' protocols.
TELLS = """
import json, os, sys, urllib.request
secret, url, job = os.environ["HF_TOKEN"], os.environ["ANNEAL_URL"], os.environ["ANNEAL_JOB_ID"]
def send(operation, **body):
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["ANNEAL_TOKEN"]}
    urllib.request.urlopen(urllib.request.Request(url + operation, json.dumps({"run_id": job, **body}).encode(), headers))
send("/api/2.0/mlflow/runs/log-parameter", key="a", value=secret)
send("/api/2.0/mlflow/runs/set-tag", key="b", value="token=" + secret)
send("/api/2.0/mlflow/runs/log-batch", params=[{"key": "c", "value": secret}], tags=[{"key": "d", "value": secret}])
print("out", secret, flush=True)
with open(os.environ["ANNEAL_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"step": 1, "train/loss": 1}) + "\\n")
with open(os.environ["ANNEAL_OUTPUTS"], "w") as outputs:
    json.dump({"failure": {"reason": "crashed", "message": "no access with " + secret}}, outputs)
sys.exit("RuntimeError: denied for " + secret)
"""


def test_a_secret_that_a_worker_tells_is_in_no_answer_no_page_of_the_database_and_no_log(make_daemon, tmp_path):
    (tmp_path / "team").write_text(f"HF_TOKEN={TOKEN}\n")
    (tmp_path / "team").chmod(0o600)
    daemon = make_guarded(make_daemon, tmp_path, f"secrets: {tmp_path}/team\n")
    ended = daemon.run({"name": "telling", "secrets": ["HF_TOKEN"], "jobs": {"a": python(TELLS, retry=0), "b": shell("echo $HF_TOKEN", needs=[])}})
    job = ended["jobs"]["a"]
    assert job["state"] == "failed" and "*" * len(TOKEN) in daemon.logs(job["id"], "?stream=stdout").decode(), (job, daemon.logs(job["id"]))
    names = {"experiment_id": ended["id"], "job_id": job["id"], "id": job["id"], "project": "default", "run_id": job["id"], "file": "app.js"}
    asked = 0
    for method, path, operation in every_operation():
        if method != "GET" or operation["operationId"] == "streamEvents":
            continue
        target = re.sub(r"\{([^}]*)\}", lambda match: names.get(match[1], "x"), path)
        for query in ("", f"?run_id={job['id']}", f"?experiment={ended['id']}&after=0", f"?job={job['id']}&key=*", "?tail=100"):
            answer = daemon.get(target + query)
            asked += answer.status == 200
            assert TOKEN.encode() not in answer.body, (path, query)
    assert asked > 40
    for query in (f"?experiment={ended['id']}&after=0", f"?job={job['id']}&types=log,state,metric,alert,end&after=0"):
        assert TOKEN.encode() not in daemon.get(f"/v1/stream{query}", Accept="application/x-ndjson").body
    search = json.dumps({"experiment_ids": [ended["id"]]}).encode()
    assert TOKEN.encode() not in daemon.post("/api/2.0/mlflow/runs/search", search, **JSON).body
    # While it runs: the write-ahead log and what SQLite keeps beside it, too.
    pages = [path for path in daemon.folder.glob("anneal.db*")]
    assert len(pages) > 1 and [path for path in pages if TOKEN.encode() in path.read_bytes()] == []
    target = tmp_path / "backup"
    assert daemon.post("/v1/backup", json.dumps({"target": str(target), "mode": "copy"}).encode(), **JSON).status == 202
    wait_until((target / "backup.json").exists, "the backup")
    daemon.kill(15)
    # A worker's own logs are its own, and keep what it printed; the backup has them as they are.
    for folder in (daemon.folder, target):
        holders = {path.name for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()}
        assert holders == {"stdout.log", "stderr.log", "outputs.json"}, (folder, holders)
    assert TOKEN not in daemon.log_text() and daemon.token not in daemon.log_text()


def test_tokens_are_in_no_command_line_no_file_and_no_environment_but_their_workers(guarded, tmp_path):
    token = make_token(guarded, "ci", "submit")
    text = f"umask 077; echo $ANNEAL_TOKEN > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/token; exec tail -f /dev/null"
    run = guarded.submit({"name": "t", "jobs": {"a": shell(text)}}).json
    own = wait_until(lambda: (tmp_path / "token").exists() and (tmp_path / "token").read_text().strip(), "the worker's token")
    shim = guarded.shim(guarded.job(run["jobs"][0]["id"])["attempts"][0]["id"])
    assert {process for process, part in secret_holders(own)} == {shim["child_pid"]} and secret_holders(token, guarded.token) == []
    with sqlite3.connect(guarded.folder / "anneal.db") as database:
        dump = "\n".join(database.iterdump())
    pages = b"".join(path.read_bytes() for path in guarded.folder.glob("anneal.db*"))
    for secret in (token, own, guarded.token):
        assert secret not in dump and secret.encode() not in pages
    # spec.json is the shim's, in a folder that is the daemon's alone.
    [holder] = [path for path in guarded.folder.rglob("*") if path.is_file() and own.encode() in path.read_bytes()]
    assert holder.name == "spec.json" and stat.S_IMODE(holder.stat().st_mode) == 0o600 and stat.S_IMODE(holder.parent.stat().st_mode) == 0o700
    guarded.post(f"/v1/experiments/{run['id']}/cancel")
    guarded.finished(run["id"])


def test_every_operation_that_writes_is_in_the_audit_log_refused_or_not(guarded):
    reader = make_token(guarded, "reader", "read")
    writes = [
        (method, target_of(path)) for method, path, operation in every_operation()
        if any({"submit", "admin", "attempt"} & set(choice.get("bearerAuth", [])) for choice in operation["security"]) and method != "GET"
    ]
    assert len(writes) > 40
    for method, path in writes:
        assert sent(guarded, reader, method, path, b"{}", **JSON).status == 403, path
        # A body that no operation takes: refused for what it is, or for what it names.
        assert guarded.request(method, path, b'{"": 0}', {**JSON, "Idempotency-Key": "k"}).status < 500, path

    def records():
        found, after = [], ""
        while True:
            page = guarded.get(f"/v1/audit?limit=500{after}").json
            found += page["data"]
            if not page["has_more"]:
                return found
            after = f"&after={page['next']}"

    def missing():
        told = {(record["method"], record["path"], record["actor_kind"]) for record in records()}
        return [(*write, kind) for write in writes for kind in ("token", "configured") if (*write, kind) not in told]

    wait_until(lambda: not missing(), "a record of every write")
    for record in records():
        assert record["address"] == "127.0.0.1" and record["at"] and record["status"], record
        if record["actor_kind"] == "token":
            assert (record["actor"], record["status"]) == ("reader", 403), record
    assert guarded.token not in json.dumps(records()) and reader not in json.dumps(records())
