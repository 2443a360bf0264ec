"""Who may reach the daemon, and what happens to requests that nobody should send."""

import json
import os
import socket
import stat
import subprocess

from conftest import shell, wait_until


def test_a_page_of_another_site_cannot_reach_the_daemon(daemon):
    assert daemon.get("/v1/jobs", Origin="http://evil.example").status == 403
    assert daemon.get("/v1/jobs", Host="evil.example").status == 421
    assert daemon.get("/v1/jobs", Origin=daemon.url).status == 200
    assert daemon.get("/v1/jobs", Host="localhost:1").status == 200


def test_beyond_loopback_a_token_is_required_and_made(make_daemon):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    daemon = make_daemon("--gpus", "none", "--listen", f"0.0.0.0:{port}").start()
    assert daemon.get("/v1/jobs").status == 401 and daemon.get("/v1/jobs").headers["WWW-Authenticate"] == "Bearer"
    path = daemon.folder / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert daemon.get("/v1/jobs", Authorization="Bearer wrong").status == 401
    daemon.token = path.read_text().strip()
    assert daemon.get("/v1/jobs").status == 200
    daemon.restart()
    assert daemon.get("/v1/jobs").status == 200


def test_an_attempts_token_reads_while_it_lives_and_writes_nothing(daemon):
    text = (
        'curl -s -o /dev/null -w "%{http_code} " -H "Authorization: Bearer $ANNEAL_TOKEN" $ANNEAL_URL/v1/jobs/$ANNEAL_JOB_ID; '
        'curl -s -o /dev/null -w "%{http_code}\\n" -X POST -H "Authorization: Bearer $ANNEAL_TOKEN" $ANNEAL_URL/v1/jobs/$ANNEAL_JOB_ID/cancel; echo $ANNEAL_TOKEN'
    )
    job = daemon.run({"name": "t", "jobs": {"a": shell(text)}})["jobs"]["a"]
    codes, token = daemon.logs(job["id"], "?stream=stdout").decode().split("\n")[:2]
    assert codes == "200 403"
    assert daemon.get("/v1/jobs", Authorization=f"Bearer {token}").status == 401
    assert token.encode() not in (daemon.folder / "anneal.db").read_bytes()


def test_the_unix_socket_serves_its_owner_alone(daemon):
    path = daemon.folder / "anneal.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    answer = subprocess.run(["curl", "-s", "--unix-socket", path, "http://any.name/healthz"], capture_output=True, text=True)
    assert json.loads(answer.stdout)["status"] == "ok"


def test_unknown_paths_methods_and_parameters_are_told_apart(daemon):
    assert daemon.get("/v1/nothing").status == 404
    refused = daemon.request("PUT", "/v1/jobs", b"")
    assert refused.status == 405 and refused.headers["Allow"] == "GET, HEAD"
    assert daemon.request("QUERY", "/v1/jobs", b"").status == 405
    unknown = daemon.get("/v1/jobs?colour=red")
    assert unknown.status == 400 and unknown.json["errors"][0]["pointer"] == "/query/colour"
    assert daemon.get("/v1/jobs?limit=500").status == 200 and daemon.get("/v1/jobs?limit=501").status == 400
    assert daemon.get("/v1/jobs/%zz").status == 400
    assert daemon.post("/v1/experiments", b"{}", **{"Content-Type": "image/png"}).status == 415


def test_environment_of_workers_holds_the_contract_and_none_of_the_daemons_secrets(make_daemon):
    daemon = make_daemon("--gpus", "none", "--cpus", "2", DATABASE_PASSWORD="hunter2").start()
    job = daemon.run({"name": "t", "env": {"A": "1"}, "jobs": {"a": shell("env", env={"B": "${matrix.b}"}, matrix={"b": ["x"]})}})["jobs"]["a-1"]
    environment = dict(line.split("=", 1) for line in daemon.logs(job["id"], "?stream=stdout").decode().splitlines() if "=" in line)
    assert "DATABASE_PASSWORD" not in environment
    assert (environment["A"], environment["B"], environment["ANNEAL_ATTEMPT"]) == ("1", "x", "1")
    for name in ("SPEC", "JOB_ID", "ATTEMPT_ID", "ATTEMPT_DIR", "CHECKPOINT_DIR", "OUTPUT_DIR", "METRICS", "OUTPUTS", "URL", "TOKEN"):
        assert environment[f"ANNEAL_{name}"]
    document = json.loads((daemon.folder / "attempts" / environment["ANNEAL_ATTEMPT_ID"] / "job.json").read_text())
    assert document["kind"] == "command" and document["name"] == "a-1" and document["attempt"] == 1


def test_secrets_are_hidden_in_a_dry_run(daemon):
    plan = daemon.submit({"name": "t", "jobs": {"a": shell("true", env={"HF_TOKEN": "hunter2", "PLAIN": "seen"})}}, "?dry_run=true")
    assert b"hunter2" not in plan.body and b"seen" in plan.body


def test_lists_are_paged_without_gap_or_repeat(daemon):
    daemon.run({"name": "t", "jobs": {f"j{n}": shell("true") for n in range(7)}})
    seen, after = [], ""
    while True:
        page = daemon.get(f"/v1/jobs?limit=3{after}").json
        seen += [job["id"] for job in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['next']}"
    assert len(seen) == 7 and seen == sorted(set(seen), reverse=True)


def test_descriptors_return_to_their_number_after_many_attempts(daemon):
    count = lambda: len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    daemon.run({"name": "warm", "jobs": {"a": shell("true")}})
    before = wait_until(count)
    for number in range(3):
        daemon.run({"name": f"t{number}", "jobs": {f"j{n}": shell("true") for n in range(10)}})
    wait_until(lambda: count() <= before + 2, f"the return to {before} descriptors")
