"""A rollout: responses to a batch of prompts, with their rewards and advantages. What several updates learn from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .advantages import clipped, deviation, group_advantages, shaped
from .errors import EXIT_FAILED, WorkerError

if TYPE_CHECKING:
    from .prompt_order import PromptOrder
    from .rl_settings import GRPOSettings

#: The file of a checkpoint's trainer state that holds the rollout in hand.
ROLLOUT_NAME = "rollout.json"


@dataclass
class Sample:
    """One response. `prompt` is the index of its prompt among the samples, `rewards` are unweighted, by name."""

    prompt: int
    prompt_ids: list[int]
    ids: list[int]
    logprobs: list[float]
    truncated: bool
    text: str
    rewards: dict[str, float] = field(default_factory=dict)
    #: The weighted sum, and what is left of it after scaling and shaping.
    reward: float = 0.0
    shaped: float = 0.0
    advantage: float = 0.0
    #: Log-probabilities of its tokens under the weights at the start of the rollout, and of the reference model.
    old: list[float] | None = None
    reference: list[float] | None = None


@dataclass
class Rollout:
    """All samples of one rollout, groups of one prompt in a row, in the order in which they are learned from."""

    number: int
    samples: list[Sample]
    #: What was measured on the way: metrics by full name.
    values: dict[str, float] = field(default_factory=dict)

    def write(self, folder: Path, draws: Sequence[float]) -> None:
        """Keep it for an attempt that resumes between two updates from it."""
        document = {"number": self.number, "draws": list(draws), "samples": [asdict(sample) for sample in self.samples]}
        (folder / ROLLOUT_NAME).write_text(json.dumps(document), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> tuple[Rollout, list[float]]:
        """What `write` kept: the rollout, and the draws of prompts up to it."""
        document = json.loads((folder / ROLLOUT_NAME).read_text(encoding="utf-8"))
        samples = [Sample(**sample) for sample in document["samples"]]
        return cls(document["number"], samples), document["draws"]


def groups_of(samples: Sequence[Sample], size: int) -> list[list[Sample]]:
    """The samples by prompt."""
    return [list(samples[first : first + size]) for first in range(0, len(samples), size)]


def collect(
    number: int,
    progress: float,
    order: PromptOrder,
    settings: GRPOSettings,
    respond: Callable[[list[int], int], list[Sample]],
) -> Rollout:
    """One rollout. `respond(prompts, draw)` gives scored samples to prompts, each prompt's in a row.

    With dynamic sampling (DAPO) only prompts whose rewards differ are kept, over as many batches as it takes; a
    surplus is dropped. Raises `WorkerError` where too many batches were needed.
    """
    size, wanted = settings.generations_per_prompt, settings.responses
    kept: list[Sample] = []
    batches = 0
    everything: list[Sample] = []
    while len(kept) < wanted:
        if batches == settings.dynamic_sampling_max_batches and settings.dynamic_sampling:
            raise WorkerError(
                EXIT_FAILED,
                "no_signal",
                f"after {batches} batches of prompts only {len(kept) // size} of {settings.prompts_per_step} prompts "
                "had responses with different rewards (params.dynamic_sampling_max_batches); the prompts are too easy, "
                "too hard, or the rewards tell nothing apart",
            )
        samples = respond(order.draw(progress), len(order.draws))
        batches += 1
        everything += samples
        for group in groups_of(samples, size):
            if not settings.dynamic_sampling or deviation([sample.reward for sample in group]) > 0:
                kept += group
    surplus = len(kept) - wanted
    kept = kept[:wanted]
    rollout = Rollout(number, kept)
    if settings.dynamic_sampling:
        rollout.values["train/dynamic_sampling_num_gen_batches"] = batches
        rollout.values["train/dynamic_sampling_num_discarded_valid_samples"] = surplus
        rollout.values["train/filtered_reward"] = mean([sample.reward for sample in kept])
    rollout.values |= reward_values(everything, size)
    return rollout


def give_credit(rollout: Rollout, settings: GRPOSettings) -> None:
    """Set the shaped rewards and the advantages, and measure them."""
    began = time.monotonic()
    for sample in rollout.samples:
        sample.shaped = shaped(
            sample.reward,
            len(sample.ids),
            sample.truncated,
            settings.reward_scaling,
            settings.overlong,
            settings.stop_properly,
        )
    for group in groups_of(rollout.samples, settings.generations_per_prompt):
        found = group_advantages(
            [sample.shaped for sample in group], settings.leave_one_out, settings.normalize_rewards
        )
        for sample, advantage in zip(group, found, strict=True):
            sample.advantage = clipped(advantage, settings.advantage_min, settings.advantage_max)
    advantages = [sample.advantage for sample in rollout.samples]
    rollout.values |= {
        "train/advantages/mean": mean(advantages),
        "train/advantages/max": max(advantages),
        "train/advantages/min": min(advantages),
        "train/advantages/sum": sum(advantages),
        "timing/train/advantage_calculation": time.monotonic() - began,
    }


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def reward_values(samples: Sequence[Sample], size: int) -> dict[str, float]:
    """The metrics of all responses that were generated, also of those that dynamic sampling took out."""
    averages = [mean([sample.reward for sample in group]) for group in groups_of(samples, size)]
    lowest, highest = (sum(average == end for average in averages) / len(averages) for end in (0, 1))
    lengths = [len(sample.ids) for sample in samples]
    prompts = [len(sample.prompt_ids) for sample in samples]
    cut = mean([float(sample.truncated) for sample in samples])
    return {
        "train/reward": mean([sample.reward for sample in samples]),
        **{f"train/reward/{name}": mean([sample.rewards[name] for sample in samples]) for name in samples[0].rewards},
        "train/baseline_reward/pct_0": lowest,
        "train/baseline_reward/pct_1": highest,
        "train/baseline_reward/pct_mixed": 1 - lowest - highest,
        "train/mean_prompt_length": mean(prompts),
        "train/total_num_tokens": sum(lengths) + sum(prompts),
        "train/mean_gen_tokens_per_sample": mean(lengths),
        "train/mean_total_tokens_per_sample": mean(lengths) + mean(prompts),
        "train/truncation_rate": cut,
        "train/natural_termination_rate": 1 - cut,
    }
