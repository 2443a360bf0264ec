"""The parts of the GPU trial that run under Slurm: a cluster of this machine, each of whose nodes has GPUs of its own."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator

import parts
from workbench import Failed, Skipped, Workbench

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import slurm  # noqa: E402

CLUSTER = "hpc"


@contextlib.contextmanager
def running(folder: pathlib.Path, is_dry: bool) -> Iterator[dict]:
    """A cluster in `folder`; gives the daemon's configuration of it, which names none where Slurm is missing."""
    if slurm.missing():
        yield {}
        return
    devices = None if is_dry else sorted(str(path) for path in pathlib.Path("/dev").glob("nvidia[0-9]*"))
    plugins = os.environ.get("ANNEAL_SLURM_PLUGINS")
    with slurm.running(folder, devices=devices, plugins=plugins) as cluster:
        # The libraries that this machine lacks are found by it.
        environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        terms = {"executor": "slurm", "slurm_conf": str(cluster.configuration), "time": "20m", "margin": "20s", "lag": "5s"}
        yield {"clusters": {CLUSTER: {**terms, "environment": environment}}}


def need_cluster(bench: Workbench) -> None:
    if not bench.get("/v1/clusters")["data"]:
        raise Skipped(slurm.missing() or "no cluster runs")


def small_job(bench: Workbench, **resources: int) -> dict:
    """The small fine-tuning, on the cluster."""
    body = bench.train_job(bench.model("small"), bench.data("small"), parts.small_params(bench), resources=resources)
    return {**body, "cluster": CLUSTER}


def tell_difference(bench: Workbench, job: dict, name: str) -> None:
    """How far the losses of a job are from those of the undisturbed run on the daemon's own machine."""
    if "small" not in bench.losses:
        parts.share(bench)
    points = bench.curve(job, "train/loss")
    losses = [(point["step"], point["value"]) for point in points]
    difference = parts.greatest_difference(losses, bench.losses["small"])
    noise = parts.greatest_difference(bench.losses["small"], bench.losses["small again"])
    bench.tell(name, difference, "", "that of equal runs", difference <= max(noise, 1e-6) * 2, equal_runs=noise)
    bench.tell("every step once", len(points) == bench.sizes.small_steps, "", "yes", len(points) == bench.sizes.small_steps)
    bench.keep_curves(job, ("train/loss", "gpu/*"))
    bench.tell_empty(job)


def allocations(bench: Workbench) -> None:
    """A training whose allocation ends goes on in another one, on the curve of an undisturbed run."""
    need_cluster(bench)
    job = bench.submit("chain", {"chain": small_job(bench, gpus=1)})["chain"]
    bench.wait("steps on the cluster", lambda: parts.has_steps(bench, job, bench.sizes.small_steps // 6))
    [first] = bench.job(job)["attempts"]
    # What Slurm itself sends when the time of an allocation is nearly over.
    [configuration] = (bench.work / "slurm").glob("slurm.conf")
    slurm.run_program(configuration, "scancel", "--signal=USR1", "--batch", first["external_id"])
    job = bench.end(job)
    bench.check(job)
    causes = [attempt["cause"] for attempt in job["attempts"]]
    bench.tell("ends of the allocations", causes, "", "allocation_ended, then done", causes[:1] == ["allocation_ended"] and len(causes) == 2)
    bench.tell("GPUs that Slurm gave", [attempt["gpus"] for attempt in job["attempts"]])
    tell_difference(bench, job, "difference to an undisturbed run")


def two_nodes(bench: Workbench) -> None:
    """A training over two nodes with a GPU each, its gradients summed by NCCL."""
    need_cluster(bench)
    if len(bench.gpus) < 2:
        raise Skipped(f"needs two GPUs, and there is {len(bench.gpus)}")
    try:
        job = bench.run("nodes", {"nodes": small_job(bench, gpus=1, nodes=2)})["nodes"]
    except Failed as error:
        raise Failed(f"over two nodes: {error}") from None
    held = job["attempts"][-1]["gpus"]
    bench.tell("GPUs that Slurm gave", held, "", "one of each node", len({name.split(":")[0] for name in held}) == 2)
    tell_difference(bench, job, "difference to one GPU")
