"""Which AdamW trains, under transformers' name for it, and what it keeps for each parameter. No torch."""

from __future__ import annotations

import importlib.util

from .errors import BadRequest

#: `auto` takes the fused one on a GPU, which is one kernel for all parameters, with the same steps but for rounding.
NAMES = ("auto", "adamw", "adamw_fused", "adamw_8bit")

#: Bytes of the two moments of a parameter: in float32; and in 8 bits, whose scales, two float32 for 256 of each, are left out.
MOMENT_BYTES, MOMENT_BYTES_8BIT = 8, 2


def check(name: str, strategy: str) -> None:
    """Raise `BadRequest` for an optimizer that cannot run here."""
    if name != "adamw_8bit":
        return
    if importlib.util.find_spec("bitsandbytes") is None:
        detail = "adamw_8bit is bitsandbytes' optimizer, which is not installed beside the trainer: pip install bitsandbytes"
        raise BadRequest.at("/params/optimizer", f"{detail}; or take adamw, whose moments are float32")
    if strategy == "fsdp":
        detail = "adamw_8bit needs whole parameters, and fsdp shards them: give parallel: ddp, or take adamw"
        raise BadRequest.at("/params/optimizer", detail)


def transformers_name(name: str, on_gpu: bool) -> str:
    """What transformers calls it."""
    if name == "adamw_8bit":
        return "adamw_8bit"
    return "adamw_torch_fused" if name == "adamw_fused" or (name == "auto" and on_gpu) else "adamw_torch"


def moment_bytes(name: str) -> int:
    """Bytes kept for each trained parameter beside weight and gradient."""
    return MOMENT_BYTES_8BIT if name == "adamw_8bit" else MOMENT_BYTES
