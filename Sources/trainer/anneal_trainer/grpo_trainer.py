"""The loop of method `grpo` over transformers' Trainer: rollouts, rewards, advantages, updates.

TRL's GRPOTrainer is not used. Its advantages have no leave-one-out, its KL no clamps, its dual clip and its importance
weights are others, dynamic sampling is missing, and its sampler repeats prompts over processes in an order that a
resume
cannot take up again in the middle of a rollout. What fits is used: its log-probabilities and its vLLM engine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object
from peft import PeftModel, get_peft_model
from torch import Tensor
from transformers import Trainer, TrainingArguments
from trl.trainer.utils import selective_log_softmax

from . import rollouts
from .answers import END_THINK, THINK
from .arguments import configured
from .causal_lm import load_causal_lm
from .errors import EXIT_FAILED, WorkerError
from .generation import Generated, Request, Sampling, left_padded, right_padded, seed_of
from .loss_values import LossValues
from .prompt_order import PromptOrder
from .rewards import Response, total
from .rl_loss import Whole, policy_loss
from .rollouts import Rollout, Sample
from .trainer import AnnealTrainer

if TYPE_CHECKING:
    from .grpo import GroupRelativePolicyOptimization


class GRPORun(AnnealTrainer, Trainer):
    """Generates, scores and learns. Every process holds the whole rollout, and generates and learns its part of it."""

    def __init__(self, *, method: GroupRelativePolicyOptimization, reference: Any, **options: Any):
        self.method = method
        self.settings, self.rollout_log = method.request.settings
        # TRL's trainers gather their metrics in these.
        self._metrics: dict[str, dict] = {"train": {}, "eval": {}}
        super().__init__(**options)
        # The loss is divided by the sizes of the global batch here, not by the number of micro-batches there.
        self.model_accepts_loss_kwargs = True
        self.reference = reference
        self.loss_values = LossValues(self.settings.loss)
        self.updates = self.settings.responses // self.request.global_batch_size
        self.rollout: Rollout | None = None
        self.unwritten: dict[str, float] = {}
        curriculum = self.settings.curriculum
        places = self.train_dataset["prompt"]
        self.order = PromptOrder(
            len(places),
            self.settings.prompts_per_step * self.settings.batch_multiplier,
            self.request.seed,
            self.request.shuffle,
            curriculum,
            [method.records[place].pass_rate for place in places] if curriculum is not None else (),
        )
        sampling = self.settings.rollout
        self.sampling = Sampling(sampling.temperature, sampling.top_p, sampling.top_k, self.settings.max_new_tokens)
        hot = self.settings.validation_temperature
        self.validation_sampling = self.sampling if hot is None else replace(self.sampling, temperature=hot)
        self.reference_to_device()
        from .generators import make_generator

        self.generator = make_generator(self)

    def reference_to_device(self) -> None:
        """Put the model to stay near where the trained one is; under LoRA it is the trained one without adapters."""
        if self.reference is not None:
            self.reference.to(self.args.device).eval().requires_grad_(False)

    # Data: micro-batches of rollouts

    def get_train_dataloader(self) -> RolloutLoader:
        return RolloutLoader(self)

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list[dict], Tensor]:
        """The micro-batches of one update. The number of items is only told because it says that the loss is whole."""
        batches = [next(epoch_iterator) for _ in range(num_batches)]
        return batches, torch.tensor(batches[0]["whole"].tokens, device=device)

    def train(self, resume_from_checkpoint: str | None = None, **options: Any) -> Any:
        if resume_from_checkpoint is not None:
            self.rollout, draws = Rollout.read(Path(resume_from_checkpoint))
            self.order.replay(draws)
        if self.is_world_process_zero():
            self.rollout_log.begin(self.resumed_from.step if self.resumed_from else 0)
        return super().train(resume_from_checkpoint=resume_from_checkpoint, **options)

    def save_state(self, folder: Path) -> None:
        super().save_state(folder)
        if self.is_world_process_zero() and self.rollout is not None:
            self.rollout.write(folder, self.order.draws)

    # Rollouts

    def rollout_of(self, number: int) -> Rollout:
        """The rollout with this number: the one in hand, or a new one."""
        if self.rollout is not None and self.rollout.number == number:
            return self.rollout
        begun = time.monotonic()
        count = max(1, self.rules.total // self.updates)
        self.seconds = dict.fromkeys(("prepare_for_generation/total", "generation", "reward_calculation"), 0.0)
        self.timed("prepare_for_generation/total", self.generator.update)
        progress = number / max(1, count - 1)
        rollout = rollouts.collect(number, min(1.0, progress), self.order, self.settings, self.respond)
        rollouts.give_credit(rollout, self.settings)
        self.add_log_probabilities(rollout)
        rollout.values |= {f"timing/train/{name}": seconds for name, seconds in self.seconds.items()}
        tokens = rollout.values["train/mean_gen_tokens_per_sample"] * len(rollout.samples)
        rollout.values["performance/generation_tokens_per_sec"] = tokens / max(self.seconds["generation"], 1e-9)
        rollout.values["timing/train/rollout"] = time.monotonic() - begun
        self.rollout = rollout
        self.unwritten = rollout.values
        if self.is_world_process_zero():
            self.rollout_log.write(number * self.updates + 1, rollout, self.method.records)
        return rollout

    def timed(self, name: str, work: Any, *arguments: Any) -> Any:
        """Call something, and add its seconds to those of its name."""
        begun = time.monotonic()
        found = work(*arguments)
        self.seconds[name] += time.monotonic() - begun
        return found

    def respond(self, prompts: list[int], draw: int) -> list[Sample]:
        """Responses to training prompts, scored. What is random in them depends on seed, draw and prompt alone."""
        rows = self.train_dataset[prompts]
        each = self.settings.generations_per_prompt
        asked = [
            (place, ids, seed_of(self.request.seed, "train", draw, place, number))
            for place, ids in zip(rows["prompt"], rows["prompt_ids"], strict=True)
            for number in range(each)
        ]
        return self.sampled(asked, self.method.records, self.sampling)

    def sampled(self, asked: Sequence[tuple[int, list[int], int]], records: list, sampling: Sampling) -> list[Sample]:
        """Scored responses to prompts `(index, tokens, seed)`, each process making its part; all processes get all."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        share = -(-len(asked) // world)
        mine = list(asked[rank * share : (rank + 1) * share])
        requests = [Request(ids, seed) for _, ids, seed in mine]
        made = self.timed("generation", self.generator.generate, requests, sampling)
        samples = [self.sample(place, ids, found) for (place, ids, _), found in zip(mine, made, strict=True)]
        self.timed("reward_calculation", self.score, samples, records)
        return gather_object(samples) if world > 1 else samples

    def sample(self, place: int, prompt_ids: list[int], found: Generated) -> Sample:
        text = text_of(self.processing_class, found.ids if found.truncated else found.ids[:-1])
        return Sample(place, prompt_ids, found.ids, found.logprobs, found.truncated, text)

    def score(self, samples: list[Sample], records: list) -> None:
        """Set the rewards of samples, by name and their weighted sum."""
        responses = [self.response(sample, records) for sample in samples]
        for reward in self.settings.rewards:
            for sample, score in zip(samples, reward.score(responses), strict=True):
                if not math.isfinite(score):
                    line = records[sample.prompt].line
                    detail = f"the reward '{reward.name}' gave {score} on the prompt of line {line}"
                    raise WorkerError(EXIT_FAILED, "reward_not_finite", detail)
                sample.rewards[reward.name] = score
        for sample in samples:
            sample.reward = total(self.settings.rewards, sample.rewards)

    def response(self, sample: Sample, records: list) -> Response:
        # Some templates end the prompt with an opened reasoning block.
        tail = self.processing_class.decode(sample.prompt_ids[-16:])
        opened = tail.rfind(THINK) > tail.rfind(END_THINK)
        return Response(records[sample.prompt], sample.text, len(sample.ids), sample.truncated, opened)

    # Log-probabilities

    def log_probabilities(self, model: Any, batch: dict) -> Tensor:
        """Log-probabilities [B, T] of the responses' tokens at the temperature of the rollouts."""
        length = batch["mask"].shape[1]
        positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        logits = model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            position_ids=positions,
            logits_to_keep=length + 1,
            use_cache=False,
        ).logits[:, :-1]
        return selective_log_softmax(logits.float(), batch["input_ids"][:, -length:], self.sampling.temperature)

    def add_log_probabilities(self, rollout: Rollout) -> None:
        """Set what is known of a rollout before its first update: under the weights of now, where several updates or a
        correction need it, and under the reference model, where the loss has a KL term."""
        begun = time.monotonic()
        needs_old = self.updates > 1 or self.settings.loss.importance_correction != "none"
        needs_reference = self.settings.loss.kl_penalty > 0
        if needs_old or needs_reference:
            world, rank = self.accelerator.num_processes, self.accelerator.process_index
            share = len(rollout.samples) // world
            mine = rollout.samples[rank * share : (rank + 1) * share]
            size = self.request.micro_batch_size
            self.model.eval()
            with torch.no_grad(), self.accelerator.autocast():
                for first in range(0, len(mine), size):
                    part = mine[first : first + size]
                    batch = {key: value.to(self.args.device) for key, value in self.tensors(part).items()}
                    if needs_old:
                        self.keep(part, "old", self.log_probabilities(self.model, batch))
                    if needs_reference:
                        self.keep(part, "reference", self.reference_log_probabilities(batch))
            if world > 1:
                rollout.samples = gather_object(mine)
        rollout.values["timing/train/policy_and_reference_logprobs"] = time.monotonic() - begun

    def reference_log_probabilities(self, batch: dict) -> Tensor:
        if self.reference is not None:
            return self.log_probabilities(self.reference, batch)
        model = self.accelerator.unwrap_model(self.model)
        with model.disable_adapter():
            return self.log_probabilities(model, batch)

    @staticmethod
    def keep(samples: list[Sample], name: str, values: Tensor) -> None:
        for sample, row in zip(samples, values.float().tolist(), strict=True):
            setattr(sample, name, row[: len(sample.ids)])

    # Updates

    def tensors(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """A micro-batch: prompts padded on the left, responses on the right; the mask is 1 on tokens with loss [B,
        T]."""
        pad = self.processing_class.pad_token_id
        ids, attention = left_padded([sample.prompt_ids for sample in samples], pad)
        answers = right_padded([sample.ids for sample in samples], pad, torch.long)
        whole = right_padded([[1] * len(sample.ids) for sample in samples], 0, torch.long)
        counted = [[float(self.counts_in_loss(sample))] * len(sample.ids) for sample in samples]
        return {
            "input_ids": torch.cat([ids, answers], dim=1),
            "attention_mask": torch.cat([attention, whole], dim=1),
            "mask": right_padded(counted, 0.0),
        }

    def counts_in_loss(self, sample: Sample) -> bool:
        """Overlong filtering takes truncated responses out of the loss."""
        return not (sample.truncated and self.settings.overlong_filtering)

    def parts_of(self, samples: Sequence[Sample]) -> Iterator[dict]:
        """The micro-batches of one update, of this process's part of its global batch."""
        counted = [sample for sample in samples if self.counts_in_loss(sample)]
        whole = Whole(sum(len(sample.ids) for sample in counted), len(counted))
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        share, size = len(samples) // world, self.request.micro_batch_size
        mine = samples[rank * share : (rank + 1) * share]
        for first in range(0, share, size):
            part = mine[first : first + size]
            batch: dict[str, Any] = self.tensors(part)
            batch["advantages"] = torch.tensor([sample.advantage for sample in part], dtype=torch.float32)
            batch["correct"] = torch.tensor([float(sample.reward > 0) for sample in part])
            batch["generator"] = right_padded([sample.logprobs for sample in part], 0.0)
            for name in ("old", "reference"):
                if getattr(part[0], name) is not None:
                    batch[name] = right_padded([getattr(sample, name) for sample in part], 0.0)
            batch["whole"] = whole
            yield batch

    def compute_loss(self, model: Any, inputs: dict, *_: Any, **__: Any) -> Tensor:
        """The micro-batch's share of the loss, times the processes, over which gradients are averaged."""
        mask = inputs["mask"]
        policy = self.log_probabilities(model, inputs)
        # In the only update of a rollout the old weights are those of now.
        old = inputs.get("old", policy.detach())
        loss, parts = policy_loss(
            policy,
            old,
            inputs["advantages"],
            mask,
            self.settings.loss,
            inputs["whole"],
            inputs["generator"],
            inputs.get("reference"),
            inputs["correct"],
        )
        self.loss_values.add(policy.detach(), old, inputs["generator"], mask, parts)
        return loss * self.accelerator.num_processes

    def count(self, inputs: dict) -> tuple[torch.Tensor, torch.Tensor]:
        mask = inputs["mask"]
        return mask.any(dim=1).sum(), mask.sum()

    def step_values(self) -> dict[str, float]:
        values = self.loss_values.take(self)
        if self.rollout is not None:
            self.last_losses["train_reward"] = self.rollout.values.get(
                "train/reward", rollouts.mean([sample.reward for sample in self.rollout.samples])
            )
        if self.rules.logs(self.state.global_step):
            values, self.unwritten = self.unwritten | values, {}
        return values

    def log_words(self, values: dict[str, float]) -> str:
        return f"reward {self.last_losses['train_reward']:.4f}  {values['train/global_valid_toks']} tokens"

    # Validation

    def validation_batch(self, rows: list[dict]) -> tuple[dict[str, float], float]:
        """Generates and scores; the accuracy is the mean reward, before scaling and shaping."""
        each = self.settings.validation_generations
        asked = [
            (row["prompt"], row["prompt_ids"], seed_of(self.request.seed, "validation", row["prompt"], number))
            for row in rows
            for number in range(each)
        ]
        requests = [Request(ids, seed) for _, ids, seed in asked]
        made = self.generator.generate(requests, self.validation_sampling)
        samples = [self.sample(place, ids, found) for (place, ids, _), found in zip(asked, made, strict=True)]
        self.score(samples, self.method.validation)
        values = {
            "val_accuracy": rollouts.mean([sample.reward for sample in samples]),
            "val_avg_length": rollouts.mean([len(sample.ids) for sample in samples]),
            "val_truncation_rate": rollouts.mean([float(sample.truncated) for sample in samples]),
        }
        for reward in self.settings.rewards:
            values[f"val_reward/{reward.name}"] = rollouts.mean([sample.rewards[reward.name] for sample in samples])
        if each > 1:
            solved = [any(sample.reward > 0 for sample in group) for group in rollouts.groups_of(samples, each)]
            values["val_pass_k"] = rollouts.mean([float(one) for one in solved])
        return values, float(len(rows))

    def validate(self, step: int) -> dict[str, float] | None:
        self.generator.update()
        return super().validate(step)

    def validation_metrics(self, found: dict[str, float]) -> dict[str, float]:
        return {f"validation/{name.removeprefix('val_')}": value for name, value in found.items()}


class RolloutLoader:
    """Micro-batch after micro-batch from where the run stands, in one pass; a rollout is made when it is needed."""

    def __init__(self, trainer: GRPORun):
        self.trainer = trainer

    def __len__(self) -> int:
        """The micro-batches of the whole run, on this process."""
        return self.trainer.rules.total * self.trainer.request.accumulation

    def __iter__(self) -> Iterator[dict]:
        trainer = self.trainer
        size = trainer.request.global_batch_size
        for step in range(trainer.state.global_step, trainer.rules.total):
            samples = trainer.rollout_of(step // trainer.updates).samples
            place = step % trainer.updates
            yield from trainer.parts_of(samples[place * size : (place + 1) * size])


def text_of(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of a response without special tokens; marks of reasoning stay where a tokenizer counts them as such."""
    special = set(tokenizer.all_special_ids)
    marks = {*tokenizer.convert_tokens_to_ids([THINK, END_THINK])} & special - {tokenizer.unk_token_id}
    if marks.isdisjoint(ids):
        return tokenizer.decode(ids, skip_special_tokens=True)
    kept = [token for token in ids if token not in special or token in marks]
    return tokenizer.decode(kept, skip_special_tokens=False)


def without_dropout(model: Any) -> None:
    """Take dropout out of a model: the ratio of two passes over the same tokens must be 1 under the same weights."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0


def build(method: GroupRelativePolicyOptimization, options: dict[str, Any]) -> GRPORun:
    """The trainer; what `options` holds is told at `loading.build_trainer`."""
    from .loading import uses_bf16

    request = method.request
    adapters = options.pop("peft_config")
    model = options.pop("model")
    reference = None
    if method.settings.loss.kl_penalty > 0 and request.lora is None:
        # Its weights never change, so bfloat16 is enough for them where that is computed in.
        dtype = torch.bfloat16 if uses_bf16(request.precision) else torch.float32
        reference = load_causal_lm(request.model, dtype, "/model")
    if adapters is not None:
        model = get_peft_model(model, adapters)
    if isinstance(model, PeftModel) and request.gradient_checkpointing:
        model.enable_input_require_grads()
    without_dropout(model)
    arguments = configured(
        TrainingArguments,
        request.args,
        **options.pop("arguments"),
        # Where a rollout goes on is known by its number; nothing is to be drawn and thrown away.
        ignore_data_skip=True,
    )
    trainer = GRPORun(args=arguments, model=model, method=method, reference=reference, **options)
    if method.settings.stop_properly is not None and method.settings.overlong is not None:
        trainer.say("warning: params.overlong is passed over, because params.stop_properly_penalty is given")
    return trainer
