"""Method `grpo` as a whole on a tiny model: it learns, it resumes where it stopped, and its numbers agree with each other."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anneal_trainer import training
from anneal_trainer.errors import BadData, BadRequest, WorkerError
from anneal_trainer.generation import Request, Sampling, SeededSampling, finished, seed_of
from anneal_trainer.grpo_trainer import text_of
from anneal_trainer.job import Job
from anneal_trainer.prompt_order import PromptOrder
from anneal_trainer.rollout_log import RolloutLog
from anneal_trainer.rollouts import Sample, collect, give_credit
from anneal_trainer.signals import StopSignals
from conftest import Attempt, curve, read_metrics

REWARD = "def score(completion):\n    return sum(c.islower() for c in completion) / max(1, len(completion))\n"
PARAMS = {
    "prompts_per_step": 4,
    "generations_per_prompt": 4,
    "global_batch_size": 8,
    "micro_batch_size": 4,
    "max_length": 40,
    "max_new_tokens": 6,
    "learning_rate": 3e-3,
    "epochs": 9,
}


@pytest.fixture
def reinforcement(training, tmp_path):
    """Makes jobs of method grpo: `reinforcement(name, params, …)`. The reward is the share of small letters in a response."""
    (tmp_path / "letters.py").write_text(REWARD)

    def make(name: str, params: dict, rewards: list | None = None, **options) -> Attempt:
        records = options.pop("records", [{"problem": f"{n}*10=?", "expected_answer": str(n * 10)} for n in range(12)])
        rewards = rewards or [{"python": {"file": str(tmp_path / "letters.py"), "name": "letters"}}]
        attempt = training(name, {**PARAMS, "rewards": rewards, **params}, records=records, **options)
        attempt.spec["method"] = "grpo"
        return attempt

    return make


def trainer_of(attempt: Attempt, monkeypatch):
    """The trainer that an attempt builds, which is not run."""
    found = []
    monkeypatch.setattr(training, "run", lambda trainer, *_: found.append(trainer) or True)
    attempt.here()
    return found[0]


def test_the_reward_rises_and_what_happened_is_told(reinforcement):
    validation = [{"problem": f"{n}*10=?"} for n in range(50, 54)]
    params = {"max_steps": 24, "kl_penalty": 0.001, "validation_generations": 2, "learning_rate": 1e-2}
    params |= {"generations_per_prompt": 8, "global_batch_size": 16, "micro_batch_size": 16}
    attempt = reinforcement("job", params, validation=validation, checkpoint={"every": 12})
    code, outputs, summary = attempt.here()
    assert code == 0 and summary["rollouts"] == 12
    rewards = [value for _, value in curve(attempt.metrics, "train/reward")]
    assert [step for step, _ in curve(attempt.metrics, "train/reward")] == list(range(1, 25, 2))
    assert rewards[-1] > rewards[0] + 0.3
    assert curve(attempt.metrics, "validation/accuracy")[-1][1] > curve(attempt.metrics, "validation/accuracy")[0][1]
    keys = set().union(*read_metrics(attempt.metrics))
    assert keys >= {
        *(f"train/advantages/{name}" for name in ("mean", "max", "min", "sum")),
        *(f"train/baseline_reward/pct_{name}" for name in ("0", "1", "mixed")),
        *(f"train/probs_ratio{name}" for name in ("", "_min", "_max", "_clamped", "_clamped_min", "_clamped_max")),
        *(f"train/{name}_seq_mult_prob_error" for name in ("min", "max", "mean")),
        *("train/reward/letters", "train/kl_penalty", "train/approx_entropy", "train/token_mult_prob_error"),
        *("train/truncation_rate", "train/mean_gen_tokens_per_sample", "train/gen_kl_error", "train/js_divergence_error"),
        *("validation/avg_length", "validation/pass_k", "validation/reward/letters", "timing/train/generation"),
        *("timing/train/reward_calculation", "timing/train/policy_and_reference_logprobs"),
    }
    # The generator and the trainer are the same weights: the first update's ratios are 1, and so is the error.
    first = read_metrics(attempt.metrics)[2]
    assert first["train/probs_ratio"] == pytest.approx(1, abs=1e-4) and first["train/kl_penalty"] == pytest.approx(0, abs=1e-5)
    assert first["train/token_mult_prob_error"] == pytest.approx(1, abs=1e-3)
    best = json.loads(Path(outputs["checkpoint.best"]["path"], "checkpoint.json").read_text())
    assert best["metrics"]["val_accuracy"] == max(value for _, value in curve(attempt.metrics, "validation/accuracy")[1:])
    lines = [json.loads(line) for line in Path(outputs["rollouts"]["path"]).read_text().splitlines()]
    assert len(lines) == 12 * 32 and {line["step"] for line in lines} == set(range(1, 25, 2))
    assert lines[0]["prompt"].startswith("user: ") and lines[0]["rewards"] == {"letters": lines[0]["reward"]}


def test_a_stopped_run_goes_on_in_the_middle_of_a_rollout_as_if_it_had_not_stopped(reinforcement, monkeypatch):
    params = {"max_steps": 6, "kl_penalty": 0.01, "variant": "dapo"}
    whole = reinforcement("whole", params)
    assert whole.here()[0] == 0

    part = reinforcement("part", params)
    signals = StopSignals()
    write = training.MetricsLog.write

    def stop_at_three(log, step, values):
        signals.stop_requested = signals.stop_requested or step == 3
        write(log, step, values)

    monkeypatch.setattr(training.MetricsLog, "write", stop_at_three)
    part.number += 1
    job = Job("train", part.spec, {}, part.checkpoints, part.outputs, part.metrics)
    assert training.train(job, signals)[0] == 75
    monkeypatch.undo()
    first = curve(part.metrics, "train/loss")
    # What was written past the checkpoint, by a run that was killed, is taken back.
    rollouts = part.outputs / "rollouts.jsonl"
    rollouts.write_text(rollouts.read_text() + json.dumps({"step": first[-1][0] + 1}) + "\n")
    assert part.here()[0] == 0
    assert 0 < len(first) < 6 and first + curve(part.metrics, "train/loss") == curve(whole.metrics, "train/loss")
    assert rollouts.read_text() == (whole.outputs / "rollouts.jsonl").read_text()
    for name in ("model.safetensors", "trainer_state/optimizer/__0_0.distcp"):
        one, other = ((folder / "step_6" / name).read_bytes() for folder in (whole.checkpoints, part.checkpoints))
        assert one == other, name


@pytest.mark.parametrize("rules", [{"variant": "gspo"}, {"variant": "dr_grpo"}, {"overlong_filtering": True}])
def test_the_loss_does_not_depend_on_the_micro_batch(reinforcement, rules):
    """Also where a micro-batch has no token with loss, because all of its responses were cut."""
    losses = []
    for size in (2, 8):
        attempt = reinforcement(f"micro-{size}", {"max_steps": 2, "micro_batch_size": size, **rules})
        attempt.here()
        losses.append([value for _, value in curve(attempt.metrics, "train/loss")])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_adapters_are_compared_with_the_model_without_them(reinforcement):
    attempt = reinforcement("lora", {"max_steps": 2, "lora": {"rank": 4}, "global_batch_size": 16})
    assert attempt.here()[0] == 0
    penalties = [value for _, value in curve(attempt.metrics, "train/kl_penalty")]
    assert penalties[0] == pytest.approx(0, abs=1e-6) and penalties[1] > 1e-6


def test_a_response_depends_on_its_seed_and_not_on_its_company(reinforcement, monkeypatch):
    trainer = trainer_of(reinforcement("job", {}), monkeypatch)
    prompts = [row["prompt_ids"] for row in trainer.train_dataset]
    requests = [Request(ids, seed_of(1, place)) for place, ids in enumerate(prompts)]
    sampling = trainer.sampling
    together = trainer.generator.generate(requests, sampling)
    trainer.generator.batch_size = 1
    alone = [trainer.generator.generate([request], sampling)[0] for request in requests]
    assert [found.ids for found in alone] == [found.ids for found in together]
    assert len({tuple(found.ids) for found in together}) > 1
    again = trainer.generator.generate([replace(requests[0], seed=5)], sampling)[0]
    assert again.ids != together[0].ids
    # What the generator says of its tokens is what the trainer finds.
    samples = [Sample(0, ids, found.ids, found.logprobs, found.truncated, "") for ids, found in zip(prompts, together)]
    batch = trainer.tensors(samples)
    with torch.no_grad():
        logprobs = trainer.log_probabilities(trainer.model.eval(), batch)
    for sample, row in zip(samples, logprobs, strict=True):
        assert row[: len(sample.ids)].tolist() == pytest.approx(sample.logprobs, abs=1e-4)
    greedy = trainer.generator.generate(requests, replace(sampling, temperature=0))[0].ids
    ids = torch.tensor([prompts[0]])
    expected = trainer.model.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :].tolist()
    assert greedy == expected[: len(greedy)]


def test_tokens_are_drawn_by_their_probabilities():
    scores = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log().expand(4000, 4)

    def drawn(**options) -> list[float]:
        processor = SeededSampling(Sampling(**{"temperature": 1, "top_p": 1, "top_k": None, "max_new_tokens": 1} | options),
                                   range(4000), torch.device("cpu"))
        chosen = processor(torch.zeros(4000, 1), scores).argmax(-1)
        return (torch.bincount(chosen, minlength=4) / 4000).tolist()

    assert drawn() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.03)
    assert drawn(top_k=2) == pytest.approx([0, 0, 3 / 7, 4 / 7], abs=0.03)
    assert drawn(top_p=0.65) == pytest.approx([0, 0, 3 / 7, 4 / 7], abs=0.03)
    assert drawn(temperature=0.5) == pytest.approx([1 / 30, 4 / 30, 9 / 30, 16 / 30], abs=0.03)
    assert drawn(temperature=0) == [0, 0, 0, 1]


def test_marks_of_reasoning_that_are_special_tokens_stay_in_the_text(tiny_model):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    ids = tokenizer("<think>1</think>2<|im_end|>", add_special_tokens=False)["input_ids"]
    assert text_of(tokenizer, ids) == "<think>1</think>2"
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    ids = tokenizer("<think>1</think>2<|im_end|>", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "12"
    assert text_of(tokenizer, ids) == "<think>1</think>2"


def test_a_response_ends_with_its_end_token():
    assert vars(finished([5, 2, 0, 0], [-1, -2, -3, -4], [2])) == {"ids": [5, 2], "logprobs": [-1, -2], "truncated": False}
    assert finished([5, 6], [-1, -2], [2]).truncated


@pytest.fixture
def settings(reinforcement, monkeypatch):
    return trainer_of(reinforcement("job", {"variant": "dapo", "dynamic_sampling_max_batches": 3}), monkeypatch).settings


def responses(rewards: dict[int, list[float]]):
    """Responds to prompt n with the n-th rewards."""

    def respond(prompts: list[int], draw: int) -> list[Sample]:
        return [
            Sample(prompt, [1], [2], [-1.0], False, "", {"letters": reward}, reward)
            for prompt in prompts
            for reward in rewards[prompt]
        ]

    return respond


def test_prompts_whose_responses_earn_the_same_are_asked_no_more(settings):
    order = PromptOrder(12, 4, 1, shuffle=False)
    rewards = {prompt: [1.0, 0, 0, 0] if prompt % 2 else [1.0] * 4 for prompt in range(12)}
    rollout = collect(0, 0.0, order, settings, responses(rewards))
    assert [sample.prompt for sample in rollout.samples[::4]] == [1, 3, 5, 7]
    assert rollout.values["train/dynamic_sampling_num_gen_batches"] == 2
    assert rollout.values["train/filtered_reward"] == 0.25 and rollout.values["train/reward"] == 0.625
    assert rollout.values["train/baseline_reward/pct_1"] == 0.5 and rollout.values["train/baseline_reward/pct_mixed"] == 0.5
    give_credit(rollout, settings)
    assert [sample.advantage for sample in rollout.samples[:4]] == pytest.approx([1, *[-0.577349] * 3], abs=1e-6)
    # A surplus is dropped, and counted.
    rewards = {prompt: [1.0, 0, 0, 0] if prompt else [1.0] * 4 for prompt in range(12)}
    rollout = collect(0, 0.0, PromptOrder(12, 4, 1, shuffle=False), settings, responses(rewards))
    assert rollout.values["train/dynamic_sampling_num_discarded_valid_samples"] == 12


def test_prompts_that_tell_nothing_end_the_job(settings):
    order = PromptOrder(12, 4, 1)
    with pytest.raises(WorkerError, match="after 3 batches of prompts only 0 of 4 prompts"):
        collect(0, 0.0, order, settings, responses({prompt: [1.0] * 4 for prompt in range(12)}))
    assert len(order.draws) == 3


def test_mistakes_are_refused_together_and_before_the_model(reinforcement):
    params = {
        "global_batch_size": 7,
        "ratio_level": "sequence",
        "stop_properly_penalty": 1.5,
        "generations_per_prompt": 1,
        "rollout": {"engine": "server"},
        "reward_scaling": {"source_min": 2},
        "overlong": {"buffer": 99},
        "ratio_clip_c": 1,
    }
    with pytest.raises(BadRequest) as caught:
        reinforcement("job", params).here()
    assert {problem.pointer for problem in caught.value.problems} >= {
        *("/params/global_batch_size", "/params/loss_level", "/params/stop_properly_penalty", "/params/ratio_clip_c"),
        *("/params/generations_per_prompt", "/params/rollout/url", "/params/reward_scaling/source_max", "/params/overlong/buffer"),
    }
    with pytest.raises(BadData, match="12 records, and one step needs 13 .params.prompts_per_step"):
        reinforcement("few", {"prompts_per_step": 13, "global_batch_size": 52, "micro_batch_size": 4}).here()
    with pytest.raises(BadRequest, match="leaves no room for a prompt"):
        reinforcement("long", {"max_new_tokens": 39}).here()


def test_easy_prompts_are_discarded_and_the_rest_comes_by_difficulty(reinforcement, monkeypatch):
    records = [{"problem": str(n), "pass_rate": rate} for n, rate in enumerate([0.0, 0.25, 0.5, 0.75, 1.0] * 4)]
    attempt = reinforcement("job", {"curriculum": {"discard_from": 0.75, "width": 0.05}}, records=records)
    trainer = trainer_of(attempt, monkeypatch)
    assert trainer.method.too_easy == 8 and len(trainer.train_dataset) == 12
    assert {trainer.order.rates[place] for place in trainer.order.draw(0.0)} == {0.5}


def test_the_file_of_rollouts_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("anneal_trainer.rollout_log.FILE_BYTES_MAX", 600)
    monkeypatch.setattr("anneal_trainer.rollout_log.TEXT_CHARACTERS_MAX", 8)
    from anneal_trainer.prompts import Prompt
    from anneal_trainer.rollouts import Rollout

    log = RolloutLog(tmp_path, samples=2)
    log.begin(0)
    prompts = [Prompt(1, [{"role": "user", "content": "x" * 99}], None, {})]
    rollout = Rollout(0, [Sample(0, [1], [2], [-1.0], False, f"text {n} and more") for n in range(8)])
    for step in range(1, 9):
        log.write(step, rollout, prompts)
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert log.path.stat().st_size <= 600 and [line["completion"] for line in lines] == ["text 0 a", "text 4 a"]
    assert lines[0]["prompt"] == "user: xx" and lines[0]["is_cut"]


def test_vllm_is_refused_where_it_is_not(reinforcement):
    with pytest.raises(BadRequest, match="vLLM is not installed"):
        reinforcement("job", {"rollout": {"engine": "vllm"}}).here()
