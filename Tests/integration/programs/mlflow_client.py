"""A program that logs with MLflow's own client and is told of the server by its environment alone.

The first attempt ends with 75 (saved, resume me). What the client is refused is printed, one line of JSON each.
"""

import json
import math
import os
import sys
import time

import mlflow
import numpy
from mlflow.entities import Metric, Param, RunTag

FIRST = os.environ["ANNEAL_ATTEMPT"] == "1"


def refused(what, body):
    """Prints the code of the error that `body` ends with; null where it does not fail."""
    try:
        body()
        code = None
    except mlflow.MlflowException as error:
        code = error.error_code
    print(json.dumps({"what": what, "code": code}), flush=True)


def log_first(run):
    """What the first attempt logs."""
    mlflow.log_params({"lr": 0.1, "optimizer": "adamw"})
    mlflow.set_tags({"team": "alignment", "gone": "1"})
    mlflow.MlflowClient().delete_tag(run.info.run_id, "gone")
    for step in range(1, 21):
        mlflow.log_metric("train/loss", 1 / step, step=step)
    refused("the same value again", lambda: mlflow.log_param("lr", 0.1))
    refused("another value", lambda: mlflow.log_param("lr", 0.2))


def log_second(run):
    """What the second attempt logs: other parameters, a batch, numbers that are none, an input, files and a run beside."""
    client, moment = mlflow.MlflowClient(), int(time.time() * 1000)
    refused("another value in another attempt", lambda: mlflow.log_param("lr", 0.2))
    metrics = [Metric("train/loss", 1 / step, moment + step, step) for step in range(21, 2521)]
    client.log_batch(run.info.run_id, metrics, [Param("epochs", "3")], [RunTag("stage", "two")])
    mlflow.log_metrics({"odd/nan": math.nan, "odd/inf": math.inf, "odd/minus": -math.inf}, step=2521)
    mlflow.log_input(mlflow.data.from_numpy(numpy.zeros((2, 2)), name="numbers@1"), context="training")
    mlflow.log_text("hello from the job", "notes/hello.txt")
    refused("a key of 10 kB", lambda: mlflow.log_metric("k" * 10_000, 1.0, step=2521))
    with mlflow.start_run(nested=True, run_name="child"):
        mlflow.log_metric("depth", 2.0, step=2522)


def main():
    """Logs as a trainer does, and claims to have failed although it ends well."""
    mlflow.set_experiment(os.environ["MLFLOW_EXPERIMENT_NAME"])
    with mlflow.start_run() as run:
        assert run.info.run_id == os.environ["ANNEAL_JOB_ID"]
        (log_first if FIRST else log_second)(run)
        mlflow.MlflowClient().set_terminated(run.info.run_id, "FINISHED" if FIRST else "FAILED")
    mlflow.MlflowClient().set_terminated(run.info.run_id, "FINISHED" if FIRST else "FAILED")
    sys.exit(75 if FIRST else 0)


main()
