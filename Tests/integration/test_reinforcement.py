"""Reinforcement through the daemon: what a job of method grpo leaves to be read, and what counts for its cache. Slow."""

import subprocess

import pytest

from conftest import ROOT

pytestmark = pytest.mark.slow

REWARD = "def score(completion):\n    return sum(c.islower() for c in completion) / max(1, len(completion))\n"
SPEC = {
    "name": "rl",
    "env": {"OMP_NUM_THREADS": "1"},
    "jobs": {
        "data": {
            "kind": "prepare", "source": {"generator": {"name": "times_ten", "count": 40}},
            "steps": [{"split": {"train": 32, "validation": 8, "seed": 7}}],
        },
        "base": {
            "kind": "convert",
            "create": {
                "architecture": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                "max_position_embeddings": 64,
            },
            "tokenizer": {"type": "byte_bpe", "train_on": "${data.train}", "vocab_size": 300},
        },
        "rl": {
            "kind": "train", "method": "grpo", "model": "${base.model}", "dataset": "${data.train}", "validation": "${data.validation}",
            "params": {
                "prompts_per_step": 4, "generations_per_prompt": 4, "global_batch_size": 16, "micro_batch_size": 16, "max_length": 48,
                "max_new_tokens": 4, "max_steps": 2,
            },
        },
    },
}


@pytest.fixture
def machine(make_daemon, trainer_python):
    return make_daemon("--gpus", "none", "--cpus", "2", ANNEAL_PYTHON=trainer_python).start()


def test_responses_are_kept_and_the_users_function_is_an_input(machine, tmp_path):
    file = tmp_path / "rewards.py"
    file.write_text(REWARD)
    params = SPEC["jobs"]["rl"]["params"] | {"rewards": [{"python": {"file": str(file)}}, {"exact": {"weight": 0.5}}]}
    spec = SPEC | {"jobs": SPEC["jobs"] | {"rl": SPEC["jobs"]["rl"] | {"params": params}}}
    ended = machine.run(spec)
    assert ended["state"] == "succeeded", {name: (job["state"], job["message"]) for name, job in ended["jobs"].items()}
    job = ended["jobs"]["rl"]
    assert job["outputs"]["rollouts"]["type"] == "file"
    assert [point["step"] for point in machine.curve(job["id"], "train/reward/python")] == [1, 2]
    assert len(machine.curve(job["id"], "validation/accuracy")) == 2

    path = f"/v1/jobs/{job['id']}/rollouts"
    newest = machine.get(path).json
    assert (newest["step"], newest["steps"], newest["kept"], len(newest["data"])) == (2, [1, 2], 16, 16)
    best = machine.get(f"{path}?step=1&order=best&limit=3").json["data"]
    worst = machine.get(f"{path}?step=1&order=worst&limit=3").json["data"]
    assert len(best) == 3 and best[0]["reward"] >= best[2]["reward"] >= worst[0]["reward"]
    assert set(best[0]["rewards"]) == {"python", "exact"} and best[0]["prompt"].startswith("user: ")
    # rolloutsMax, and one past it.
    assert machine.get(f"{path}?limit=100").status == 200
    assert machine.get(f"{path}?limit=101").status == 400 and machine.get(f"{path}?order=random").status == 400
    assert machine.get(f"/v1/jobs/{ended['jobs']['base']['id']}/rollouts").status == 404

    told = subprocess.run(
        [ROOT / ".build/debug/anneal", "rollouts", "rl/rl", "--worst", "--limit", "2"], env={"ANNEAL_URL": machine.url}, text=True,
        capture_output=True, check=True,
    )
    assert "step 2  2 of 16 kept responses" in told.stdout and "COMPLETION" in told.stdout

    again = machine.run(spec)
    assert again["jobs"]["rl"]["reason"] == "cached" and machine.get(f"/v1/jobs/{again['jobs']['rl']['id']}/rollouts").json["kept"] == 16
    file.write_text("def score(completion):\n    return 1 / 0\n")
    failed = machine.run(spec)["jobs"]["rl"]
    assert failed["state"] == "failed"
    assert "'python' (rewards.py: score) on the prompt of line" in failed["message"] and "division by zero (line 2)" in failed["message"]
