"""Keeps what schemathesis makes up from doing anything.

Schemathesis submits specs with invented commands, URLs and counts, and the daemon really runs them. The hook leaves the shape of a
sound spec alone and replaces in it what would reach beyond the test: commands by `true`, URLs by a closed port of the loopback
address, large generators and matrices by small ones. Requests that are to be refused go out as they were made.

It also mends what JSON Schema cannot say of a sound request, and the contract says in words: see `complete`.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
import uuid

import schemathesis

CLOSED_URL = "http://127.0.0.1:9/"
#: An experiment that does not exist.
NO_EXPERIMENT = "exp_00000000000000000000000000"
#: The webhook that must stay, so that its messages can be sent again.
KEPT_WEBHOOK = os.environ.get("ANNEAL_KEPT_WEBHOOK")
#: The job that asked a model for answers and got none.
GENERATING_JOB = os.environ.get("ANNEAL_GENERATING_JOB")
#: Where backups may go.
BACKUPS = tempfile.mkdtemp(prefix="anneal-backups-")
#: An experiment's archive, which nobody can invent.
ARCHIVE = pathlib.Path(os.environ["ANNEAL_ARCHIVE"]).read_bytes() if "ANNEAL_ARCHIVE" in os.environ else b""
NO_WEBHOOK = "hook_00000000000000000000000000"
#: Keys that the planted jobs do not have.
UNUSED_KEYS = ["unused/*"]
#: Keys that the planted jobs have.
KNOWN_KEYS = ("train/loss", "train/*", "*")
#: An alert that can be read.
RULE = "train/loss > 10 for 3"
#: A regular expression.
PATTERN = "answer: (.+)"
#: A range of seeds in the right order.
SEEDS = "0..4"
ROWS_MAX = 50
CHUNKS_MAX = 3
SAMPLES_MAX = 8
MATRIX_KEYS_MAX = 3
MATRIX_VALUES_MAX = 2


@schemathesis.serializer("application/x-tar")
def tar(context, value):
    """The body of an import. A sound one cannot be invented, nor stand in the case, whose body must be of JSON's values."""
    return ARCHIVE if is_positive(context.case) else str(value).encode()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Changes a request that schemathesis is about to send."""
    operation = case.operation.definition.raw.get("operationId")
    if is_positive(case):
        if operation == "submitExperiment" and isinstance(case.body, dict):
            # Each variable must be used, which no schema can ask for.
            case.body.pop("vars", None)
            for job in case.body.get("jobs", {}).values():
                tame(job)
            if len(str(case.body.get("name"))) % 2 == 0:
                # Most kinds need files, which nobody can invent: every other spec has a job that can run anywhere.
                case.body["jobs"] = {"anywhere": {"kind": "command", "command": "true"}}
        if operation == "createWebhook" and isinstance(case.body, dict):
            case.body["url"] = CLOSED_URL
        if operation == "startBackup" and isinstance(case.body, dict):
            case.body["target"] = f"{BACKUPS}/{uuid.uuid4()}"
        if operation == "getDoctor":
            case.query.pop("deep", None)
        if operation == "deleteWebhook" and case.path_parameters.get("webhook_id") == KEPT_WEBHOOK:
            case.path_parameters["webhook_id"] = NO_WEBHOOK
        if operation == "deleteJobMetrics":
            case.query["key"] = UNUSED_KEYS
        complete(operation, case)
    # Schemathesis uses one key for many requests, which the daemon rightly refuses.
    for name in [name for name in case.headers or {} if name.lower() == "idempotency-key"]:
        if is_positive(case):
            case.headers[name] = str(uuid.uuid4())


def complete(operation: str, case) -> None:
    """Brings parts of a request together that depend on each other."""
    query = case.query
    if operation in ("getMetrics", "getJobMetrics", "streamEvents") and query.get("key"):
        # Invented keys alone would find no curves; of arrays schemathesis takes no dictionaries.
        length = len(query["key"][0])
        if length % 2 == 0:
            query["key"][0] = KNOWN_KEYS[length // 2 % len(KNOWN_KEYS)]
    if operation == "getMetrics" and not query.get("job") and "experiment" not in query:
        query["experiment"] = NO_EXPERIMENT
    if operation in ("getMetrics", "getJobMetrics") and {"from", "to"} <= query.keys():
        query["from"], query["to"] = sorted((query["from"], query["to"]), key=float)
    if operation == "listGenerationFailures":
        # A place in a list is made by the list, and few jobs have one.
        query.pop("after", None)
        case.path_parameters["job_id"] = GENERATING_JOB
    if operation == "diffDatasets":
        # The one name that is sure to be there; see seeds.py.
        query["from"] = query["to"] = "planted"
    if operation == "submitExperiment" and query.get("set"):
        # An override of a key that is not there adds a fault to those that no schema can rule out.
        query["set"] = ["tags.invented=yes"]
    if operation == "uploadDataset" and isinstance(case.body, dict):
        # A document that says where the records are has their name in it.
        query.pop("name", None)
        query.pop("format", None)
        if "url" in case.body:
            case.body["url"] = CLOSED_URL
    elif operation == "uploadDataset":
        query.setdefault("name", "invented")
    if operation == "logJobMetrics" and isinstance(case.body, dict):
        for series in case.body.get("series", []):
            columns = [name for name in ("steps", "times", "values") if series.get(name)]
            count = min(len(series.get(name) or []) for name in {"steps", "values", *columns})
            for name in columns:
                series[name] = series[name][:count]


def is_positive(case) -> bool:
    """True for a request that follows the contract."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def tame(job: dict) -> None:
    """Replaces what would run, fetch or fill the disk, and mends what a schema cannot say."""
    for alert in job.get("alerts", []):
        alert["when"] = RULE
    if isinstance(job.get("container"), dict):
        # The experiment's may have it, which the schema cannot see.
        job["container"].setdefault("image", "debian")
    resources = job.get("resources", {})
    for way in (resources, *resources.get("any_of", [])):
        # The schema cannot say that the second number of a range is not the smaller one.
        if isinstance(way.get("gpus"), str):
            way["gpus"] = "{}-{}".format(*sorted(map(int, way["gpus"].split("-"))))
    if "command" in job:
        job["command"] = "true" if isinstance(job["command"], str) else ["true"]
    for benchmark in job.get("benchmarks", []):
        tame_grading(benchmark.get("grading", {}))
    for step in job.get("steps", []):
        tame_step(step)
    if job.get("engine") == "nemo-rl":
        # Overrides have a grammar of their own, and which metrics there are depends on the method.
        job |= {"overrides": [], "checkpoint": {}, "params": {}}
    if job.get("kind") == "generate":
        tame_generation(job)
    judges = [benchmark.get("grading", {}).get("judge") for benchmark in job.get("benchmarks", [])]
    for holder in (job.get("source"), job.get("server"), *judges):
        if isinstance(holder, dict) and "url" in holder:
            holder["url"] = CLOSED_URL
    source = job.get("source")
    if isinstance(source, dict) and "generator" in source:
        source["generator"]["count"] = min(source["generator"]["count"], ROWS_MAX)
    if isinstance(job.get("matrix"), dict):
        job["matrix"] = {
            key: values[:MATRIX_VALUES_MAX] for key, values in list(job["matrix"].items())[:MATRIX_KEYS_MAX] if isinstance(values, list)
        } or job["matrix"]


def tame_grading(grading: dict) -> None:
    """Keeps a grader from running an invented program, and gives it an expression that can be read, which no schema can ask for."""
    if "command" in grading:
        grading["command"] = ["true"]
    if "pattern" in grading:
        grading["pattern"] = PATTERN


def tame_step(step: dict) -> None:
    """Keeps a step of a prepare job from running an invented program."""
    command = step.get("command") if isinstance(step, dict) else None
    if isinstance(command, dict):
        command["run"] = "cat"
    elif command is not None:
        step["command"] = "cat" if isinstance(command, str) else ["cat"]


def tame_generation(job: dict) -> None:
    """Makes few generations, and brings numbers into the order that no schema can ask for."""
    for parts in job.get("merge", {}).values():
        parts[:] = ["planted"]
    if not job.get("parse_reasoning"):
        job.pop("reasoning_end", None)
    if "samples" in job:
        job["samples"] = min(job["samples"], SAMPLES_MAX)
    if "chunks" in job:
        job["chunks"] = min(job["chunks"], CHUNKS_MAX)
        if "chunk" in job:
            job["chunk"] %= job["chunks"]
    if isinstance(job.get("seeds"), str) and ".." in job["seeds"]:
        job["seeds"] = SEEDS
