"""One server for several jobs: started when it is needed, stopped when it is not, and missed by nobody for long when it dies."""

import json
import os
import signal
import stat
import sys

import pytest

from conftest import ROOT, SCRIPTS, shell, wait_until


class Engine:
    """A folder that stands for a Python environment with an engine, and the journal of its servers."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir()
        self.journal = folder / "journal"
        self.python = folder / "python"
        self.model = folder / "model"
        self.model.mkdir()
        (self.model / "config.json").write_text("{}")
        self.program("python", f'exec {sys.executable} "$@"')
        self.program("vllm", f'exec {sys.executable} -B {SCRIPTS / "model_server.py"} "$@"')

    def program(self, name, text):
        """Writes a shell script."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def events(self, kind):
        """The lines of the journal of one kind."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [line for line in map(json.loads, lines) if line["event"] == kind]

    def job(self, linger="0s", args=None, **more):
        """A job of kind serve."""
        server = {"engine": "vllm", "args": {"journal": str(self.journal), **(args or {})}, "startup_timeout": "60s"}
        return {"kind": "serve", "model": str(self.model), "server": server, "linger": linger, **more}


@pytest.fixture
def engine(tmp_path):
    """An engine whose servers note what happens to them."""
    return Engine(tmp_path / "engine")


@pytest.fixture
def machine(make_daemon, engine):
    """A daemon with four CPUs whose Python environment is the engine's."""
    return make_daemon("--gpus", "none", "--cpus", "4", ANNEAL_PYTHON=str(engine.python)).start()


@pytest.fixture
def data(tmp_path):
    """Writes a file of so many questions, each with its answer."""

    def make(count, name="data"):
        path = tmp_path / f"{name}.jsonl"
        rows = [{"problem": f"{n}*10=?", "messages": [{"role": "user", "content": f"{n}*10=?"}, {"role": "assistant", "content": f"{n}0"}]}
                for n in range(count)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return make


def generate(data, **more):
    """A generation by the job 'model'."""
    return {"kind": "generate", "server": {"job": "model"}, "dataset": data, "prompt": {"user": "{problem}"}, "cache": False, **more}


def evaluate(data, **more):
    """An evaluation of the job 'model'."""
    return {"kind": "evaluate", "server": {"job": "model"}, "benchmarks": [{"name": "toy", "dataset": data}], "cache": False, **more}


def states(ended):
    """The states of an experiment's jobs by name."""
    return {name: (job["state"], job["reason"]) for name, job in ended["jobs"].items()}


def spec(name="s", **jobs):
    """A spec of these jobs."""
    return {"name": name, "jobs": jobs}


def ready(machine, job):
    """The endpoint of a server, once it has one."""
    return wait_until(lambda: machine.job(job)["endpoint"], "the endpoint")


def test_two_jobs_share_one_server_which_starts_with_the_first_and_stops_after_the_last(machine, engine, data):
    jobs = {"model": engine.job("30s"), "gen": generate(data(20)), "eval": evaluate(data(6, "e"), needs="gen")}
    ended = machine.run(spec(**jobs))
    assert ended["state"] == "succeeded", states(ended)
    model = ended["jobs"]["model"]
    assert states(ended) == {"model": ("succeeded", "succeeded"), "gen": ("succeeded", "succeeded"), "eval": ("succeeded", "succeeded")}
    assert len(engine.events("start")) == 1 and len(engine.events("end")) == 1 and len(engine.events("ask")) == 26
    assert {event["model"] for event in engine.events("ask")} == {str(engine.model)}
    assert [attempt["state"] for attempt in model["attempts"]] == ["succeeded"] and model["endpoint"] is None
    assert model["message"] == "every job that uses the server has ended"
    assert b"loading" in machine.logs(model["id"])
    evaluation = machine.get(f"/v1/evaluations?job={ended['jobs']['eval']['id']}").json["data"][0]
    assert evaluation["model"] == str(engine.model) and evaluation["benchmarks"][0]["metrics"]["accuracy"]["value"] == 1


def test_the_server_is_started_only_when_a_job_is_ready_and_its_endpoint_is_shown_while_it_answers(machine, engine, data, tmp_path):
    go, healthy, hold = tmp_path / "go", tmp_path / "healthy", tmp_path / "hold"
    first = shell(f"while ! test -e {go}; do sleep 0.02; done")
    jobs = {"first": first, "model": engine.job(args={"ready": str(healthy), "hold": str(hold)}), "gen": generate(data(4), needs="first")}
    answer = machine.submit(spec(**jobs)).json
    ids = {job["name"]: job["id"] for job in answer["jobs"]}
    machine.wait_for(ids["first"], "running")
    assert machine.job(ids["model"])["state"] == "waiting"
    waits = machine.get(f"/v1/jobs/{ids['model']}/explain").json
    assert "no job that uses the server is ready" in waits["message"]
    go.touch()
    wait_until(lambda: engine.events("start"), "the start of the server")
    waits = machine.get(f"/v1/jobs/{ids['gen']}/explain").json
    assert waits["state"] == "queued" and waits["waits_for"][0]["kind"] == "server"
    assert "waits for the server job 'model', which is loading its model" in waits["message"]
    assert machine.job(ids["model"])["endpoint"] is None and machine.job(ids["gen"])["reason"] == "server_pending"
    healthy.touch()
    endpoint = ready(machine, ids["model"])
    assert endpoint["url"].startswith("http://127.0.0.1:") and endpoint["model"] == str(engine.model)
    hold.touch()
    ended = machine.finished(answer["id"])
    assert ended["state"] == "succeeded" and ended["jobs"]["model"]["endpoint"] is None, states(ended)


def test_a_server_that_nobody_needs_for_a_while_is_stopped_and_started_again(machine, engine, data, tmp_path):
    go = tmp_path / "go"
    middle = shell(f"while ! test -e {go}; do sleep 0.02; done", needs="a")
    jobs = {"model": engine.job("0s"), "a": generate(data(3)), "middle": middle, "b": generate(data(5), needs="middle")}
    answer = machine.submit(spec(**jobs)).json
    wait_until(lambda: engine.events("end"), "the end of the first server")
    model = wait_until(lambda: (job := machine.job_of(answer["id"], "model"))["state"] == "waiting" and job, "the rest of the server")
    assert model["reason"] == "server_idle" and model["attempts"][0]["state"] == "succeeded"
    go.touch()
    ended = machine.finished(answer["id"])
    assert ended["state"] == "succeeded", states(ended)
    assert len(ended["jobs"]["model"]["attempts"]) == 2 and len(engine.events("start")) == 2


def test_a_killed_server_is_started_again_and_its_jobs_go_on(machine, engine, data, tmp_path):
    hold = tmp_path / "hold"
    jobs = {"model": engine.job(args={"hold": str(hold)}), "gen": generate(data(30), concurrency=4), "eval": evaluate(data(8, "e"))}
    answer = machine.submit(spec(**jobs)).json
    wait_until(lambda: len(engine.events("ask")) >= 5, "questions")
    for job in answer["jobs"][1:]:
        machine.wait_for(job["id"], "running")
    os.kill(engine.events("start")[0]["pid"], signal.SIGKILL)
    wait_until(lambda: len(engine.events("start")) == 2, "the second server")
    hold.touch()
    ended = machine.finished(answer["id"])
    assert ended["state"] == "succeeded", states(ended)
    model, gen = ended["jobs"]["model"], ended["jobs"]["gen"]
    assert [attempt["state"] for attempt in model["attempts"]] == ["failed", "succeeded"]
    assert [attempt["cause"] for attempt in gen["attempts"]] == ["server_lost", "succeeded"]
    assert "signal 9" in model["attempts"][0]["message"] and "loading" in model["attempts"][0]["message"]


def test_a_server_that_fails_for_good_takes_its_jobs_with_it_and_a_retry_runs_them(machine, engine, data, tmp_path):
    broken = tmp_path / "broken"
    broken.touch()
    model = engine.job(args={"refuses": str(broken)}, retry={"limit": 1, "delay": "0s"})
    answer = machine.submit(spec(model=model, gen=generate(data(3)), eval=evaluate(data(3)))).json
    ended = machine.finished(answer["id"])
    assert states(ended) == {"model": ("failed", "server_failed"), "gen": ("skipped", "need_failed"), "eval": ("skipped", "need_failed")}
    assert len(ended["jobs"]["model"]["attempts"]) == 2 and "no such architecture" in ended["jobs"]["model"]["message"]
    assert "its server, the job 'model', is failed" in ended["jobs"]["gen"]["message"] and not ended["jobs"]["gen"]["attempts"]
    broken.unlink()
    assert machine.post(f"/v1/jobs/{ended['jobs']['gen']['id']}/retry").status in (200, 202)
    wait_until(lambda: machine.job_of(answer["id"], "gen")["state"] == "succeeded", "the retried job")
    wait_until(lambda: machine.job_of(answer["id"], "model")["state"] == "succeeded", "the end of its server")
    assert machine.post(f"/v1/jobs/{ended['jobs']['eval']['id']}/retry").status in (200, 202)
    assert machine.finished(answer["id"])["state"] == "succeeded"


def test_a_server_out_of_memory_is_started_once_more_with_a_smaller_limit(machine, engine, data):
    ended = machine.run(spec(model=engine.job(args={"memory": 16}), gen=generate(data(3))))
    assert ended["state"] == "succeeded", states(ended)
    starts = [event["argv"] for event in engine.events("start")]
    assert len(starts) == 2 and "--max-num-seqs" not in starts[0] and starts[1][-2:] == ["--max-num-seqs", "16"]
    model = ended["jobs"]["model"]
    assert len(model["attempts"]) == 1 and "--max-num-seqs 16" in model["summary"]["server_restart"]
    assert b"was started again with --max-num-seqs 16" in machine.logs(model["id"])


def test_a_second_lack_of_memory_is_the_end(machine, engine, data):
    ended = machine.run(spec("t", model=engine.job(args={"memory": 8, "max-num-seqs": 64}), gen=generate(data(3))))
    model = ended["jobs"]["model"]
    assert (model["state"], model["reason"]) == ("failed", "cuda_oom") and "--max-num-seqs 32" in model["message"]
    assert len(engine.events("start")) == 2 and ended["jobs"]["gen"]["state"] == "skipped"


def test_a_server_that_runs_out_of_memory_while_it_serves_is_replaced_within_its_attempt(machine, engine, data, tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    ended = machine.run(spec(model=engine.job(args={"forget-memory": str(flag)}), gen=generate(data(6), concurrency=2)))
    assert ended["state"] == "succeeded", states(ended)
    assert len(ended["jobs"]["model"]["attempts"]) == 1 and len(engine.events("start")) == 2
    assert ended["jobs"]["gen"]["attempts"][-1]["state"] == "succeeded"


def test_a_server_of_another_model_is_refused_before_the_first_question(machine, engine, data):
    model = engine.job(args={"lists": "other"}, retry=0)
    ended = machine.run(spec(model=model, gen=generate(data(3))))
    assert ended["jobs"]["model"]["reason"] == "server_failed" and not engine.events("ask")
    assert f"lists 'other' at" in ended["jobs"]["model"]["message"] and str(engine.model) in ended["jobs"]["model"]["message"]


def test_a_killed_daemon_takes_the_server_and_its_jobs_up_again(machine, engine, data, tmp_path):
    hold = tmp_path / "hold"
    jobs = {"model": engine.job("30s", args={"hold": str(hold)}), "gen": generate(data(20), concurrency=4), "late": generate(data(5), needs="gen")}
    answer = machine.submit(spec(**jobs)).json
    model = answer["jobs"][0]["id"]
    wait_until(lambda: len(engine.events("ask")) >= 4, "questions")
    before = ready(machine, model)
    machine.restart()
    assert ready(machine, model) == before and machine.job(model)["state"] == "running"
    hold.touch()
    machine.restart()
    ended = machine.finished(answer["id"])
    assert ended["state"] == "succeeded", states(ended)
    assert len(engine.events("start")) == 1 and {len(job["attempts"]) for job in ended["jobs"].values()} == {1}


def test_a_server_that_died_while_no_daemon_was_there_is_missed_and_replaced(machine, engine, data, tmp_path):
    hold = tmp_path / "hold"
    jobs = {"model": engine.job(args={"hold": str(hold)}), "gen": generate(data(8), concurrency=2)}
    answer = machine.submit(spec(**jobs)).json
    wait_until(lambda: engine.events("ask"), "a question")
    attempt = machine.job(answer["jobs"][0]["id"])["attempts"][0]["id"]
    machine.kill()
    os.kill(engine.events("start")[0]["pid"], signal.SIGKILL)
    wait_until((machine.folder / "attempts" / attempt / "exit.json").exists, "the end of the server's attempt")
    hold.touch()
    machine.start()
    ended = machine.finished(answer["id"])
    assert ended["state"] == "succeeded", states(ended)
    assert [attempt["state"] for attempt in ended["jobs"]["model"]["attempts"]] == ["failed", "succeeded"]


def test_a_server_that_no_job_names_runs_until_it_is_cancelled_or_its_time_is_up(machine, engine):
    answer = machine.submit(spec(model=engine.job(), short=engine.job(timeout="2s"))).json
    ids = {job["name"]: job["id"] for job in answer["jobs"]}
    ready(machine, ids["model"])
    short = machine.wait_for(ids["short"], "succeeded")
    assert short["reason"] == "timeout"
    machine.restart()
    assert machine.job(ids["model"])["state"] == "running" and ready(machine, ids["model"])
    machine.post(f"/v1/jobs/{ids['model']}/cancel")
    assert machine.finished(answer["id"])["jobs"]["model"]["state"] == "cancelled"
    assert len(engine.events("end")) == 2


def test_cancelling_the_experiment_stops_the_server_and_its_jobs(machine, engine, data, tmp_path):
    jobs = {"model": engine.job(args={"hold": str(tmp_path / "never")}), "gen": generate(data(8))}
    answer = machine.submit(spec(**jobs)).json
    wait_until(lambda: engine.events("ask"), "a question")
    machine.post(f"/v1/experiments/{answer['id']}/cancel")
    ended = machine.finished(answer["id"])
    assert {job["state"] for job in ended["jobs"].values()} == {"cancelled"} and ended["state"] == "cancelled"


def test_a_paused_server_keeps_its_jobs_waiting_and_a_resumed_one_lets_them_go_on(machine, engine, data, tmp_path):
    hold = tmp_path / "hold"
    answer = machine.submit(spec(model=engine.job(args={"hold": str(hold)}), gen=generate(data(8), concurrency=2))).json
    ids = {job["name"]: job["id"] for job in answer["jobs"]}
    wait_until(lambda: engine.events("ask"), "a question")
    machine.post(f"/v1/jobs/{ids['model']}/pause")
    machine.wait_for(ids["model"], "paused")
    wait_until(lambda: machine.job(ids["gen"])["reason"] == "server_pending", "the job to wait")
    assert "which is paused" in machine.get(f"/v1/jobs/{ids['gen']}/explain").json["message"]
    hold.touch()
    machine.restart()
    assert machine.job(ids["model"])["state"] == "paused"
    machine.post(f"/v1/jobs/{ids['model']}/resume")
    ended = machine.finished(answer["id"])
    assert ended["state"] == "succeeded", states(ended)


def test_a_cached_job_starts_no_server_and_another_model_is_another_job(machine, engine, data):
    path = data(4)
    body = {"model": engine.job(), "gen": generate(path, cache=True), "eval": evaluate(path, cache=True)}
    assert machine.run(spec(**body))["state"] == "succeeded"
    again = machine.run(spec(**body))
    assert [again["jobs"][name]["reason"] for name in ("gen", "eval")] == ["cached", "cached"]
    assert again["jobs"]["model"]["state"] == "succeeded" and not again["jobs"]["model"]["attempts"] and len(engine.events("start")) == 1
    (engine.model / "config.json").write_text('{"changed": true}')
    changed = machine.run(spec(**body))
    assert [len(job["attempts"]) for job in changed["jobs"].values()] == [1, 1, 1] and len(engine.events("start")) == 2


def test_a_judge_is_a_server_of_its_own_and_chunks_share_theirs(machine, engine, data):
    judge = {"grader": "judge", "grading": {"judge": {"job": "judge", "prompt": "1*{predicted_answer} {expected_answer} {problem}"}}}
    jobs = {
        "model": engine.job(), "judge": engine.job(), "gen": generate(data(9), chunks=3),
        "eval": {**evaluate(data(3)), "benchmarks": [{"name": "toy", "dataset": data(3), "expected": "problem", **judge}]},
    }
    ended = machine.run(spec(**jobs))
    assert ended["state"] == "succeeded", {name: (job["state"], job["message"]) for name, job in ended["jobs"].items()}
    assert len(ended["jobs"]["judge"]["attempts"]) == 1
    asked = [event["question"] for event in engine.events("ask")]
    assert len([question for question in asked if question.startswith("1*") and "=?" in question and " " in question]) == 3


def test_servers_whose_jobs_need_gpus_do_not_wait_for_each_other_for_ever(make_daemon, engine, data):
    machine = make_daemon("--gpus", "sim:2", "--cpus", "8", ANNEAL_PYTHON=str(engine.python)).start()
    answers = [
        machine.submit(spec(name, model=engine.job("30s", resources={"gpus": 1}), gen=generate(data(4), resources={"gpus": 1}))).json
        for name in ("one", "two")
    ]
    for answer in answers:
        ended = machine.finished(answer["id"])
        assert ended["state"] == "succeeded", states(ended)
    refused = machine.submit(spec("big", model=engine.job(resources={"gpus": 2}), gen=generate(data(4), resources={"gpus": 1})))
    assert refused.status == 409 and "runs beside the server 'model'" in refused.json["errors"][0]["detail"]


@pytest.mark.slow
def test_a_real_server_serves_a_tiny_model_to_two_jobs(make_daemon, trainer_python):
    machine = make_daemon("--gpus", "none", "--cpus", "4", ANNEAL_PYTHON=trainer_python).start()
    ended = machine.run((ROOT / "deploy" / "examples" / "serve.yaml").read_text())
    assert ended["state"] == "succeeded", {name: (job["state"], job["message"]) for name, job in ended["jobs"].items()}
    assert len(ended["jobs"]["model"]["attempts"]) == 1
    evaluation = machine.get(f"/v1/evaluations?job={ended['jobs']['check']['id']}").json["data"][0]
    types = {node["type"] for node in machine.get(f"/v1/lineage/{evaluation['id']}").json["nodes"]}
    assert "checkpoint" in types
