"""Containers on a real Slurm: podman for real, with GPUs by the Container Device Interface, and the other runtimes by stand-ins."""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess

import containers
import pytest
from conftest import PROGRAMS, shell, wait_until
from stand_ins import StandIn
from test_containers import podman, processes_of  # noqa: F401 (a fixture)
from test_slurm import CLUSTER, GATE, attempt_of, cluster, submitted  # noqa: F401 (a fixture)

#: Where runtimes look for devices (Container Device Interface, "CDI JSON specification").
DEVICES = pathlib.Path("/var/run/cdi/anneal-test.json")
BOX = {"image": containers.IMAGE, "shm": "16MiB"}


@pytest.fixture(scope="module")
def devices():
    """GPUs 0 and 1, each of which sets a variable in the container that it is handed to."""
    if any(list(pathlib.Path(folder).glob("*")) for folder in ("/etc/cdi", "/var/run/cdi")):
        pytest.skip("this machine has devices of its own under the Container Device Interface")
    DEVICES.parent.mkdir(exist_ok=True)
    gpus = [{"name": str(index), "containerEdits": {"env": [f"HANDED_{index}=yes"]}} for index in range(2)]
    DEVICES.write_text(json.dumps({"cdiVersion": "0.3.0", "kind": "nvidia.com/gpu", "devices": gpus, "containerEdits": {}}))
    yield
    DEVICES.unlink()
    with contextlib.suppress(OSError):
        DEVICES.parent.rmdir()


@pytest.fixture
def start(make_daemon, tmp_path, cluster):
    """Starts a daemon with clusters that differ in their containers and are one Slurm, and with a secret."""

    def begin(**clusters):
        secrets = tmp_path / "secrets"
        secrets.write_text("HF_TOKEN=hf_within_the_box\n")
        secrets.chmod(0o600)
        base = {**CLUSTER, "slurm_conf": str(cluster.configuration), "environment": {"NCCL_SOCKET_IFNAME": "lo", "OF_THE_CLUSTER": "c"}}
        terms = {name: {**base, **more} for name, more in clusters.items()}
        (tmp_path / "anneal.yaml").write_text(json.dumps({"clusters": terms, "secrets": str(secrets)}))
        return make_daemon("--gpus", "none", "--cpus", "2", "--config", str(tmp_path / "anneal.yaml")).start()

    return begin


def boxed(job, where="hpc", name="boxed", box=BOX):
    """A spec of one job in a container on a cluster."""
    return {"name": name, "cluster": where, "container": box, "jobs": {"a": job}}


def podman_of(podman, **more):
    """The terms of a cluster whose nodes have the tests' podman."""
    return {"containers": {**json.loads(podman.configuration()), **more}}


def test_a_worker_is_in_a_container_of_its_node_with_the_gpus_of_its_allocation(start, podman, devices, tmp_path):
    daemon = start(hpc={**podman_of(podman, gpus="cdi"), "arguments": ["--nodelist=n1"]})
    gate = tmp_path / "gate"
    # It holds the first GPU, so that the other job has the second.
    first, _ = submitted(daemon, {**boxed(shell(f"while ! test -e {gate}; do sleep 0.1; done", resources={"gpus": 1}), name="first"), "container": False})
    daemon.wait_for(first, "running")
    text = """
        echo "gpu $CUDA_VISIBLE_DEVICES handed <$HANDED_0> <$HANDED_1>"; echo "$OF_THE_CLUSTER $NCCL_SOCKET_IFNAME $SLURM_JOB_ID"
        cat /proc/1/comm; pwd; id -u; echo "$HF_TOKEN" | wc -c; test -e $(dirname $ANNEAL_SPEC)/../../anneal.db || echo apart; echo err >&2
        echo '{"step": 1, "train/loss": 2}' >> "$ANNEAL_METRICS"; touch made; exit 4
    """
    ended = daemon.run(boxed(shell(text, resources={"gpus": 1}, secrets=["HF_TOKEN"], retry=0)))["jobs"]["a"]
    gate.touch()
    lines = daemon.logs(ended["id"], "?stream=stdout").decode().splitlines()
    [attempt] = ended["attempts"]
    assert (ended["state"], attempt["exit_code"], attempt["gpus"]) == ("failed", 4, ["n1:1"]), (ended, daemon.logs(ended["id"]))
    folder = daemon.folder / "jobs" / ended["id"] / "outputs"
    assert lines[:2] == ["gpu 0 handed <> <yes>", f"c lo {attempt['external_id']}"]
    assert lines[2] != "systemd" and lines[3:] == [str(folder), str(os.geteuid()), str(len("hf_within_the_box\n")), "apart"]
    assert daemon.logs(ended["id"], "?stream=stderr") == b"err\n"
    assert (folder / "made").stat().st_uid == os.geteuid()
    assert [point["value"] for point in daemon.curve(ended["id"], "train/loss")] == [2]
    assert podman.names() == []


@pytest.mark.parametrize("end", ["client killed", "worker ignores", "supervisor killed"])
def test_no_container_is_left_on_the_node(start, podman, end):
    daemon = start(hpc=podman_of(podman))
    text = "trap 'echo asked' TERM; echo up; while :; do sleep 0.1; done"
    job, experiment = submitted(daemon, boxed(shell(text, grace="1s", retry=0)))
    wait_until(lambda: b"up\n" in daemon.logs(job), "the first line")
    attempt = attempt_of(daemon, job)["id"]
    assert podman.names() == [f"anneal-{attempt}"]
    if end == "client killed":
        os.kill(daemon.shim(attempt)["child_pid"], signal.SIGKILL)
    elif end == "supervisor killed":
        os.kill(daemon.shim(attempt)["shim_pid"], signal.SIGKILL)
    else:
        daemon.post(f"/v1/jobs/{job}/cancel")
    ended = daemon.finished(experiment)["jobs"]["a"]
    if end == "supervisor killed":
        assert ended["reason"] == "node_failed"
        wait_until(lambda: podman.names() == [], "the container's removal")
    else:
        assert ended["attempts"][0]["signal"] == 9 and ended["state"] == ("failed" if end == "client killed" else "cancelled")
    assert podman.names() == []
    wait_until(lambda: not processes_of(attempt), "the end of the processes")


def test_a_program_that_the_node_lacks_is_told(start, podman):
    daemon = start(hpc={"containers": {"runtime": "podman", "program": "no-such-podman"}})
    ended = daemon.run(boxed(shell("true", retry=0)))["jobs"]["a"]
    assert ended["reason"] == "start_failed" and "'no-such-podman' was not found in PATH" in ended["message"], ended


def test_other_runtimes_are_called_as_their_manuals_say(start, cluster, tmp_path):
    stands = {}
    for runtime in ("docker", "apptainer", "pyxis"):
        (tmp_path / runtime).mkdir()
        stands[runtime] = StandIn(tmp_path / runtime, runtime)
    daemon = start(**{runtime: {"containers": {**stand.configuration, **({"gpus": "flag"} if runtime == "docker" else {})}} for runtime, stand in stands.items()})
    text = (
        'import hashlib, os, sys; e = os.environ; print(hashlib.sha256(e["HF_TOKEN"].encode()).hexdigest(), '
        'e["OF_THE_CLUSTER"], e["CUDA_VISIBLE_DEVICES"], e["SLURM_JOB_ID"]); sys.exit(5)'
    )
    job = {"kind": "command", "command": ["python3", "-c", text], "cache": False, "resources": {"gpus": 2, "cpus": 2}, "secrets": ["HF_TOKEN"], "retry": 0}
    jobs = {name: {**job, "cluster": name} for name in stands}
    answer = daemon.submit({"name": "others", "container": "IMAGE", "jobs": jobs})
    assert answer.status == 201, answer.body
    ended = daemon.finished(answer.json["id"])["jobs"]
    for name, stand in stands.items():
        [attempt] = ended[name]["attempts"]
        digest, *rest = daemon.logs(ended[name]["id"], "?stream=stdout").decode().split() or [None]
        assert attempt["exit_code"] == 5, (name, daemon.logs(ended[name]["id"]))
        assert digest == hashlib.sha256(b"hf_within_the_box").hexdigest(), name
        assert rest == ["c", "0,1", attempt["external_id"]], name
        argv = stand.run()["argv"]
        assert not any("hf_within" in word or word.startswith("{") for word in argv), argv
        assert argv[-3:] == ["python3", "-c", text]
        job_folder = f"{daemon.folder}/jobs/{ended[name]['id']}"
        if name == "docker":
            assert argv[:3] == ["run", "--name", f"anneal-{attempt['id']}"] and '"device=0,1"' in argv
            assert [call["argv"][0] for call in stand.calls()] == ["run", "container", "rm"]
        elif name == "apptainer":
            assert argv[:4] == ["exec", "--cleanenv", "--no-home", "--pid"] and "--nv" in argv and f"{job_folder}:{job_folder}" in argv
        else:
            assert argv[:6] == ["--ntasks=1", "--kill-on-bad-exit=1", "--unbuffered", "--cpus-per-task=2", "--container-image=IMAGE", "--no-container-mount-home"]
            assert f"--container-workdir={job_folder}/outputs" in argv and any("HF_TOKEN" in word for word in argv if word.startswith("--container-env="))


def test_a_step_of_srun_is_stopped_by_the_ladder(start, cluster, tmp_path):
    stand = StandIn(tmp_path, "pyxis")
    daemon = start(hpc={"containers": stand.configuration})
    job, experiment = submitted(daemon, boxed(shell("trap 'echo asked; exit 75' TERM; echo up; while :; do sleep 0.1; done", retry=0), box="IMAGE"))
    wait_until(lambda: b"up\n" in daemon.logs(job), "the first line")
    daemon.post(f"/v1/jobs/{job}/cancel")
    assert daemon.finished(experiment)["jobs"]["a"]["state"] == "cancelled"
    assert daemon.logs(job, "?stream=stdout") == b"up\nasked\n"


def test_what_a_runtime_cannot_do_is_refused_at_submission(start, cluster, tmp_path):
    daemon = start(pyxis={"containers": {"runtime": "pyxis"}}, apptainer={"containers": {"runtime": "apptainer"}})
    for where, box, words in (
        ("pyxis", {"network": "none"}, "cannot give a container the network 'none'"), ("apptainer", {"network": "bridge"}, "the network 'bridge'"),
        ("apptainer", {"shm": "1GiB"}, "leave 'shm' out"), ("pyxis", {"ulimits": {"nofile": 5}}, "leave 'ulimits' out"),
    ):
        refused = daemon.submit(boxed(shell("true"), where, box={"image": "IMAGE", **box}))
        assert refused.status == 409 and words in refused.json["errors"][0]["detail"], refused.body
    plan = daemon.submit(boxed(shell("true"), "pyxis", box="IMAGE"), "?dry_run=true").json["jobs"][0]
    assert plan["argv"][1:3] == ["--step", "srun"] and plan["argv"][-3:] == ["sh", "-c", "true"]


@pytest.mark.parametrize(
    "word, variables, filled, visible",
    [
        ("{gpus:cdi}", {"SLURM_JOB_GPUS": "1,3", "CUDA_VISIBLE_DEVICES": "5,6"}, ["--device", "nvidia.com/gpu=1", "--device", "nvidia.com/gpu=3"], "0,1"),
        ("{gpus:cdi}", {"SLURM_STEP_GPUS": "2-3", "SLURM_JOB_GPUS": "0"}, ["--device", "nvidia.com/gpu=2", "--device", "nvidia.com/gpu=3"], "0,1"),
        ("{gpus:docker}", {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}, ["--gpus", '"device=GPU-a,GPU-b"'], "GPU-a,GPU-b"),
        ("{gpus:apptainer}", {"CUDA_VISIBLE_DEVICES": "1"}, ["--nv"], "1"), ("{gpus:cdi}", {"CUDA_VISIBLE_DEVICES": ""}, [], ""),
        ("{variables:A*,C}", {"A1": "x", "A2": "y", "B": "z"}, ["--env", "A1", "--env", "A2"], ""),
        ("{name:n}", {"SLURM_NODEID": "0"}, ["--name", "n"], ""), ("{name:n}", {"SLURM_NODEID": "2"}, ["--rm", "--name", "n-2"], ""),
        ("{other:n}", {}, [], ""), ("plain", {}, ["plain"], ""),
    ],
)
def test_a_node_fills_in_what_only_it_knows(word, variables, filled, visible):
    text = 'for word; do echo "$word"; done; echo "$CUDA_VISIBLE_DEVICES"'
    # Words behind the counted ones are the worker's own.
    line = [PROGRAMS / "anneal-shim", "--enter", "5", "sh", "-c", text, "sh", word, "{gpus:cdi}"]
    ran = subprocess.run(line, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split("\n")[:-1] == [*filled, "{gpus:cdi}", visible], ran.stderr
