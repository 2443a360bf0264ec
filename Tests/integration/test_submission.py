"""From a document to jobs: what is accepted, what is refused and how, and what is not run again."""

import json

from conftest import command, shell


def test_a_command_runs_and_its_log_exit_code_and_states_are_served(daemon):
    ended = daemon.run({"name": "hello", "jobs": {"greet": shell("echo hello; echo oops >&2")}})
    job = ended["jobs"]["greet"]
    assert ended["state"] == "succeeded" and job["state"] == "succeeded"
    assert job["attempts"][0]["exit_code"] == 0 and job["attempts"][0]["signal"] is None
    assert daemon.logs(job["id"], "?stream=stdout") == b"hello\n"
    assert daemon.logs(job["id"], "?stream=stderr") == b"oops\n"


def test_all_errors_of_a_document_come_at_once_with_pointers_and_lines(daemon):
    answer = daemon.submit(
        "name: bad\n"
        "jobs:\n"
        "  a: {kind: command, comand: [true]}\n"
        "  b:\n"
        "    kind: train\n"
        "    method: sft\n"
        "    model: ${nobody.model}\n"
        "    dataset: ${a.thing}\n"
        "    params: {epochs: many}\n"
    )
    assert answer.status == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["code"] == "invalid_spec" and problem["request_id"].startswith("req_")
    lines = {error["pointer"]: error.get("line") for error in problem["errors"]}
    assert lines["/jobs/b/model"] == 7 and lines["/jobs/b/dataset"] == 8 and lines["/jobs/b/params/epochs"] == 9
    assert any(error["pointer"].startswith("/jobs/a") and error["line"] == 3 for error in problem["errors"])
    assert daemon.get("/v1/experiments").json["data"] == []


def test_broken_yaml_and_json_are_told_with_their_line(daemon):
    answer = daemon.submit("name: x\njobs:\n  a: [unclosed\n")
    assert answer.status == 422 and answer.json["errors"][0]["line"] >= 3
    answer = daemon.post("/v1/experiments", b'{"name": "x",\n "jobs": }', **{"Content-Type": "application/json"})
    assert answer.status == 422 and answer.json["errors"][0]["line"] == 2


def test_a_cycle_is_named(daemon):
    answer = daemon.submit({"name": "ring", "jobs": {"a": command("true", needs=["b"]), "b": command("true", needs=["a"])}})
    assert answer.status == 409 and answer.json["code"] == "unresolved_spec"
    assert "a" in answer.json["detail"] and "b" in answer.json["detail"] and "cycle" in answer.json["detail"]


def test_what_can_never_fit_is_refused_at_submission_and_shown_by_a_dry_run(daemon):
    spec = {"name": "big", "jobs": {"a": command("true", resources={"gpus": 8})}}
    answer = daemon.submit(spec)
    assert answer.status == 409 and answer.json["code"] == "cannot_fit"
    assert "8 GPUs" in answer.json["detail"]
    plan = daemon.submit(spec, "?dry_run=true")
    assert plan.status == 200 and plan.json["fits"] is False and plan.json["jobs"][0]["fits"] is False


#: Examples that make all they need; the others name files that their users bring.
SELF_CONTAINED = {
    *("convert.yaml", "demo.yaml", "distillation.yaml", "dpo-refusals.yaml", "grpo-arithmetic.yaml", "preference-sweep.yaml"),
    *("queue.yaml", "reward-model.yaml", "serve.yaml", "staged-pretraining.yaml", "toy-teacher.yaml"),
}


def test_a_dry_run_warns_of_files_that_this_machine_lacks_and_the_examples_pass_it(daemon):
    from conftest import ROOT

    for example in sorted((ROOT / "deploy" / "examples").glob("*.yaml")):
        plan = daemon.submit(example.read_text(), f"?dry_run=true&base_directory={example.parent}")
        assert plan.status == 200, plan.body
        missing = [warning for warning in plan.json["warnings"] if "there is no" in warning]
        assert bool(missing) == (example.name not in SELF_CONTAINED), plan.json["warnings"]


def test_a_name_is_unique_while_its_experiment_is_active(daemon):
    first = daemon.submit({"name": "one", "jobs": {"a": shell("sleep 60")}})
    again = daemon.submit({"name": "one", "jobs": {"a": shell("true")}})
    assert first.status == 201 and again.status == 409
    assert first.json["id"] in again.json["detail"]
    daemon.post(f"/v1/experiments/{first.json['id']}/cancel")
    daemon.finished(first.json["id"])
    assert daemon.submit({"name": "one", "jobs": {"a": shell("true")}}).status == 201


def test_an_idempotency_key_replays_the_answer_and_refuses_another_body(daemon):
    spec = {"name": "once", "jobs": {"a": shell("true")}}
    first = daemon.submit(spec, **{"Idempotency-Key": "k1"})
    daemon.finished(first.json["id"])
    second = daemon.submit(spec, **{"Idempotency-Key": "k1"})
    assert (second.status, second.body) == (201, first.body)
    assert second.headers["Idempotency-Replayed"] == "true"
    other = daemon.submit({**spec, "name": "twice"}, **{"Idempotency-Key": "k1"})
    assert other.status == 422 and other.json["code"] == "idempotency_mismatch"
    assert len(daemon.get("/v1/experiments").json["data"]) == 1


def test_an_idempotency_key_survives_a_kill_of_the_daemon(daemon):
    spec = {"name": "once", "jobs": {"a": shell("true")}}
    first = daemon.submit(spec, **{"Idempotency-Key": "k2"})
    daemon.restart()
    assert daemon.submit(spec, **{"Idempotency-Key": "k2"}).body == first.body


def test_an_equal_job_is_answered_from_the_cache_unless_told_otherwise(daemon):
    body = {"kind": "command", "command": "echo once"}
    first = daemon.run({"name": "c1", "jobs": {"a": body}})["jobs"]["a"]
    second = daemon.run({"name": "c2", "jobs": {"a": body}})["jobs"]["a"]
    assert (second["state"], second["reason"], second["cached_from"]) == ("succeeded", "cached", first["id"])
    assert second["attempts"] == []
    assert daemon.logs(second["id"]) == b"once\n"
    for name, changed in {"c3": {**body, "cache": False}, "c4": {**body, "env": {"X": "1"}}, "c5": {**body, "command": "echo twice"}}.items():
        assert daemon.run({"name": name, "jobs": {"a": changed}})["jobs"]["a"]["reason"] != "cached"


def test_overrides_change_the_document_before_it_is_judged(daemon):
    spec = {"name": "set", "jobs": {"a": shell('echo "$WORD"', env={"WORD": "before"})}}
    ended = daemon.run(spec, "?set=jobs.a.env.WORD=after&set=name=renamed")
    assert ended["name"] == "renamed" and daemon.logs(ended["jobs"]["a"]["id"]) == b"after\n"
    assert ended["spec"]["jobs"]["a"]["env"]["WORD"] == "after"


def test_a_matrix_expands_into_a_group(daemon):
    spec = {"name": "m", "jobs": {"a": shell("echo ${matrix.x}-${matrix.y}", matrix={"x": [1, 2], "y": ["p", "q"]}), "b": shell("true", needs=["a"])}}
    jobs = daemon.run(spec)["jobs"]
    assert sorted(jobs) == ["a-1", "a-2", "a-3", "a-4", "b"]
    assert {daemon.logs(jobs[f"a-{n}"]["id"]) for n in range(1, 5)} == {b"1-p\n", b"1-q\n", b"2-p\n", b"2-q\n"}
    assert all(jobs[f"a-{n}"]["group"] == "a" for n in range(1, 5)) and len(jobs["b"]["needs"]) == 4


def test_a_failed_need_skips_what_depends_on_it_and_conditions_can_ask_for_failure(daemon):
    ended = daemon.run(
        {
            "name": "cond",
            "jobs": {
                "a": shell("exit 3"),
                "b": shell("true", needs=["a"]),
                "c": shell("true", needs=["b"]),
                "tidy": shell("echo tidied", needs=["a"], **{"if": "failure()"}),
                "never": shell("true", **{"if": False}),
            },
        }
    )
    jobs = ended["jobs"]
    assert ended["state"] == "failed"
    assert (jobs["a"]["state"], jobs["a"]["attempts"][0]["exit_code"]) == ("failed", 3)
    assert (jobs["b"]["state"], jobs["b"]["reason"]) == ("skipped", "need_failed")
    assert (jobs["c"]["state"], jobs["c"]["reason"]) == ("skipped", "need_failed")
    assert jobs["tidy"]["state"] == "succeeded"
    assert (jobs["never"]["state"], jobs["never"]["reason"]) == ("skipped", "condition_false")


def test_outputs_flow_by_reference_and_are_registered_with_lineage(daemon):
    write = 'printf \'{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}\\n\' > "$ANNEAL_OUTPUT_DIR/d.jsonl"; '
    report = 'echo "{\\"outputs\\":{\\"made\\":{\\"type\\":\\"dataset\\",\\"path\\":\\"$ANNEAL_OUTPUT_DIR/d.jsonl\\"}}}" > "$ANNEAL_OUTPUTS"'
    spec = {"name": "flow", "jobs": {"a": shell(write + report, outputs=["made"]), "b": command("cat", "${a.made}")}}
    jobs = daemon.run(spec)["jobs"]
    made = jobs["a"]["outputs"]["made"]
    assert made["type"] == "dataset" and made["rows"] == 1 and len(made["sha256"]) == 64
    assert json.loads(daemon.logs(jobs["b"]["id"]))["messages"][1]["content"] == "a"
    lineage = daemon.get(f"/v1/lineage/{jobs['b']['id']}").json
    assert {made["id"], jobs["a"]["id"]} <= {node["id"] for node in lineage["nodes"]}
    assert any(edge["from"] == made["id"] and edge["to"] == jobs["b"]["id"] for edge in lineage["edges"])


def test_a_thousand_jobs_in_one_spec_are_accepted_and_run(daemon):
    spec = {"name": "many", "jobs": {f"j{n}": command("true") for n in range(1000)}}
    answer = daemon.submit(spec)
    assert answer.status == 201 and len(answer.json["jobs"]) == 1000
    daemon.post(f"/v1/experiments/{answer.json['id']}/cancel")


