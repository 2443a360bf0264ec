"""Servers and those who ask them on a real Slurm: in one allocation, across two, and at home; chunks as one array."""

import pytest
from conftest import python, wait_until
from test_generate import mock, records  # noqa: F401
from test_serve import Engine, data, evaluate, generate, ready, spec, states  # noqa: F401
from test_slurm import GATE, attempt_of, cluster, start, wrapper  # noqa: F401

HPC = {"cluster": "hpc"}


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine of which the daemon, and so the cluster, takes its servers."""
    made = Engine(tmp_path / "engine")
    monkeypatch.setenv("ANNEAL_PYTHON", str(made.python))
    return made


def test_server_and_driver_share_one_allocation(start, cluster, engine, data):  # noqa: F811
    daemon = start(cluster)
    own = {"model": str(engine.model), "server": engine.job()["server"], **HPC}
    jobs = {"gen": generate(data(20), **own), "eval": evaluate(data(6, "e"), needs="gen", **own)}
    ended = daemon.run(spec(**jobs))
    assert ended["state"] == "succeeded", (states(ended), ended["jobs"]["gen"]["message"])
    assert len(records(daemon, ended["jobs"]["gen"])) == 20
    assert len(engine.events("start")) == len(engine.events("end")) == 2
    assert all(job["attempts"][0]["external_id"] for job in ended["jobs"].values())


def test_a_server_on_the_cluster_is_asked_from_its_own_allocation_another_and_from_home(start, cluster, engine, data):  # noqa: F811
    daemon = start(cluster)
    jobs = {
        "model": engine.job("30s", **HPC), "far": generate(data(8), **HPC), "near": generate(data(8), needs="far"),
        "eval": evaluate(data(8), needs="near", **HPC),
    }
    ended = daemon.run(spec(**jobs))
    assert ended["state"] == "succeeded", (states(ended), {name: job["message"] for name, job in ended["jobs"].items()})
    assert len(engine.events("start")) == 1
    model, far = ended["jobs"]["model"]["attempts"][0], ended["jobs"]["far"]["attempts"][0]
    assert model["external_id"] != far["external_id"]


def test_a_server_whose_allocation_ends_comes_again_in_another(start, cluster, engine, data, tmp_path):  # noqa: F811
    daemon, hold = start(cluster), tmp_path / "hold"
    jobs = {"model": engine.job("30s", args={"hold": str(hold)}, **HPC), "far": generate(data(4), **HPC), "near": generate(data(5, "n"))}
    answer = daemon.submit(spec(**jobs)).json
    ids = {job["name"]: job["id"] for job in answer["jobs"]}
    first = ready(daemon, ids["model"])
    for name in ("far", "near"):
        daemon.wait_for(ids[name], "running")
    daemon.restart()
    assert ready(daemon, ids["model"]) == first
    cluster.run("scancel", "--signal=USR1", "--batch", attempt_of(daemon, ids["model"])["external_id"])
    wait_until(lambda: len(daemon.job(ids["model"])["attempts"]) == 2, "the second server")
    hold.touch()
    ended = daemon.finished(answer["id"])
    assert ended["state"] == "succeeded", (states(ended), {name: job["message"] for name, job in ended["jobs"].items()})
    assert [entry["cause"] for entry in ended["jobs"]["model"]["attempts"]][0] == "allocation_ended"
    assert len(engine.events("start")) == 2


@pytest.mark.parametrize("answer", ["heard", "lost", "refused"])
def test_chunks_are_one_array_of_attempts_of_their_own_and_are_merged_once(start, cluster, mock, data, tmp_path, answer):  # noqa: F811
    text = {
        "heard": 'exec "$SBATCH" "$@"', "lost": '"$SBATCH" "$@" > /dev/null; kill -9 $$',
        # As on a site without arrays.
        "refused": 'case "$*" in *--array=*) echo "sbatch: error: Invalid job array specification" >&2; exit 1;; esac; exec "$SBATCH" "$@"',
    }[answer]
    daemon, server = start(cluster, programs=str(wrapper(tmp_path, cluster, text))), mock()
    job = {"kind": "generate", "server": {"url": server.url}, "dataset": data(11), "prompt": {"user": "{problem}"}, "chunks": 3, **HPC}
    ended = daemon.run(spec(gen=job))["jobs"]
    assert {name: entry["state"] for name, entry in ended.items()} == dict.fromkeys(
        ["gen-chunk-0", "gen-chunk-1", "gen-chunk-2", "gen"], "succeeded"), {name: entry["message"] for name, entry in ended.items()}
    assert len(records(daemon, ended["gen"])) == 11 and server.stats()["repeated"] == 0
    chunks = [entry["attempts"] for name, entry in ended.items() if "chunk" in name]
    assert [len(attempts) for attempts in chunks] == [1, 1, 1] and ended["gen"]["cluster"] is None
    ids = sorted(attempts[0]["external_id"] for attempts in chunks)
    calls = (tmp_path / "calls").read_text().count("call")
    if answer == "refused":
        assert calls == 4 and not any("_" in one for one in ids)
    else:
        assert calls == 1 and [one.partition("_")[2] for one in ids] == ["0", "1", "2"] and len({one.partition("_")[0] for one in ids}) == 1


def test_a_task_of_an_array_is_cancelled_by_itself_and_found_by_another_daemon(start, cluster, tmp_path):  # noqa: F811
    daemon = start(cluster)
    sweep = python(GATE.format(path=str(tmp_path / "gate")), matrix={"n": [0, 1, 2]}, **HPC)
    ids = [job["id"] for job in daemon.submit(spec(sweep=sweep)).json["jobs"]]
    numbers = [attempt_of(daemon, job)["external_id"] for job in ids]
    assert len({number.partition("_")[0] for number in numbers}) == 1
    for job in ids:
        daemon.wait_for(job, "running")
    daemon.post(f"/v1/jobs/{ids[0]}/cancel")
    cluster.run("scancel", numbers[1])
    daemon.restart()
    for job in ids[:2]:
        daemon.wait_for(job, "cancelled")
    (tmp_path / "gate").touch()
    daemon.wait_for(ids[2], "succeeded")
    assert [len(daemon.job(job)["attempts"]) for job in ids] == [1, 1, 1]
