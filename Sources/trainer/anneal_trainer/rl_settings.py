"""The parameters of method `grpo`: the defaults of each variant, and the checks between them. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .advantages import Overlong, RewardScaling
from .fields import Fields
from .job import Job
from .prompt_order import Curriculum
from .rewards import Reward, parse_rewards
from .rl_loss_rules import CORRECTIONS, KL_TYPES, LossRules

#: NeMo RL's GRPO (examples/configs/grpo_math_1B.yaml).
GRPO = {
    "normalize_rewards": True,
    "leave_one_out": True,
    "objective": "ppo",
    "ratio_level": "token",
    "loss_level": "token",
    "ratio_clip_min": 0.2,
    "ratio_clip_max": 0.2,
    "ratio_clip_c": None,
    "kl_penalty": 0.01,
    "dynamic_sampling": False,
}
#: What each variant sets; every one of these is a parameter that the job may set otherwise.
VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "grpo": GRPO,
        # Zheng et al. 2025: the clip range of their section 5.1.
        "gspo": GRPO
        | {
            "ratio_level": "sequence",
            "loss_level": "sequence",
            "ratio_clip_min": 3e-4,
            "ratio_clip_max": 4e-4,
            "kl_penalty": 0.0,
        },
        "dapo": GRPO
        | {"ratio_clip_max": 0.28, "ratio_clip_c": 10.0, "kl_penalty": 0.0, "dynamic_sampling": True},
        "rloo": GRPO | {"objective": "reinforce", "normalize_rewards": False},
        # MiniMax 2025: no lower bound, and a high upper one.
        "cispo": GRPO
        | {"objective": "cispo", "ratio_clip_min": 1.0, "ratio_clip_max": 4.0, "kl_penalty": 0.0},
        "dr_grpo": GRPO
        | {"normalize_rewards": False, "leave_one_out": False, "loss_level": "constant", "kl_penalty": 0.0},
    }
)
#: Defaults of the parameters that all methods share.
SHARED = MappingProxyType(
    {
        "global_batch_size": 512,
        "micro_batch_size": 4,
        "weight_decay": 0.01,
        "beta2": 0.999,
        "epsilon": 1e-8,
    }
)


@dataclass(frozen=True)
class RolloutSettings:
    """How responses are generated. Lengths are in tokens, batches in responses."""

    engine: str
    url: str | None
    temperature: float
    top_p: float
    top_k: int | None
    batch_size: int
    gpu_memory: float
    weight_update: str
    timeout_seconds: float


@dataclass(frozen=True)
class GRPOSettings:
    """What only method `grpo` has."""

    rewards: list[Reward]
    prompts_per_step: int
    generations_per_prompt: int
    max_new_tokens: int
    loss: LossRules
    normalize_rewards: bool
    leave_one_out: bool
    advantage_min: float | None
    advantage_max: float | None
    dynamic_sampling: bool
    dynamic_sampling_max_batches: int
    batch_multiplier: int
    overlong: Overlong | None
    overlong_filtering: bool
    stop_properly: float | None
    reward_scaling: RewardScaling | None
    curriculum: Curriculum | None
    rollout: RolloutSettings
    validation_generations: int
    validation_temperature: float | None
    rollout_samples: int

    @property
    def responses(self) -> int:
        """Responses of one rollout."""
        return self.prompts_per_step * self.generations_per_prompt


def parse_settings(params: Fields, job: Job) -> GRPOSettings:
    """The method's own parameters; problems are collected."""
    variant = params.choice("variant", "grpo", tuple(VARIANTS))
    default = VARIANTS[variant]
    tokens = params.integer("max_new_tokens", 512, minimum=1)
    stop_properly = optional_number(params, "stop_properly_penalty", None, 0)
    if stop_properly is not None and stop_properly > 1:
        params.problem("stop_properly_penalty", "must be from 0 to 1")
    settings = GRPOSettings(
        rewards=parse_rewards(params, job),
        prompts_per_step=params.integer("prompts_per_step", 32, minimum=1),
        generations_per_prompt=params.integer("generations_per_prompt", 16, minimum=2),
        max_new_tokens=tokens,
        loss=parse_loss(params, default, tokens),
        normalize_rewards=params.flag("normalize_rewards", default["normalize_rewards"]),
        leave_one_out=params.flag("leave_one_out", default["leave_one_out"]),
        advantage_min=optional_number(params, "advantage_min", None, -1e9),
        advantage_max=optional_number(params, "advantage_max", None, -1e9),
        dynamic_sampling=params.flag("dynamic_sampling", default["dynamic_sampling"]),
        dynamic_sampling_max_batches=params.integer("dynamic_sampling_max_batches", 10, minimum=1),
        batch_multiplier=params.integer("batch_multiplier", 1, minimum=1),
        overlong=parse_overlong(params, tokens),
        overlong_filtering=params.flag("overlong_filtering", False),
        stop_properly=stop_properly,
        reward_scaling=parse_scaling(params),
        curriculum=parse_curriculum(params),
        rollout=parse_rollout(params),
        validation_generations=params.integer("validation_generations", 1, minimum=1),
        validation_temperature=optional_number(params, "validation_temperature", None, 0),
        rollout_samples=params.integer("rollout_samples", 64, minimum=0, maximum=1024),
    )
    check(settings, params)
    return settings


def optional_number(
    fields: Fields, key: str, default: float | None, minimum: float, above: bool = False
) -> float | None:
    """A number, or nothing where the key is null or left out; null also takes a default away."""
    fields.known.add(key)
    if fields.values.get(key) is None:
        return None if key in fields.values else default
    return fields.number(key, 0.0 if default is None else default, minimum, above=above)


def parse_loss(params: Fields, default: Mapping[str, Any], tokens: int) -> LossRules:
    """The rules of the loss, with the variant's defaults."""
    return LossRules(
        objective=params.choice("objective", default["objective"], ("ppo", "cispo", "reinforce")),
        ratio_level=params.choice("ratio_level", default["ratio_level"], ("token", "sequence")),
        loss_level=params.choice("loss_level", default["loss_level"], ("token", "sequence", "constant")),
        ratio_clip_min=params.number("ratio_clip_min", default["ratio_clip_min"], 0),
        ratio_clip_max=params.number("ratio_clip_max", default["ratio_clip_max"], 0),
        ratio_clip_c=optional_number(params, "ratio_clip_c", default["ratio_clip_c"], 1, above=True),
        kl_penalty=params.number("kl_penalty", default["kl_penalty"], 0),
        kl_type=params.choice("kl_type", "k3", KL_TYPES),
        kl_input_clamp=optional_number(params, "kl_input_clamp", 20.0, 0, above=True),
        kl_output_clamp=optional_number(params, "kl_output_clamp", 10.0, 0, above=True),
        importance_correction=params.choice("importance_correction", "none", CORRECTIONS),
        importance_min=params.number("importance_min", 0.5, 0),
        importance_max=params.number("importance_max", 2.0, 0, above=True),
        positive_nll_weight=params.number("positive_nll_weight", 0.0, 0),
        max_new_tokens=tokens,
    )


def nested(params: Fields, key: str) -> Fields | None:
    """A mapping inside the parameters; None where it is null or left out."""
    params.known.add(key)
    if params.values.get(key) is None:
        return None
    return Fields(params.values[key], f"{params.pointer}/{key}", params.problems)


def parse_overlong(params: Fields, tokens: int) -> Overlong | None:
    fields = nested(params, "overlong")
    if fields is None:
        return None
    longest = fields.integer("max_response_length", tokens, minimum=1)
    overlong = Overlong(
        buffer=fields.integer("buffer", 128, minimum=1),
        penalty=fields.number("penalty", 1.0, 0),
        max_response_length=longest,
    )
    if overlong.buffer > longest:
        fields.problem("buffer", f"must not be above max_response_length, {longest}")
    fields.finish("key of overlong")
    return overlong


def parse_scaling(params: Fields) -> RewardScaling | None:
    fields = nested(params, "reward_scaling")
    if fields is None:
        return None
    scaling = RewardScaling(
        source_min=fields.number("source_min", 0.0, -1e9),
        source_max=fields.number("source_max", 1.0, -1e9),
        target_min=fields.number("target_min", 0.0, -1e9),
        target_max=fields.number("target_max", 1.0, -1e9),
    )
    if scaling.source_min >= scaling.source_max:
        fields.problem("source_max", "must be above source_min")
    fields.finish("key of reward_scaling")
    return scaling


def parse_curriculum(params: Fields) -> Curriculum | None:
    fields = nested(params, "curriculum")
    if fields is None:
        return None
    curriculum = Curriculum(
        field=fields.text("field", "pass_rate"),
        width=fields.number("width", 0.125, 0, above=True),
        levels=fields.integer("levels", None, minimum=1, maximum=10_000),
        discard_from=optional_number(fields, "discard_from", None, 0, above=True),
    )
    fields.finish("key of curriculum")
    return curriculum


def parse_rollout(params: Fields) -> RolloutSettings:
    fields = Fields(params.values.get("rollout"), f"{params.pointer}/rollout", params.problems)
    params.known.add("rollout")
    rollout = RolloutSettings(
        engine=fields.choice("engine", "auto", ("auto", "transformers", "vllm", "server")),
        url=fields.text("url", None),
        temperature=fields.number("temperature", 1.0, 0, above=True),
        top_p=fields.number("top_p", 1.0, 0, above=True),
        top_k=fields.integer("top_k", None, minimum=1),
        batch_size=fields.integer("batch_size", 256, minimum=1, maximum=65_536),
        gpu_memory=fields.number("gpu_memory", 0.4, 0, above=True, below=1),
        weight_update=fields.choice("weight_update", "reload", ("reload", "none")),
        timeout_seconds=fields.number("timeout_seconds", 600, 0, above=True),
    )
    if rollout.top_p > 1:
        fields.problem("top_p", "must not be above 1")
    if (rollout.url is not None) != (rollout.engine == "server"):
        fields.problem("url", "belongs to engine: server, and that needs it")
    elif rollout.url is not None and not rollout.url.startswith(("http://", "https://")):
        fields.problem("url", "must be an http:// or https:// URL")
    fields.finish("key of rollout")
    return rollout


def check(settings: GRPOSettings, params: Fields) -> None:
    """The rules between parameters."""
    loss = settings.loss
    if loss.ratio_level == "sequence" and loss.loss_level != "sequence":
        params.problem("loss_level", "must be sequence where ratio_level is: the ratio is the same on all tokens")
    if loss.importance_min >= loss.importance_max:
        params.problem("importance_max", "must be above importance_min")
    lower, upper = settings.advantage_min, settings.advantage_max
    if lower is not None and upper is not None and lower >= upper:
        params.problem("advantage_max", "must be above advantage_min")
    size = params.values.get("global_batch_size", SHARED["global_batch_size"])
    if isinstance(size, int) and size > 0 and settings.responses % size:
        prompts, each = settings.prompts_per_step, settings.generations_per_prompt
        detail = f"must divide prompts_per_step × generations_per_prompt = {prompts} × {each} = {settings.responses}"
        params.problem("global_batch_size", detail)
    keeps_weights = settings.rollout.engine == "server" and settings.rollout.weight_update == "none"
    if keeps_weights and loss.importance_correction == "none":
        params.problem("importance_correction", "is needed where the server keeps its first weights; take tis")
