"""What a run takes over from the stage before it: the optimizer's moments, and its place on the learning rate schedule.

The stage before is the checkpoint that the job starts from; an attempt that resumes its own checkpoint needs none of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .checkpoints import OPTIMIZER_NAME, STATE_NAME, Checkpoint
from .errors import BadRequest
from .request import TrainRequest

if TYPE_CHECKING:
    import torch


def check(request: TrainRequest) -> None:
    """Raise `BadRequest` where the model is no checkpoint with the state that is asked for."""
    if request.batching.keeps_optimizer and not (request.model / STATE_NAME / OPTIMIZER_NAME).is_dir():
        detail = (
            f"{request.model} has no optimizer state to keep; start from a checkpoint of a train job that has it "
            "(checkpoint.save_optimizer), or take optimizer_state: fresh"
        )
        raise BadRequest.at("/params/optimizer_state", detail)
    if request.batching.continues_schedule and Checkpoint.read(request.model) is None:
        detail = f"{request.model} is no checkpoint of a train job, so it does not tell how many steps came before"
        raise BadRequest.at("/params/schedule_state", detail)


def steps_before(request: TrainRequest) -> int:
    """How many steps of the schedule are done already, over all stages that went on with it: 0 where it starts anew."""
    checkpoint = Checkpoint.read(request.model) if request.batching.continues_schedule else None
    return checkpoint.steps_before + checkpoint.step if checkpoint else 0


def restore_optimizer(request: TrainRequest, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Give the optimizer the moments and step counts of the stage before. Its settings stay those of this job."""
    from torch.distributed.checkpoint import CheckpointException

    from . import optimizer_state

    bare = optimizer_state.bare(optimizer)
    settings = [{key: value for key, value in group.items() if key != "params"} for group in bare.param_groups]
    try:
        optimizer_state.load(model, optimizer, request.model / STATE_NAME)
    except (CheckpointException, RuntimeError) as error:
        detail = f"the optimizer state of {request.model} is for other parameters; with LoRA on both or neither it fits"
        raise BadRequest.at("/params/optimizer_state", detail) from error
    for group, own in zip(bare.param_groups, settings, strict=True):
        group.update(own)
