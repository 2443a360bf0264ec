"""FSDP2 through Accelerate: which trainings are sharded, how, and how whole weights are got out of shards. Imports torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy
from transformers import AutoConfig, AutoModelForCausalLM

from . import optimizers, parallel
from .errors import BadRequest
from .ranks import processes
from .request import TrainRequest

if TYPE_CHECKING:
    from .trainer import AnnealTrainer


def strategy(request: TrainRequest, bf16: bool) -> str:
    """`none`, `ddp` or `fsdp`, as the request says or as the model's size and the GPUs' memory call for."""
    count = processes().num_processes
    if request.parallel == "none" and count > 1:
        raise BadRequest.at("/params/parallel", f"'none' trains on one GPU, and the job has {count}")
    if request.parallel != "auto" or count == 1:
        return parallel.choose(request.parallel, count, 0, 0, None)
    total = parameter_count(request.model)
    trained = 0 if request.lora else total
    frozen_bytes = (2 if bf16 else 4) * (total - trained)
    device = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory if torch.cuda.is_available() else None
    return parallel.choose("auto", count, trained, frozen_bytes, device, optimizers.moment_bytes(request.optimizer))


def parameter_count(model: Path) -> int:
    """The parameters of a model, from its configuration alone."""
    with torch.device("meta"):
        shape = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model, local_files_only=True))
    return sum(tensor.numel() for tensor in shape.parameters())


def load_on_first_rank() -> None:
    """Have transformers read the weights on rank 0 alone; the others get their shards from it. Must come before the model is loaded."""
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}


def arguments(request: TrainRequest) -> dict[str, Any]:
    """What transformers' arguments say of it: each transformer block is a unit of its own."""
    config = {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "cpu_offload": request.fsdp.cpu_offload,
        "reshard_after_forward": request.fsdp.reshard_after_forward,
        "activation_checkpointing": request.gradient_checkpointing,
        "cpu_ram_efficient_loading": True,
        "state_dict_type": "FULL_STATE_DICT",
    }
    return {"fsdp": True, "fsdp_config": config}


def complete_plugin(trainer: AnnealTrainer) -> None:
    """What transformers cannot be told: gradients are summed in float32 over the GPUs, though computed in bfloat16; what the
    model gives stays as it is (Accelerate would round the loss, which is summed up in float32, to bfloat16); and what is
    offloaded is pinned for copies to a GPU only where there is one."""
    options = trainer.args.fsdp_plugin_args
    if options is None:
        return
    if trainer.args.bf16:
        options["mixed_precision_policy"] = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    if options.get("cpu_offload") and not torch.accelerator.is_available():
        options["cpu_offload"] = CPUOffloadPolicy(pin_memory=False)


def shard_on_cpu(trainer: AnnealTrainer) -> None:
    """Accelerate shards on accelerators only, though PyTorch does on CPUs as well."""
    state = trainer.accelerator.state
    if trainer.args.fsdp_plugin_args is None or state.distributed_type != DistributedType.MULTI_CPU:
        return
    state.fsdp_plugin = FullyShardedDataParallelPlugin(**trainer.args.fsdp_plugin_args)
    state.distributed_type = DistributedType.FSDP
    trainer.is_fsdp_enabled = True


def whole_weights(model: torch.nn.Module, trained_only: bool = False) -> dict[str, torch.Tensor]:
    """The model's state put together in the main memory of rank 0, and nothing on the others. Every rank must call it."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=trained_only)
    return get_model_state_dict(model, options=options)
