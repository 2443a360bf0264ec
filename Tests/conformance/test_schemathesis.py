"""Schemathesis, a client that nobody here wrote, against the real daemon and the contract that it serves."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

import contract
import pytest

HERE = pathlib.Path(__file__).resolve().parent
#: Cases for each operation in the fuzzing phase; the coverage and the stateful phase decide for themselves.
EXAMPLES = os.environ.get("ANNEAL_CONFORMANCE_EXAMPLES", "25")


@pytest.fixture(scope="session")
def run(daemon, seeds, tmp_path_factory):
    """One run of all phases and, but for what the configuration says, all checks; its output, its exit status and the requests that it made."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    folder = tmp_path_factory.mktemp("schemathesis")
    configuration = folder / "schemathesis.toml"
    configuration.write_text(planted(HERE.joinpath("schemathesis.toml").read_text(), seeds))
    har = folder / "requests.har"
    archive = folder / "planted.tar"
    with urllib.request.urlopen(f"{daemon.url}/v1/experiments/{seeds.experiment}/export?artifacts=none") as answer:
        archive.write_bytes(answer.read())
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run", daemon.url + "/openapi.yaml",
        "--max-examples", EXAMPLES, "--warnings", "off", "--no-color", "--report", "har",
        "--report-har-path", str(har), "--generation-database", "none",
    ]  # fmt: skip
    environment = {
        **os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", "ANNEAL_KEPT_WEBHOOK": seeds.webhook,
        "ANNEAL_GENERATING_JOB": seeds.generating_job, "ANNEAL_ARCHIVE": str(archive),
    }  # fmt: skip
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500)
    entries = json.loads(har.read_text())["log"]["entries"] if har.exists() else []
    return process, entries


def planted(configuration: str, seeds) -> str:
    """The configuration with identifiers that exist, tried beside the invented ones."""
    dictionaries = {
        "experiments": [seeds.experiment], "jobs": [seeds.job, seeds.failed_job, seeds.generating_job], "datasets": [seeds.dataset, "planted", "planted@1"],
        "checkpoints": [seeds.checkpoint], "evaluations": list(seeds.evaluations), "things": [seeds.job, seeds.dataset, seeds.checkpoint],
        "webhooks": [seeds.webhook], "deliveries": [seeds.delivery], "tokens": [seeds.token],
        "files": ["app.js", "dashboard.css"],
    }  # fmt: skip
    bindings = {
        "path.experiment_id": "experiments", "path.job_id": "jobs", "path.dataset": "datasets", "path.checkpoint_id": "checkpoints",
        "path.evaluation_id": "evaluations", "query.base": "evaluations", "query.candidate": "evaluations", "path.id": "things",
        "path.webhook_id": "webhooks", "path.token": "tokens", "path.delivery_id": "deliveries", "path.file": "files", "query.experiment": "experiments",
    }  # fmt: skip
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in dictionaries.items()]
    lines.append("[parameters]")
    lines += [f'"{key}" = {{ dictionary = "{name}", probability = 0.5 }}' for key, name in bindings.items()]
    return configuration + "\n" + "\n".join(lines) + "\n"


def test_no_check_fails(run):
    process, _ = run
    assert process.returncode == 0, process.stdout[-20_000:] + process.stderr[-4000:]


def test_every_operation_succeeded_at_least_once(run, daemon):
    _, entries = run
    operations = contract.operations(contract.load())
    unseen = {operation.id for operation in operations if not operation.is_foreign} - {"getContract"}
    if daemon.call("GET", "/assets/app.js")[0] == 404:
        # Programs that were copied elsewhere come without the dashboard.
        unseen.discard("getAsset")
    for entry in entries:
        path = urlsplit(entry["request"]["url"]).path
        method = entry["request"]["method"]
        operation = next((o for o in operations if o.method == method and o.pattern.fullmatch(path)), None)
        if operation is not None and 200 <= entry["response"]["status"] < 300:
            unseen.discard(operation.id)
    # Only a reinforcement training has rollouts, and its tests ask for them.
    unseen.discard("getJobRollouts")
    # A job can be retried only while it is failed, paused only while it is active: these need the right moment, which the
    # black-box tests of job control make, and which an inventor of requests meets only by luck.
    moments = {
        "cancelExperiment", "retryExperiment", "cancelJob", "pauseJob", "resumeJob", "retryJob", "updateJob", "deleteCheckpoint",
        "cancelBackup", "pinCheckpoint", "unpinCheckpoint", "holdJob", "releaseJob",
    }  # fmt: skip
    assert unseen - moments == set()
