"""Secrets on a real Slurm: through a file that only its owner can read and that goes before the worker runs, and through nothing else."""

import hashlib
import json

import pytest
from conftest import python, wait_until
from stand_ins import secret_holders
from test_secrets import DIGEST, PAUSE, holders
from test_slurm import CLUSTER, attempt_of, cluster, one, submitted  # noqa: F401 (a fixture)

TOKEN = "hf_carried-to-the-node-0815"
#: A variable of the daemon that no job has named.
OTHER = "a-secret-of-the-daemon-4711"


@pytest.fixture
def start(make_daemon, tmp_path, cluster):
    """Starts a daemon with a cluster `hpc`, whose own environment holds a secret, too."""

    def begin(**terms):
        secrets = tmp_path / "team"
        secrets.write_text(f"HF_TOKEN={TOKEN}\n")
        secrets.chmod(0o600)
        terms = {**CLUSTER, "slurm_conf": str(cluster.configuration), **terms}
        (tmp_path / "anneal.yaml").write_text(json.dumps({"clusters": {"hpc": terms}, "secrets": str(secrets)}))
        return make_daemon("--gpus", "none", "--cpus", "2", "--config", str(tmp_path / "anneal.yaml"), NOT_NAMED=OTHER).start()

    return begin


def job(text):
    """A job that gets the secret and prints its digest, then does more."""
    return python(f"{DIGEST.format('HF_TOKEN')}; {text}", secrets=["HF_TOKEN"], retry=0)


def told_by_slurm(cluster, attempt):
    """Everything that Slurm tells of a job."""
    number = attempt["external_id"]
    return "".join(cluster.run(*words) for words in (
        ("scontrol", "--details", "show", "job", number), ("scontrol", "write", "batch_script", number, "-"),
        ("squeue", "--noheader", "--states=all", "--format=%all"), ("squeue", "--json", "--states=all")))


def test_a_secret_waits_in_a_guarded_file_and_is_gone_when_its_worker_runs(start, cluster, tmp_path):
    daemon = start()
    number, experiment = submitted(daemon, one("kept", job(f"print('NOT_NAMED' in os.environ); {PAUSE}")))
    attempt = attempt_of(daemon, number)
    wait_until(lambda: daemon.logs(number).decode().count("\n") == 2, "what the worker prints")
    assert daemon.logs(number).decode().split() == [hashlib.sha256(TOKEN.encode()).hexdigest(), "False"]
    shim = daemon.shim(attempt["id"])
    assert secret_holders(TOKEN) == [(shim["child_pid"], "environ")]
    folder = daemon.folder / "attempts" / attempt["id"]
    assert not (folder / "secrets").exists() and {"batch.sh", "batch.json", "spec.json"} <= {path.name for path in folder.iterdir()}
    assert TOKEN not in told_by_slurm(cluster, attempt) and OTHER not in told_by_slurm(cluster, attempt)
    daemon.post(f"/v1/jobs/{number}/cancel")
    daemon.finished(experiment)
    assert holders(daemon.folder, TOKEN, OTHER) == [] and holders(cluster.folder, TOKEN, OTHER) == []
    assert TOKEN not in daemon.log_text()


@pytest.mark.parametrize("end", ["cancel", "scancel", "cancel without the daemon"])
def test_a_secret_goes_with_a_job_that_never_starts(start, cluster, tmp_path, end):
    daemon = start(partition="closed")
    number, experiment = submitted(daemon, one("waits", job("pass")))
    attempt = attempt_of(daemon, number)
    file = daemon.folder / "attempts" / attempt["id"] / "secrets"
    assert json.loads(file.read_text()) == {"HF_TOKEN": TOKEN}
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert holders(daemon.folder, TOKEN) == [file] and holders(cluster.folder, TOKEN, OTHER) == [] and secret_holders(TOKEN) == []
    assert TOKEN not in told_by_slurm(cluster, attempt)
    target = tmp_path / "backup"
    body = json.dumps({"target": str(target), "mode": "copy"}).encode()
    assert daemon.post("/v1/backup", body, **{"Content-Type": "application/json"}).status == 202
    wait_until((target / "backup.json").exists, "the backup")
    assert (target / "attempts" / attempt["id"] / "spec.json").exists() and holders(target, TOKEN) == []
    if end == "cancel":
        daemon.post(f"/v1/jobs/{number}/cancel")
    else:
        if end != "scancel":
            daemon.kill()
        cluster.run("scancel", attempt["external_id"])
        if end != "scancel":
            daemon.start()
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "cancelled", ended
    assert holders(daemon.folder, TOKEN) == []


def test_a_secret_outlives_the_daemon_that_wrote_it(start, cluster):
    daemon = start(arguments=["--hold"])
    number, experiment = submitted(daemon, one("later", job("pass")))
    attempt = attempt_of(daemon, number)
    daemon.restart()
    cluster.run("scontrol", "release", attempt["external_id"])
    ended = daemon.finished(experiment)["jobs"]["a"]
    assert ended["state"] == "succeeded" and daemon.logs(number).decode().split() == [hashlib.sha256(TOKEN.encode()).hexdigest()]
    assert holders(daemon.folder, TOKEN) == []


def test_a_secret_of_a_job_that_slurm_refuses_is_gone(start, cluster):
    daemon = start(partition="nope")
    ended = daemon.run(one("refused", job("pass")))["jobs"]["a"]
    assert ended["reason"] == "start_failed" and holders(daemon.folder, TOKEN) == []
