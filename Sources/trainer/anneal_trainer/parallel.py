"""How a training is spread over GPUs: the parameters `parallel` and `fsdp`. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import Fields
from .optimizers import MOMENT_BYTES

STRATEGIES = ("auto", "none", "ddp", "fsdp")

#: Bytes that training keeps for each trained parameter beside AdamW's two moments: weight and gradient in float32 (ZeRO, arXiv
#: 1910.02054, section 3.1, has two 16-bit copies and 4 of optimizer for mixed precision; here the weights are cast as they are used).
STATE_BYTES = 8
#: DDP keeps its buckets of gradients beside the gradients.
DDP_BYTES = 4
#: The part of a GPU's memory that may be taken by what is there between two steps; the rest is for activations.
STATE_SHARE_MAX = 0.5


@dataclass(frozen=True)
class ShardingParams:
    """The mapping `fsdp`."""

    #: Weights, gradients and moments lie in main memory, and the optimizer runs there.
    cpu_offload: bool
    #: Gathered weights are let go after the forward pass and gathered again for the backward pass.
    reshard_after_forward: bool


def parse_sharding(params: Fields) -> ShardingParams:
    """Read the mapping `fsdp` of the parameters; absent or null means the defaults."""
    params.known.add("fsdp")
    fields = Fields(params.values.get("fsdp"), f"{params.pointer}/fsdp", params.problems)
    sharding = ShardingParams(
        cpu_offload=fields.flag("cpu_offload", False),
        reshard_after_forward=fields.flag("reshard_after_forward", True),
    )
    fields.finish("key of fsdp")
    return sharding


def choose(
    strategy: str, processes: int, trained: int, frozen_bytes: int, device_bytes: int | None, moment_bytes: int = MOMENT_BYTES
) -> str:
    """What `auto` comes to: `none` for one process; `ddp` where a whole copy of what training keeps takes at most half of a GPU's memory,
    else `fsdp`.

    `trained` counts parameters, of which each has `moment_bytes` of optimizer, `frozen_bytes` is the size of those that are not
    trained, `device_bytes` is None on a CPU, where there is nothing to gain by sharding.
    """
    if strategy != "auto":
        return strategy
    if processes == 1:
        return "none"
    kept = trained * (STATE_BYTES + moment_bytes + DDP_BYTES) + frozen_bytes
    return "ddp" if device_bytes is None or kept <= device_bytes * STATE_SHARE_MAX else "fsdp"
