"""The optimizer's state in a checkpoint: by parameter name and in pieces, so that any number of processes can go on with it.

PyTorch's distributed checkpoints hold it: each process writes what it has, shards or its part of a replicated whole, and reads what it
needs, whatever wrote it. The weights are not in there: they are whole, as Hugging Face files, at the top of the checkpoint.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as distributed_checkpoint
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

from .checkpoints import OPTIMIZER_NAME


def save(model: torch.nn.Module, optimizer: Any, state: Path) -> None:
    """Write the state of the optimizer below a checkpoint's trainer_state. Every process must call it."""
    with quiet():
        found = get_optimizer_state_dict(model, bare(optimizer))
        distributed_checkpoint.save({"optimizer": found}, checkpoint_id=state / OPTIMIZER_NAME)


def load(model: torch.nn.Module, optimizer: Any, state: Path) -> None:
    """Read it back, in the pieces that this process holds. Every process must call it."""
    with quiet():
        found = {"optimizer": get_optimizer_state_dict(model, bare(optimizer))}
        distributed_checkpoint.load(found, checkpoint_id=state / OPTIMIZER_NAME)
        set_optimizer_state_dict(model, bare(optimizer), found["optimizer"])


def is_there(state: Path) -> bool:
    """False for checkpoints of earlier versions, which hold the optimizer as one pickle."""
    return (state / OPTIMIZER_NAME).is_dir()


def bare(optimizer: Any) -> torch.optim.Optimizer:
    """The optimizer inside Accelerate's."""
    return getattr(optimizer, "optimizer", optimizer)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """PyTorch warns of what is meant so here: one process alone writes such a checkpoint, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
