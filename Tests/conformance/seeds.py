"""Puts one of everything into a daemon, through its API alone."""

from __future__ import annotations

import dataclasses
import json
import sys

#: What a command job runs to register a model, an evaluation and a curve. The worker contract is all it knows.
WORKER = """
import json, os, pathlib, time
out = pathlib.Path(os.environ["ANNEAL_OUTPUT_DIR"])
model = out / "model"
model.mkdir(parents=True, exist_ok=True)
(model / "config.json").write_text("{}")
items = out / "items.jsonl"
items.write_text("".join(json.dumps({"index": i, "score": i % 2}) + "\\n" for i in range(4)))
evaluation = out / "evaluation.json"
evaluation.write_text(json.dumps({"version": 1, "model": str(model), "server": {"engine": "transformers"}, "benchmarks": [{
    "name": "toy", "dataset": {"sha256": "0" * 64, "path": str(items)}, "samples": 1, "grader": "exact", "settings": {},
    "item_count": 4, "metrics": {"accuracy": {"value": 0.5, "stderr": 0.25}}, "items": str(items), "item_scores": [0, 1, 0, 1]}]}))
with open(os.environ["ANNEAL_METRICS"], "a") as metrics:
    for step, value in enumerate([3.0, 2.0, float("nan"), 1.0]):
        metrics.write(json.dumps({"step": step, "time": time.time(), "train/loss": value}) + "\\n")
print("made a model")
pathlib.Path(os.environ["ANNEAL_OUTPUTS"]).write_text(json.dumps({"outputs": {
    "model": {"type": "checkpoint", "path": str(model), "step": 4, "metrics": {"val_loss": 1.0}},
    "evaluation": {"type": "evaluation", "path": str(evaluation)}}, "summary": {"accuracy": 0.5}}))
"""


@dataclasses.dataclass(frozen=True)
class Seeds:
    """Identifiers of what was planted."""

    experiment: str
    job: str
    failed_job: str
    generating_job: str
    dataset: str
    checkpoint: str
    evaluations: tuple[str, str]
    webhook: str
    delivery: str
    token: str

    @staticmethod
    def plant(daemon) -> Seeds:
        rows = "".join(json.dumps({"input": f"{i}*10=?", "output": str(i * 10)}) + "\n" for i in range(5))
        status, dataset = daemon.call("POST", "/v1/datasets?name=planted", rows.encode(), {"Content-Type": "application/x-ndjson"})
        assert status == 201, dataset
        makes = {"kind": "command", "command": [sys.executable, "-c", WORKER], "outputs": ["model", "evaluation"]}
        fails = {"kind": "command", "command": "exit 3"}
        # Nobody answers there; its passes are told of all the same.
        server = {"url": "http://127.0.0.1:9", "model": "m"}
        generates = {"kind": "generate", "server": server, "dataset": "planted", "patience": 0.1, "retry": {"limit": 0}}
        makers = {"first": makes, "second": {**makes, "cache": False}}
        planted = daemon.submit({"name": "planted", "jobs": {**makers, "fails": fails, "generates": generates}})
        experiment = daemon.finish(planted["id"])
        jobs = {job["name"]: job for job in experiment["jobs"]}
        assert jobs["first"]["state"] == "succeeded", daemon.call("GET", f"/v1/jobs/{jobs['first']['id']}/explain")
        evaluations = daemon.call("GET", "/v1/evaluations")[1]["data"]
        checkpoints = daemon.call("GET", "/v1/checkpoints")[1]["data"]
        # Nobody listens there; the message waits to be sent again.
        webhook = daemon.call("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/"})[1]["id"]
        assert daemon.call("POST", f"/v1/webhooks/{webhook}/ping")[0] == 204
        deliveries = daemon.call("GET", f"/v1/webhooks/{webhook}/deliveries")[1]["data"]
        # One that is revoked by whoever meets it first.
        token = daemon.call("POST", "/v1/tokens", {"name": "planted", "scope": "read"})[1]["id"]
        return Seeds(
            experiment=experiment["id"], job=jobs["first"]["id"], failed_job=jobs["fails"]["id"],
            generating_job=jobs["generates"]["id"], dataset=dataset["id"], checkpoint=checkpoints[0]["id"], evaluations=(evaluations[0]["id"], evaluations[1]["id"]),
            webhook=webhook, delivery=deliveries[0]["id"], token=token,
        )
