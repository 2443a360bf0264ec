"""What the package brings is sound: its configuration starts the daemon, its first spec runs, its units and scripts can be read."""

import shutil
import subprocess

import pytest

from conftest import ROOT

DEPLOY = ROOT / "deploy"
SCRIPTS = [
    *(DEPLOY / "debian").glob("p*[!l]"), DEPLOY / "debian" / "build.sh", DEPLOY / "debian" / "anneal-setup-python",
    DEPLOY / "ci" / "anneal-ci.sh",
]  # fmt: skip


def test_the_configuration_of_the_package_starts_the_daemon_and_its_first_spec_runs(make_daemon):
    daemon = make_daemon("--config", str(DEPLOY / "debian" / "anneald.yaml"), "--gpus", "none").start()
    answer = daemon.submit((DEPLOY / "debian" / "hello.yaml").read_text())
    assert answer.status == 201 and daemon.finished(answer.json["id"])["state"] == "succeeded"
    assert b"Anneal works on" in daemon.logs(answer.json["jobs"][0]["id"])
    python = next(check for check in daemon.get("/v1/doctor").json["checks"] if check["name"] == "python")
    assert python["ok"] or "anneal-setup-python" in python["advice"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_can_be_read_by_their_shells(script):
    shell = script.read_text().splitlines()[0].split()[-1].rsplit("/", 1)[-1].removeprefix("#!")
    run = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("kind", ["system", "user"])
def test_units_are_sound(kind, tmp_path):
    """By systemd's own check, with programs and pages that need not be installed left out."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "systemd" / kind / "anneald.service").read_text()
    for line in ("KillMode=process", "Delegate=yes"):
        assert line in text
    unit = tmp_path / "anneald.service"
    lines = [line for line in text.replace("/usr/bin/anneald", "/bin/true").splitlines() if not line.startswith("Documentation=")]
    unit.write_text("\n".join(lines) + "\n")
    environment = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    line = ["systemd-analyze", *(["--user"] if kind == "user" else []), "verify", unit]
    run = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and "anneald.service:" not in run.stderr, run.stderr
