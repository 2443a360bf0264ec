"""The parts of the GPU trial that need two GPUs."""

from __future__ import annotations

import sys

import parts
from workbench import Skipped, Workbench


def need_two(bench: Workbench) -> None:
    if len(bench.gpus) < 2:
        raise Skipped(f"needs two GPUs, and there is {len(bench.gpus)}")


def fsdp(bench: Workbench) -> None:
    """The large fine-tuning sharded over two GPUs: the curve of one GPU, and less memory on each."""
    need_two(bench)
    if "sft" not in bench.losses:
        parts.sft(bench)
    params = parts.sft_params(bench, parallel="fsdp")
    body = bench.train_job(
        bench.model("large"), bench.data("large"), params, checkpoint={"save_optimizer": False}, resources={"gpus": 2})
    job = bench.run("two", {"fsdp": body})["fsdp"]
    bench.tell_empty(job)
    bench.tell_gpu_metrics(job)
    bench.keep_curves(job, ("train/*", "timing/*"))
    run = parts.run_of_job(bench, job)
    bench.tell("FSDP on two GPUs", round(run.rate(bench)), "tokens/s")
    # In bf16, and with kernels that add up in an order of their own, two equal runs of one GPU were up to 0.025 apart.
    difference = parts.greatest_difference(list(enumerate(run.losses, start=1)), bench.losses["sft"])
    bench.tell("difference of losses to one GPU", difference, "", "<= 0.05", difference <= 0.05)
    parts.tell_memory(bench, job, body, 0)


def oom_of_two(bench: Workbench) -> None:
    """The same over two GPUs, where one process runs out of memory while the other waits for it."""
    need_two(bench)
    parts.oom(bench, gpus=2)


def reshape(bench: Workbench) -> None:
    """A sharded run of two GPUs is stopped and goes on on one."""
    need_two(bench)
    model, data = bench.model("small"), bench.data("small")
    params = parts.small_params(bench, parallel="fsdp")
    job = bench.submit("two", {"sharded": bench.train_job(model, data, params, resources={"gpus": "1-2"}, priority=10, preemptible=True)})["sharded"]
    bench.wait("steps on two GPUs", lambda: parts.has_steps(bench, job, bench.sizes.small_steps // 6))
    code = "import threading; threading.Event().wait(60)"
    hold = {
        "kind": "command", "command": [sys.executable, "-c", code], "priority": 90, "resources": {"gpus": len(bench.gpus) - 1}, "cache": False,
    }  # fmt: skip
    holder = bench.submit("holder", {"holder": hold})["holder"]
    job = bench.end(job)
    bench.daemon.call("POST", f"/v1/jobs/{holder['id']}/cancel")
    bench.check(job)
    gpus = [len(attempt["gpus"]) for attempt in job["attempts"]]
    bench.tell("GPUs of the attempts", gpus, "", "2, then 1", gpus[0] == 2 and gpus[-1] == 1)
    points = bench.curve(job, "train/loss")
    bench.tell("every step once", len(points) == bench.sizes.small_steps, "", "yes", len(points) == bench.sizes.small_steps)
    bench.keep_curves(job, ("train/loss",))


def side_by_side(bench: Workbench) -> None:
    """A training and a generation at the same time on GPUs of their own."""
    need_two(bench)
    model, data = bench.model("small"), bench.data("small")
    generate = {
        "kind": "generate", "model": model, "dataset": str(data), "limit": 32, "max_tokens": 64, "temperature": 0.7, "samples": 2,
        "server": {"engine": "transformers", "startup_timeout": "90s"}, "resources": {"gpus": 1}, "cache": False,
    }  # fmt: skip
    if bench.is_dry:
        generate["server"]["args"] = {"device": "cpu"}
    params = parts.small_params(bench, max_steps=bench.sizes.small_steps * 2)
    jobs = bench.run("both", {"train": bench.train_job(model, data, params), "generate": generate})
    held = [set(job["attempts"][-1]["gpus"]) for job in jobs.values()]
    bench.tell("GPUs of both", [sorted(uuids) for uuids in held], "", "disjoint", not held[0] & held[1])
    one, other = (job["attempts"][-1] for job in jobs.values())
    overlap = min(one["finished_at"], other["finished_at"]) > max(one["started_at"], other["started_at"])
    bench.tell("at the same time", overlap, "", "yes", overlap)
    for job in jobs.values():
        bench.tell_empty(job)
