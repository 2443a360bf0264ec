"""What methods over tokens can ask for beside the common parameters: packing, dynamic batches, a token budget, and an
optimizer that goes on from an earlier stage. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import Problem
from .fields import Fields
from .job import Job
from .packing import PACKERS

#: Where the job names the plan.
PLAN_POINTER = "/params/packing/plan"


@dataclass(frozen=True)
class Packing:
    """Which sequences share a training sequence: by the plan of a `pack` step, or by a packer and a capacity."""

    plan: Path | None
    packer: str | None
    #: Tokens of a bin; None stands for the limit of one sequence.
    capacity: int | None


@dataclass(frozen=True)
class DynamicBatching:
    """Micro-batches of at most `tokens` tokens each, padding included; lengths are rounded up to multiples of `round`."""

    tokens: int
    round: int


@dataclass(frozen=True)
class Batching:
    """How samples become batches, when a run ends by its tokens, and what it takes over from the stage before."""

    packing: Packing | None = None
    dynamic: DynamicBatching | None = None
    #: The run ends with the step that reaches so many tokens with loss.
    max_tokens: int | None = None
    keeps_optimizer: bool = False
    continues_schedule: bool = False


def parse(params: Fields, job: Job) -> Batching:
    """The keys of `params`; the divisor that an attempt out of GPU memory left divides the token budget too."""
    packing = parse_packing(params, job)
    dynamic = parse_dynamic(params, job.micro_batch_divisor)
    if packing and dynamic:
        params.problem("dynamic_batching", "excludes packing: packs are filled up already")
    if dynamic and params.values.get("micro_batch_size") is not None:
        params.problem("micro_batch_size", "has no meaning with dynamic_batching, whose 'tokens' bound a micro-batch")
    return Batching(
        packing=packing,
        dynamic=dynamic,
        max_tokens=params.integer("max_tokens", None, minimum=1),
        keeps_optimizer=params.choice("optimizer_state", "fresh", ("fresh", "keep")) == "keep",
        continues_schedule=params.choice("schedule_state", "restart", ("restart", "continue")) == "continue",
    )


def parse_packing(params: Fields, job: Job) -> Packing | None:
    """The `packing` mapping: `plan`, or `online` with a capacity."""
    params.known.add("packing")
    if params.values.get("packing") is None:
        return None
    fields = Fields(params.values["packing"], f"{params.pointer}/packing", params.problems)
    plan, packer = fields.text("plan", None), fields.choice("online", None, PACKERS)
    capacity = fields.integer("capacity", None, minimum=1)
    if (plan is None) == (packer is None):
        fields.problem("", "needs either 'plan' or 'online'")
    if plan is not None and capacity is not None:
        fields.problem("capacity", "stands only with 'online'; a plan has a capacity of its own")
    fields.finish("key of packing")
    return Packing(None if plan is None else job.input_path(PLAN_POINTER, plan), packer, capacity)


def parse_dynamic(params: Fields, divisor: int) -> DynamicBatching | None:
    """The `dynamic_batching` mapping."""
    params.known.add("dynamic_batching")
    if params.values.get("dynamic_batching") is None:
        return None
    fields = Fields(params.values["dynamic_batching"], f"{params.pointer}/dynamic_batching", params.problems)
    if fields.values.get("tokens") is None:
        fields.problem("tokens", "is required")
    tokens = fields.integer("tokens", 1, minimum=1)
    rounding = fields.integer("round", 64, minimum=1)
    fields.finish("key of dynamic_batching")
    if rounding > tokens // divisor:
        detail = f"{tokens} tokens" + (f" / {divisor}" if divisor > 1 else "") + f" are less than 'round', {rounding}"
        params.problems.append(Problem(detail, f"{fields.pointer}/tokens"))
    return DynamicBatching(max(1, tokens // divisor), rounding)
