"""The parts of the GPU trial that one GPU is enough for. Each takes the workbench and tells figures."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from workbench import Failed, Skipped, Workbench


def inventory(bench: Workbench) -> None:
    """What the daemon sees through NVML, beside what nvidia-smi tells."""
    bench.tell("GPU source", bench.inventory["source"], "", "nvml", bench.is_dry or bench.inventory["source"] == "nvml")
    for gpu in bench.gpus:
        bench.tell(f"GPU {gpu['index']}", gpu["name"], uuid=gpu["uuid"], memory_bytes=gpu["memory_bytes"])
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        bench.tell("same UUIDs as nvidia-smi", told == [gpu["uuid"] for gpu in bench.gpus], "", "yes", told == [g["uuid"] for g in bench.gpus])


def sft_params(bench: Workbench, **more: Any) -> dict:
    """The settings of the large fine-tuning; weight decay is off because the two trainers decay different weights."""
    sizes = bench.sizes
    return {
        "max_steps": sizes.large_steps, "global_batch_size": sizes.large_batch, "micro_batch_size": sizes.large_micro_batch,
        "max_length": sizes.large["max_position_embeddings"], "learning_rate": 1e-4, "weight_decay": 0, "shuffle": False, **more,
    }  # fmt: skip


def sft(bench: Workbench) -> None:
    """Fine-tuning under Anneal, by Anneal's trainer started by hand, and by TRL alone, one after the other on the same machine."""
    params = sft_params(bench)
    body = bench.train_job(bench.model("large"), bench.data("large"), params, checkpoint={"save_optimizer": False})
    job = bench.run("anneal", {"sft": body})["sft"]
    bench.tell_empty(job)
    bench.tell_gpu_metrics(job)
    bench.keep_curves(job, ("train/*", "timing/*"))
    daemon = run_of_job(bench, job)
    bench.losses["sft"] = list(enumerate(daemon.losses, start=1))
    alone = run_by_hand(bench, job)
    found = run_bare(bench, params)
    trl = Run(found["losses"], found["tokens_by_step"], found["seconds_by_step"])
    ours, hand, theirs = daemon.rate(bench), alone.rate(bench), trl.rate(bench)
    bench.tell("SFT with Anneal", round(ours), "tokens/s", parameters=job["summary"]["parameters"])
    bench.tell("SFT with its trainer by hand", round(hand), "tokens/s")
    bench.tell("SFT with TRL alone", round(theirs), "tokens/s", optimizer=found["optimizer"])
    bench.tell("Anneal to TRL alone", round(ours / theirs, 4), "", ">= 0.99", bench.is_dry or ours / theirs >= 0.99)
    bench.tell("the daemon's part: to the trainer by hand", round(ours / hand, 4), "", ">= 0.99", bench.is_dry or ours / hand >= 0.99)
    bench.tell("Anneal to TRL alone by medians of steps", round(daemon.median_rate(bench) / trl.median_rate(bench), 4))
    apart = daemon.apart(trl)
    more = {"first_step": apart[0], "first_five": max(apart[:5]), "median": statistics.median(apart), "last": daemon.losses[-1]}
    # Fast kernels add up in an order of their own each time: how far two equal runs are apart stands beside it.
    bench.tell("greatest difference of losses", round(max(apart), 6), "", "", None, **more)
    bench.tell("the same to the trainer by hand", round(max(daemon.apart(alone)), 6))
    bench.tell("tokens are the same", daemon.tokens == trl.tokens, "", "yes", daemon.tokens == trl.tokens)
    tell_memory(bench, job, body, found["peak_bytes"])


def same_losses(bench: Workbench) -> None:
    """The losses of Anneal and of TRL alone, both with kernels that always add up in the same order."""
    params = sft_params(bench, max_steps=max(8, bench.sizes.large_steps // 3))
    body = bench.train_job(
        bench.model("large"), bench.data("large"), params, checkpoint={"save_optimizer": False}, args={"full_determinism": True}
    )
    run = run_of_job(bench, bench.run("exact", {"exact": body})["exact"])
    found = run_bare(bench, params, full_determinism=True)
    apart = run.apart(Run(found["losses"], found["tokens_by_step"], found["seconds_by_step"]))
    bench.tell("greatest difference of losses", max(apart), "", "<= 1e-3", max(apart) <= 1e-3, steps=len(apart), last=run.losses[-1])


@dataclass(frozen=True)
class Run:
    """A training by its steps: losses, tokens with loss, and seconds."""

    losses: list[float]
    tokens: list[float]
    seconds: list[float]

    def rate(self, bench: Workbench) -> float:
        """Tokens with loss per second, after the warm-up."""
        warm = bench.sizes.warm_steps
        return sum(self.tokens[warm:]) / sum(self.seconds[warm:])

    def median_rate(self, bench: Workbench) -> float:
        warm = bench.sizes.warm_steps
        return statistics.median(count / time for count, time in zip(self.tokens[warm:], self.seconds[warm:], strict=True))

    def apart(self, other: Run) -> list[float]:
        """How far the losses of each step are from the other run's."""
        return [abs(mine - its) for mine, its in zip(self.losses, other.losses, strict=True)]


#: A step's loss, its tokens and its seconds among the metrics.
RUN_KEYS = ("train/loss", "train/global_valid_toks", "timing/train/total_step_time")


def run_of_job(bench: Workbench, job: dict) -> Run:
    return Run(*([point["value"] for point in bench.curve(job, key)] for key in RUN_KEYS))


def run_by_hand(bench: Workbench, job: dict) -> Run:
    """The same attempt of a job once more, by a shell instead of the daemon: what the daemon itself costs is the difference."""
    spec = next((bench.work / "anneal").rglob(f"{job['attempts'][-1]['id']}/job.json"))
    folder = bench.work / "by-hand"
    environment = {**os.environ, "PYTHONPATH": os.environ["ANNEAL_TRAINER"], "CUDA_VISIBLE_DEVICES": "0", "ANNEAL_SPEC": str(spec)}
    for name in ("checkpoint_dir", "output_dir"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        environment[f"ANNEAL_{name.upper()}"] = str(folder / name)
    environment |= {"ANNEAL_METRICS": str(folder / "metrics.jsonl"), "ANNEAL_OUTPUTS": str(folder / "outputs.json")}
    run_python(["-m", "anneal_trainer"], environment, "the trainer by hand")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return Run(*([line[key] for line in lines if key in line] for key in RUN_KEYS))


def run_python(arguments: list[str], environment: dict[str, str], what: str) -> None:
    command = [sys.executable, "-B", *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    if ended.returncode != 0:
        raise Failed(f"{what} failed: {ended.stderr[-1500:]}")


def tell_memory(bench: Workbench, job: dict, body: dict, bare_peak: int) -> None:
    """The peak that PyTorch measured, beside what TRL alone took and what was estimated before the start."""
    status, plan = bench.daemon.call("POST", "/v1/experiments?dry_run=true", {"name": "estimate", "jobs": {"job": body}})
    bench.tell("memory before the start", plan["jobs"][0].get("memory_estimate") if status == 200 else plan)
    points = bench.keys(job)
    if "gpu/peak_memory_gb" not in points:
        return
    peak = points["gpu/peak_memory_gb"]["last"]
    bench.tell("peak of GPU memory", peak, "GB", trl_alone_gb=round(bare_peak / 1e9, 2))


def run_bare(bench: Workbench, params: dict, **arguments: Any) -> dict:
    """TRL alone on the same model and data, with further arguments of its own; what bare_sft.py found."""
    place = bench.work / "bare.json"
    out = bench.work / "bare-found.json"
    settings = {
        "model": bench.model("large"), "dataset": str(bench.data("large")), "params": params, "out": str(out), "bf16": not bench.is_dry,
        "arguments": arguments,
    }  # fmt: skip
    place.write_text(json.dumps(settings))
    trainer = os.environ["ANNEAL_TRAINER"]
    environment = {**os.environ, "PYTHONPATH": trainer, "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": "0"}
    run_python([str(pathlib.Path(__file__).with_name("bare_sft.py")), str(place)], environment, "TRL alone")
    return json.loads(out.read_text())


def small_params(bench: Workbench, **more: Any) -> dict:
    return {
        "max_steps": bench.sizes.small_steps, "epochs": 1000, "global_batch_size": 16, "micro_batch_size": 8,
        "max_length": bench.sizes.small["max_position_embeddings"], "learning_rate": 3e-4, "schedule": "cosine", **more,
    }  # fmt: skip


def share(bench: Workbench) -> None:
    """Two equal jobs at the same time, each on a part of one GPU. What sets them apart is the GPU's own noise."""
    model, data = bench.model("small"), bench.data("small")
    body = bench.train_job(model, data, small_params(bench), resources={"gpus": 0.45})
    jobs = bench.run("two", {"left": body, "right": dict(body)})
    left, right = (job["attempts"][-1] for job in jobs.values())
    overlap = min(left["finished_at"], right["finished_at"]) > max(left["started_at"], right["started_at"])
    bench.tell("two jobs at once on one GPU", overlap and left["gpus"] == right["gpus"], "", "yes", overlap and left["gpus"] == right["gpus"])
    curves = [[(point["step"], point["value"]) for point in bench.curve(job, "train/loss")] for job in jobs.values()]
    bench.losses["small"], bench.losses["small again"] = curves
    bench.tell("difference of two equal runs", greatest_difference(*curves), "", "", None, steps=len(curves[0]))
    for job in jobs.values():
        bench.tell_empty(job)
        bench.keep_curves(job, ("train/loss", "gpu/*"))


def greatest_difference(one: list[tuple[int, float]], other: list[tuple[int, float]]) -> float:
    """Over the steps that both have; where they have different ones, not a number."""
    if [step for step, _ in one] != [step for step, _ in other]:
        return float("nan")
    return max(abs(a - b) for (_, a), (_, b) in zip(one, other, strict=True))


def preemption(bench: Workbench) -> None:
    """A job gives way to a more urgent one, goes on by itself, and ends with the curve of an undisturbed run."""
    if "small" not in bench.losses:
        share(bench)
    model, data = bench.model("small"), bench.data("small")
    body = bench.train_job(model, data, small_params(bench), priority=10, preemptible=True)
    patient = bench.submit("patient", {"patient": body})["patient"]
    bench.wait("steps of the patient job", lambda: has_steps(bench, patient, bench.sizes.small_steps // 6))
    code = "import threading; threading.Event().wait(1)"
    urgent = {"kind": "command", "command": [sys.executable, "-c", code], "priority": 90, "resources": {"gpus": len(bench.gpus)}, "cache": False}
    first = bench.end(bench.submit("urgent", {"urgent": urgent})["urgent"])
    patient = bench.end(patient)
    bench.check(first)
    bench.check(patient)
    causes = [attempt["cause"] for attempt in patient["attempts"]]
    bench.tell("attempts of the preempted job", causes, "", "preempted, then done", causes[0] == "preempted" and len(causes) == 2)
    points = bench.curve(patient, "train/loss")
    losses = [(point["step"], point["value"]) for point in points]
    stopped = max(point["step"] for point in points if point["attempt"] == points[0]["attempt"])
    difference = greatest_difference(losses, bench.losses["small"])
    noise = greatest_difference(bench.losses["small"], bench.losses["small again"])
    met = difference <= max(noise, 1e-6) * 2
    bench.tell("difference to an undisturbed run", difference, "", "that of equal runs", met, resumed_after=stopped, equal_runs=noise)
    later = bench.curve(patient, "train/grad_norm")
    bench.tell("every step once", len(points) == bench.sizes.small_steps == len(later), "", "yes", len(points) == bench.sizes.small_steps)
    bench.keep_curves(patient, ("train/loss",))
    bench.tell_empty(patient)


def has_steps(bench: Workbench, job: dict, count: int) -> bool:
    return bench.keys(job).get("train/loss", {}).get("last_step", 0) >= count


def oom(bench: Workbench, gpus: int = 1) -> None:
    """A micro-batch that no GPU of this size can hold; the daemon halves it until it fits."""
    if bench.is_dry:
        raise Skipped("a CPU has no GPU memory to run out of")
    large = bench.sizes.large
    # As the daemon's estimate counts what a block keeps of each token; half as much again as there is cannot fit.
    one = (36 * large["hidden_size"] + 8 * large["intermediate_size"]) * large["num_hidden_layers"] * bench.sizes.large_digits[1]
    micro = max(8, int(1.5 * bench.device_bytes() / one) // 8 * 8)
    batch = micro * gpus
    params = sft_params(bench, max_steps=2, global_batch_size=batch, micro_batch_size=micro)
    body = bench.train_job(
        bench.model("large"), bench.data("large"), params, checkpoint={"save_optimizer": False}, resources={"gpus": gpus},
        retry={"limit": 4, "delay": "1s", "on_oom": "halve_micro_batch"},
    )  # fmt: skip
    job = bench.run("large-batch", {"oom": body})["oom"]
    causes = [attempt["cause"] for attempt in job["attempts"]]
    met = causes[0] == "cuda_oom" and causes[-1] == "succeeded"
    bench.tell("causes of the attempts", causes, "", "cuda_oom, then done", met, micro_batch=micro, messages=[a["message"] for a in job["attempts"]][:1])
    samples = [point["value"] for point in bench.curve(job, "train/num_valid_samples")]
    bench.tell("samples of a step", samples, "", f"{batch}", samples == [batch, batch])
    bench.tell_empty(job)


def preference_pairs(bench: Workbench) -> str:
    """Pairs in which the longer answer is preferred."""
    path = bench.work / "pairs.jsonl"
    with path.open("w") as file:
        for number in range(400):
            pair = {"prompt": f"{number}*10=?", "chosen_response": f"{number * 10}", "rejected_response": "I cannot answer that."}
            file.write(json.dumps(pair) + "\n")
    return str(path)


def arithmetic(bench: Workbench) -> str:
    """Questions with their answers."""
    path = bench.work / "questions.jsonl"
    with path.open("w") as file:
        for number in range(400):
            first, second = number % 10, number // 10 % 10
            question = {"problem": f"What is {first} + {second}?", "expected_answer": str(first + second)}
            file.write(json.dumps(question) + "\n")
    return str(path)


def by_method(bench: Workbench, method: str, dataset: str, params: dict, keys: tuple[str, ...], **more: Any) -> None:
    """A short run of a training method on the large model; skipped where the build does not know the method."""
    body = {
        "kind": "train", "method": method, "model": bench.model("large"), "dataset": dataset, "params": params, "resources": {"gpus": 1},
        "checkpoint": {"save_optimizer": False}, "cache": False, **more,
    }  # fmt: skip
    try:
        job = bench.run(method, {method: body})[method]
    except Failed as error:
        if "/method" in str(error):
            raise Skipped(f"the method {method} is not in this build") from None
        raise
    bench.tell_empty(job)
    bench.keep_curves(job, ("train/*", "timing/*", "validation/*"))
    seconds = [point["value"] for point in bench.curve(job, "timing/train/total_step_time")]
    losses = [point["value"] for point in bench.curve(job, "train/loss")]
    bench.tell(f"steps of {method}", len(losses), "", str(params["max_steps"]), len(losses) == params["max_steps"], losses=losses[:3] + losses[-3:])
    bench.tell(f"a step of {method}", round(statistics.median(seconds), 3), "s")
    for key in keys:
        values = [point["value"] for point in bench.curve(job, key)]
        bench.tell(f"{method} {key}", values[-1] if values else None, "", "", None, first=values[0] if values else None)


def dpo(bench: Workbench) -> None:
    """Direct preference optimisation of the large model."""
    params = {"max_steps": 8 if bench.is_dry else 20, "global_batch_size": 8, "micro_batch_size": 4, "max_length": 128, "learning_rate": 1e-5}
    by_method(bench, "dpo", preference_pairs(bench), params, ("train/acc", "train/rewards_chosen_mean", "train/rewards_rejected_mean"))


def grpo(bench: Workbench) -> None:
    """Group-relative policy optimisation of the large model, with rollouts by transformers."""
    params = {
        "rewards": [{"exact": {}}], "max_steps": 3, "prompts_per_step": 8, "generations_per_prompt": 8, "global_batch_size": 64,
        "micro_batch_size": 32, "max_length": 128, "max_new_tokens": 32, "learning_rate": 1e-6,
    }  # fmt: skip
    by_method(bench, "grpo", arithmetic(bench), params, ("train/reward", "train/mean_gen_tokens_per_sample"))
