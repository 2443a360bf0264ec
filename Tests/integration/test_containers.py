"""Workers in containers: the same logs, exit codes and stops as without, and nothing left behind."""

import json
import os
import signal

import containers
import pytest
from conftest import command, shell, wait_until

BOX = {"image": containers.IMAGE, "shm": "16MiB"}


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    """podman with the image of the tests; they are skipped by name where it cannot run."""
    podman = containers.Podman(tmp_path_factory.mktemp("podman"))
    if podman.problem:
        pytest.skip(podman.problem)
    yield podman
    podman("rm", "--all", "--force", "--time", "0")


@pytest.fixture
def daemon(make_daemon, podman, tmp_path):
    """A daemon that runs containers by podman, and has a secret."""
    secrets = tmp_path / "secrets"
    secrets.write_text("HF_TOKEN=hf_within_the_box\n")
    secrets.chmod(0o600)
    config = tmp_path / "anneald.yaml"
    config.write_text(f"containers: {podman.configuration()}\nsecrets: {secrets}\n")
    return make_daemon("--gpus", "none", "--cpus", "4", "--config", config).start()


def spec(jobs, name="boxed"):
    return {"name": name, "container": BOX, "jobs": jobs}


def test_a_worker_in_a_container_is_told_of_as_any_other(daemon, podman):
    text = (
        "echo out $HF_TOKEN; echo err >&2; cat /proc/1/comm; id -u; pwd; touch made; test -e $ANNEAL_SPEC && echo spec; "
        'test -e $(dirname $ANNEAL_SPEC)/../../anneal.db || echo apart; echo "{\\"step\\": 1, \\"train/loss\\": 2}" >> $ANNEAL_METRICS'
    )
    ended = daemon.run(spec({"a": shell(text, secrets=["HF_TOKEN"]), "bare": shell("cat /proc/1/comm", container=False)}))["jobs"]
    job = ended["a"]["id"]
    folder = daemon.folder / "jobs" / job / "outputs"
    lines = daemon.logs(job, "?stream=stdout").decode().splitlines()
    assert ended["a"]["state"] == "succeeded", daemon.logs(job)
    assert lines[0] == "out " + "*" * len("hf_within_the_box")
    assert lines[2:] == [str(os.geteuid()), str(folder), "spec", "apart"]
    assert daemon.logs(ended["bare"]["id"]).decode().strip() != lines[1], "the container has a first process of its own"
    assert daemon.logs(job, "?stream=stderr") == b"err\n"
    assert (folder / "made").stat().st_uid == os.geteuid()
    assert [point["value"] for point in daemon.curve(job, "train/loss")] == [2]
    assert podman.names() == []


def test_the_plan_shows_the_command_line(daemon):
    plan = daemon.submit(spec({"a": command("true", secrets=["HF_TOKEN"], env={"PATH": "/usr/bin", "A": "b"})}), "?dry_run=true").json
    argv = plan["jobs"][0]["argv"]
    assert argv[-2:] == [containers.IMAGE, "true"] and argv[argv.index("--name") + 1] == "anneal-<attempt>"
    assert "HF_TOKEN" in argv and "PATH=/usr/bin" in argv and "A" in argv and "hf_within_the_box" not in str(plan)


def test_exit_codes_and_signals_come_out(daemon, podman):
    jobs = {
        "seven": shell("exit 7", retry=0),
        "killed": shell("kill -9 $$", retry=0),
        "missing": command("/usr/bin/no-such-program", retry=0),
        "imageless": command("true", retry=0, container={"image": "localhost/no-such-image:1", "pull": "never"}),
    }
    ended = daemon.run(spec(jobs))["jobs"]
    assert (ended["seven"]["attempts"][0]["exit_code"], ended["seven"]["reason"]) == (7, "crashed")
    assert (ended["killed"]["attempts"][0]["exit_code"], ended["killed"]["reason"]) == (137, "killed")
    assert "signal 9" in ended["killed"]["message"]
    assert ended["missing"]["reason"] == "start_failed" and "cannot be run in the image" in ended["missing"]["message"]
    assert ended["imageless"]["reason"] == "start_failed" and "localhost/no-such-image:1" in ended["imageless"]["message"]
    assert podman.names() == []


@pytest.mark.parametrize("answer, code", [("exit 75", 75), ("", None)], ids=["ends", "ignores"])
def test_the_stop_ladder_reaches_within(daemon, podman, answer, code):
    text = f"trap 'echo asked; {answer}' TERM; echo up; while :; do sleep 0.1; done"
    submitted = daemon.submit(spec({"a": shell(text, grace="1s" if code is None else "30s")}))
    job = submitted.json["jobs"][0]["id"]
    wait_until(lambda: b"up\n" in daemon.logs(job), "the first line")
    daemon.post(f"/v1/jobs/{job}/cancel")
    ended = daemon.finished(submitted.json["id"])["jobs"]["a"]
    assert ended["state"] == "cancelled" and daemon.logs(job) == b"up\nasked\n"
    assert ended["attempts"][0]["exit_code"] == code and ended["attempts"][0]["signal"] == (9 if code is None else None)
    assert podman.names() == [] and not processes_of(ended["attempts"][0]["id"])


def test_the_daemons_death_changes_nothing_within(daemon, podman):
    answer = daemon.submit(spec({"a": shell("i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo $i; sleep 0.05; done; exit 5", retry=0)}))
    job = answer.json["jobs"][0]["id"]
    wait_until(lambda: b"3\n" in daemon.logs(job), "three lines")
    daemon.restart()
    ended = daemon.finished(answer.json["id"])["jobs"]["a"]
    assert ended["attempts"][0]["exit_code"] == 5 and len(ended["attempts"]) == 1
    assert daemon.logs(job).decode().split() == [str(n) for n in range(1, 31)]
    assert podman.names() == []


def test_a_container_whose_shim_died_is_removed(daemon, podman):
    answer = daemon.submit(spec({"a": shell("echo up; sleep 1000", retry=0)}))
    job = answer.json["jobs"][0]["id"]
    wait_until(lambda: b"up\n" in daemon.logs(job), "the first line")
    attempt = daemon.job(job)["attempts"][0]["id"]
    assert podman.names() == [f"anneal-{attempt}"]
    daemon.kill()
    os.kill(daemon.shim(attempt)["shim_pid"], signal.SIGKILL)
    for process in processes_of(attempt):
        os.kill(process, signal.SIGKILL)
    daemon.start()
    assert daemon.finished(answer.json["id"])["jobs"]["a"]["state"] in ("lost", "failed")
    wait_until(lambda: podman.names() == [], "the container's removal")


def test_a_worker_of_anneal_itself_runs_within(daemon):
    data = "\n".join(json.dumps({"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}]}) for n in range(8))
    path = daemon.folder.parent / "data.jsonl"
    path.write_text(data + "\n")
    ended = daemon.run(spec({"data": {"kind": "prepare", "source": {"file": str(path)}, "steps": [{"shuffle": {"seed": 1}}]}}))["jobs"]["data"]
    assert ended["state"] == "succeeded", (ended, daemon.logs(ended["id"]))
    assert (daemon.folder / "attempts" / ended["attempts"][0]["id"] / "container.json").exists()


def processes_of(attempt):
    """The numbers of the processes that carry an attempt's name in their environment or command line."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as environ, open(f"/proc/{entry}/cmdline", "rb") as line:
                if attempt.encode() in environ.read() + line.read():
                    found.append(int(entry))
        except OSError:
            continue
    return found
