"""The engine `nemo-rl`, with a stand-in for NeMo RL's checkout that takes and writes what NeMo RL takes and writes."""

import json
import os
import pathlib
import signal
import sys

import pytest

from conftest import SCRIPTS, Daemon, wait_until

sys.path.insert(0, str(SCRIPTS))
import nemo_rl  # noqa: E402

#: Seed 0's own configuration, of the time before the data's layout changed.
SEED = """
sft: {max_num_epochs: 2, max_num_steps: 4, val_period: 1, val_batches: 4, val_global_batch_size: 32, val_micro_batch_size: 1, val_at_start: true, seed: 42}
checkpointing: {enabled: true, checkpoint_dir: results, metric_name: "val:val_loss", higher_is_better: false, keep_top_k: 3, save_period: 55,
  checkpoint_must_save_by: null}
policy:
  model_name: base
  tokenizer: {name: "${policy.model_name}", chat_template: "{{ messages }}"}
  train_global_batch_size: 8
  train_micro_batch_size: 1
  max_total_sequence_length: 2048
  precision: bfloat16
  dynamic_batching: {enabled: false, train_mb_tokens: "${mul:${policy.max_total_sequence_length}, ${policy.train_micro_batch_size}}"}
  optimizer: {name: torch.optim.AdamW, kwargs: {lr: 3.0e-6, weight_decay: 0.05, betas: [0.9, 0.98], eps: 1.0e-5}}
data:
  dataset_name: openai_format
  train_data_path: train.jsonl
  val_data_path: train.jsonl
  chat_key: messages
  tool_key: tools
logger: {log_dir: logs, wandb_enabled: false, tensorboard_enabled: true, monitor_gpus: false}
cluster: {gpus_per_node: 8, num_nodes: 1}
"""


class World:
    """A daemon with two simulated GPUs, checkouts of both layouts, a model and data."""

    def __init__(self, folder):
        self.folder = folder
        self.roots = {layout: str(nemo_rl.checkout(folder / layout, layout)) for layout in ("old", "new")}
        self.model = str(folder / "base")
        pathlib.Path(self.model).mkdir()
        (folder / "base" / "config.json").write_text("{}")
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        self.data = {
            name: self.write(f"{name}.jsonl", "".join(json.dumps(record) + "\n" for _ in range(80)))
            for name, record in {
                "messages": {"messages": turns}, "pairs": {"prompt": "a", "chosen_response": "b", "rejected_response": "c"},
                "answers": {"input": "1+1", "output": "2"},
            }.items()
        }  # fmt: skip
        self.daemon = Daemon(folder / "data", "--gpus", "sim:2", "--cpus", "4").start()

    def write(self, name, text):
        """A file of the test."""
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def job(self, layout="new", method="sft", data="messages", **more):
        """A job for the stand-in."""
        body = {
            "kind": "train", "engine": "nemo-rl", "method": method, "root": self.roots[layout], "launcher": [sys.executable, "-B"],
            "model": self.model, "dataset": self.data[data], "resources": {"gpus": 1}, "cache": False,
        }  # fmt: skip
        if method != "eval":
            body["validation"] = self.data[data]
        return body | more

    def submit(self, name, job):
        """The id of the only job of an experiment."""
        answer = self.daemon.submit({"name": name, "jobs": {"job": job}})
        assert answer.status == 201, answer.body
        return answer.json["jobs"][0]["id"]

    def flags(self, name):
        """A folder for the files that let a training go on, and what puts them there."""
        folder = self.folder / name
        folder.mkdir()
        return str(folder), lambda *steps: [(folder / str(step)).touch() for step in steps]

    def losses(self, job):
        """The points of the training loss; none before the first."""
        return self.daemon.get(f"/v1/jobs/{job}/metrics?key=train%2Floss").json.get("points", [])

    def checkpoints(self, job):
        """The registered checkpoints that are still there, by step."""
        rows = self.daemon.get(f"/v1/checkpoints?job={job}").json["data"]
        return {row["step"]: row for row in rows if row["step"] is not None and not row.get("deleted_at")}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One daemon for all tests; each has jobs and folders of its own."""
    made = World(tmp_path_factory.mktemp("nemo"))
    yield made
    made.daemon.clean_up()


def test_every_program_takes_what_anneal_writes(world):
    """The stand-in refuses every key that its configuration does not have, in both layouts."""
    small = {"global_batch_size": 8, "micro_batch_size": 2, "max_steps": 3, "learning_rate": 3e-6, "beta1": 0.8}
    adapted = small | {"lora": {"rank": 4}}
    ahead = {"schedule": "cosine", "warmup_steps": 1, "validate_every": 2, "precision": "fp32"}
    rollouts = {"prompts_per_step": 8, "generations_per_prompt": 2, "max_steps": 3, "max_new_tokens": 16}
    teacher = {"teacher": world.model, "params": {**rollouts, "topk": 8, "kl_type": "forward"}}
    methods = {
        "sft": ("messages", {"params": {**adapted, **ahead, "only_final_turn": True}, "checkpoint": {"every": 3, "keep_top_k": None}}),
        "dpo": ("pairs", {"params": {**small, "beta": 0.1, "sft_loss_weight": 0.5}}), "reward": ("pairs", {"params": small}),
        "grpo": ("answers", {"params": {**rollouts, "clip_max": 0.28, "kl_penalty": 0}, "checkpoint": {"every": 1}}),
        "distill": ("answers", teacher), "eval": ("answers", {"params": {"samples": 1}}),
    }  # fmt: skip
    jobs = {}
    for layout in ("new", "old"):
        for method, (data, more) in methods.items():
            export = {} if method == "eval" else {"export": "last" if (method, layout) == ("dpo", "new") else "none"}
            if (method, layout) == ("reward", "old"):
                export = {"overrides": ["++policy.megatron_cfg.enabled=true"]}
            jobs[f"{method}-{layout}"] = world.job(layout, method, data, **more, **export)
    done = world.daemon.run({"name": "all", "jobs": jobs})["jobs"]
    for name, job in done.items():
        assert job["state"] == "succeeded", (name, job["message"], world.daemon.logs(job["id"]))
        older = "_math" if name in ("grpo-old", "distill-old") else ""
        assert f"{older}.py --config" in world.daemon.logs(job["id"]).decode()
    outputs = {name: set(job["outputs"]) for name, job in done.items()}
    assert outputs["dpo-new"] == {"checkpoint.best", "checkpoint.last", "model"} == outputs["sft-old"] | {"model"} == outputs["reward-old"]
    assert "--megatron-ckpt-path" in world.daemon.logs(done["reward-old"]["id"]).decode()
    assert outputs["eval-new"] == {"evaluation_data"}
    assert [point["value"] for point in world.daemon.curve(done["eval-old"]["id"], "eval/score")] == [0.1]
    model = json.loads(pathlib.Path(done["dpo-new"]["outputs"]["model"]["path"], "config.json").read_text())
    assert model == {"architectures": ["Llama"], "from": world.model, "step": 3}


def test_a_checkpoint_becomes_a_model_in_a_job_of_its_own(world):
    params = {"global_batch_size": 8, "micro_batch_size": 2, "max_steps": 3}
    convert = {"kind": "convert", "engine": "nemo-rl", "root": world.roots["new"], "launcher": [sys.executable, "-B"]}
    jobs = {"sft": world.job(params=params, export="later"), "hf": {**convert, "model": "${sft.checkpoint.best}"}}
    done = world.daemon.run({"name": "export", "jobs": jobs})["jobs"]
    assert done["hf"]["state"] == "succeeded", (done["hf"]["message"], world.daemon.logs(done["hf"]["id"]))
    folder = pathlib.Path(done["hf"]["outputs"]["model"]["path"])
    assert json.loads((folder / "config.json").read_text()) == {"architectures": ["Llama"], "from": world.model, "step": 3}
    assert [path.name for path in folder.parent.iterdir()] == ["hf_step_3"]
    refused = world.daemon.submit({"name": "bad", "jobs": {"hf": {**convert, "root": world.model, "model": world.model, "dtype": "float16"}}})
    found = {error["pointer"]: error["detail"] for error in refused.json["errors"]}
    assert found.keys() == {"/jobs/hf/dtype", "/jobs/hf/root", "/jobs/hf/model"}, found
    assert "no checkout of NeMo RL" in found["/jobs/hf/root"] and "training_info.json" in found["/jobs/hf/model"]


def test_curves_checkpoints_and_retention(world):
    flags, let = world.flags("curves")
    params = {"global_batch_size": 8, "micro_batch_size": 1, "validate_every": 3, "epochs": 1}
    job = world.submit("curves", world.job(params=params, checkpoint={"every": 2, "keep_top_k": 2}, env={"FLAGS": flags}, export="best"))
    let(*range(1, 9))
    # Folders are registered while the training goes on; what its retention deletes is noted. Of 2, 4, 6 and 8 step 6 is the best.
    wait_until(lambda: set(world.checkpoints(job)) == {6, 8}, "the checkpoints 6 and 8")
    assert world.daemon.job(job)["state"] == "running"
    let(9, 10)
    view = world.daemon.wait_for(job, "succeeded")
    # Of equals, such as 4 and 8, the later one is better.
    wait_until(lambda: set(world.checkpoints(job)) == {6, 8, 10}, "the checkpoints 6, 8 and 10")
    best = world.checkpoints(job)[6]
    # Steps 2, 4 … are no multiples of 3: it validates at each, so that each can be ranked.
    assert best["metrics"] == {"epoch": 0, "consumed_samples": 48, "total_valid_tokens": 480, "val:val_loss": 1.0}
    assert best["path"] == view["outputs"]["checkpoint.best"]["path"] and view["outputs"]["checkpoint.last"]["step"] == 10
    losses = {point["step"]: point["value"] for point in world.daemon.curve(job, "train/loss")}
    assert losses == {step: pytest.approx(nemo_rl.loss(step)) for step in range(1, 11)}
    assert [point["step"] for point in world.daemon.curve(job, "validation/val_loss")] == list(range(0, 11))


def test_a_killed_and_a_stopped_run_go_on_from_the_last_checkpoint(world):
    flags, let = world.flags("killed")
    params = {"global_batch_size": 8, "micro_batch_size": 1}
    body = world.job(params=params, checkpoint={"every": 2}, env={"FLAGS": flags}, export="none", retry={"limit": 3, "delay": 0})
    job = world.submit("killed", body)
    let(1, 2, 3)
    wait_until(lambda: 2 in world.checkpoints(job), "checkpoint 2")
    wait_until(lambda: len(world.losses(job)) >= 2, "the loss of the second step")
    first = world.daemon.job(job)["attempts"][0]
    os.kill(world.daemon.shim(first["id"])["child_pid"], signal.SIGKILL)
    wait_until(lambda: len(world.daemon.job(job)["attempts"]) == 2, "a second attempt")
    let(4)
    wait_until(lambda: 4 in world.checkpoints(job), "checkpoint 4")
    # TensorBoard's writer has a thread of its own, which a stop may cut off.
    wait_until(lambda: max(point["step"] for point in world.daemon.curve(job, "train/loss")) == 4, "the loss of the fourth step")
    assert world.daemon.post(f"/v1/jobs/{job}/pause").status in (200, 202)
    paused = world.daemon.wait_for(job, "paused")
    assert paused["attempts"][1]["exit_code"] == 75, paused
    assert world.daemon.post(f"/v1/jobs/{job}/resume").status in (200, 202)
    let(*range(5, 11))
    view = world.daemon.wait_for(job, "succeeded")
    assert [attempt["resumed_from_step"] for attempt in view["attempts"]] == [None, 2, 4]
    # Step 3, which no checkpoint held, was done again, and the later attempt counts.
    assert {point["step"]: point["attempt"] for point in world.daemon.curve(job, "train/loss")}[3] == 2


def test_a_run_saves_before_its_time_limit_and_goes_on(world):
    params = {"global_batch_size": 8, "micro_batch_size": 1}
    # By the stand-in's clock a step takes 15 minutes; 4 h less a margin of 24 min leave 14 of them, and no time for one more.
    body = world.job(params=params | {"epochs": 2}, timeout="4h", env={"STEP_SECONDS": "900"}, export="none")
    view = world.daemon.run({"name": "limit", "jobs": {"sft": body}})["jobs"]["sft"]
    assert view["state"] == "succeeded", view
    assert [(attempt["exit_code"], attempt["resumed_from_step"]) for attempt in view["attempts"]] == [(75, None), (0, 14)]
    written = (world.daemon.folder / "attempts" / view["attempts"][0]["id"] / "nemo-rl.yaml").read_text()
    assert 'checkpoint_must_save_by: "00:03:36:00"' in written


def test_the_users_own_configuration(world):
    config = world.write("s0.yaml", SEED.replace("train.jsonl", world.data["messages"]))
    own = {"config": config, "overrides": ["sft.max_num_steps=3", "+sft.val_at_end=false", "~policy.dynamic_batching"]}
    body = world.job("new", **own)
    for key in ("model", "dataset", "validation"):
        del body[key]
    refused = world.daemon.submit({"name": "s0", "jobs": {"sft": body}})
    assert refused.status == 422 or refused.status == 400, refused.body
    found = {(error["pointer"], error["detail"]) for error in refused.json["errors"]}
    for key, instead in (("dataset_name", "data.train.dataset_name"), ("train_data_path", "data.train.data_path"),
                         ("val_data_path", "data.validation.data_path"), ("chat_key", "data.default.chat_key")):  # fmt: skip
        told = [detail for pointer, detail in found if pointer == "/jobs/sft/config" and f"'data.{key}'" in detail]
        assert len(told) == 1 and instead in told[0] and "s0.yaml:" in told[0] and "967d2c856" in told[0], found
    body["root"] = world.roots["old"]
    body["overrides"] = ["sft.max_num_steps=3", "~policy.dynamic_batching"]
    planned = world.daemon.submit({"name": "s0", "jobs": {"sft": body}}, "?dry_run=true").json["jobs"][0]["argv"]
    assert planned == [sys.executable, "-B", "examples/run_sft.py", "--config", "nemo-rl.yaml", *body["overrides"]]
    view = world.daemon.run({"name": "s0", "jobs": {"sft": body | {"export": "none"}}})["jobs"]["sft"]
    assert view["state"] == "succeeded", (view["message"], world.daemon.logs(view["id"]))
    assert view["outputs"]["checkpoint.best"]["metrics"]["val:val_loss"] == pytest.approx(nemo_rl.loss(3))
    # The checkout can change after the submission; the worker then refuses as the submission would have.
    misspelt = body | {"overrides": ["sft.max_num_step=3"]}
    detail = world.daemon.submit({"name": "s1", "jobs": {"sft": misspelt}}).json["errors"][0]
    assert detail["pointer"] == "/jobs/sft/overrides/0" and "did you mean 'sft.max_num_steps'" in detail["detail"], detail
