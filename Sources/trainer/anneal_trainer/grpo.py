"""Group relative policy optimisation and its relatives: parameters, prompts, trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import BadRequest
from .method import Method, Samples
from .prompts import Prompt, read_prompts
from .rewards import PythonReward, check_prompts
from .rl_settings import SHARED, GRPOSettings, parse_settings
from .rollout_log import RolloutLog

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .fields import Fields
    from .job import Job
    from .trainer import AnnealTrainer


class GroupRelativePolicyOptimization(Method):
    """Learning from rewards of the model's own responses, several to each prompt."""

    metrics = ("val_accuracy", "train_reward", "train_loss")
    defaults = SHARED

    @classmethod
    def parse(cls, params: Fields, body: Fields, job: Job) -> tuple[GRPOSettings, RolloutLog]:
        settings = parse_settings(params, job)
        return settings, RolloutLog(job.output_dir, settings.rollout_samples)

    @property
    def settings(self) -> GRPOSettings:
        return self.request.settings[0]

    def read(self) -> None:
        request, settings = self.request, self.settings
        curriculum = settings.curriculum
        field = curriculum.field if curriculum is not None else "pass_rate"
        self.records = read_prompts(request.dataset, "/dataset", field, curriculum is not None)
        check_prompts(settings.rewards, self.records, request.dataset.name)
        self.too_easy = 0
        if curriculum is not None and curriculum.discard_from is not None:
            kept = [prompt for prompt in self.records if prompt.pass_rate < curriculum.discard_from]
            self.too_easy = len(self.records) - len(kept)
            self.records = kept
        self.validation = read_prompts(request.validation, "/validation", field) if request.validation else None
        if self.validation:
            check_prompts(settings.rewards, self.validation, request.validation.name)
        for reward in settings.rewards:
            if isinstance(reward, PythonReward):
                reward.load()

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.records), len(self.validation or ())

    def needed(self) -> tuple[int, str]:
        return self.settings.prompts_per_step, "params.prompts_per_step"

    def steps_per_epoch(self, samples: int) -> int:
        """Updates of one pass over the prompts: as many rollouts as there are whole batches of prompts, several
        each."""
        settings = self.settings
        return samples // settings.prompts_per_step * (settings.responses // self.request.global_batch_size)

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[Samples, Samples | None]:
        room = limit - self.settings.max_new_tokens
        if room < 2:
            detail = f"{self.settings.max_new_tokens} leaves no room for a prompt within {limit} tokens (max_length)"
            raise BadRequest.at("/params/max_new_tokens", detail)
        samples = tokenized(tokenizer, self.records, room)
        return samples, tokenized(tokenizer, self.validation, room) if self.validation else None

    def build(self, options: dict[str, Any]) -> AnnealTrainer:
        from .grpo_trainer import build

        return build(self, options)

    def outputs(self, trainer: AnnealTrainer) -> tuple[dict, dict]:
        log = self.request.settings[1]
        summary = {"prompts_discarded": self.too_easy, "rollouts": -(-trainer.rules.total // trainer.updates)}
        return {"rollouts": {"type": "file", "path": str(log.path)}}, summary


def tokenized(tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt], limit: int) -> Samples:
    """The tokens of each prompt with the generation prompt behind it, and the prompt's index among `prompts`."""
    from datasets import Dataset

    from .chat_tokens import ChatTokenizer

    chat = ChatTokenizer(tokenizer, only_final_turn=False)
    ids, places, dropped = [], [], []
    for place, prompt in enumerate(prompts):
        text = chat.render(prompt, prompt.messages, add_generation_prompt=True)
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(found) > limit:
            dropped.append(prompt.line)
        else:
            ids.append(found)
            places.append(place)
    return Samples(Dataset.from_dict({"prompt_ids": ids, "prompt": places}), dropped)
