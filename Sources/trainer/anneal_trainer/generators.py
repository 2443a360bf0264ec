"""Which program generates the responses of a rollout: transformers, vLLM in this process, or a server."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import torch

from .errors import BadRequest
from .generation import Generator, TransformersGenerator
from .loading import end_token_ids

if TYPE_CHECKING:
    from .grpo_trainer import GRPORun


def make_generator(trainer: GRPORun) -> Generator:
    """The generator that `params.rollout.engine` names; `auto` takes vLLM where it is installed and there is a GPU."""
    rollout = trainer.settings.rollout
    tokenizer = trainer.processing_class
    ends = [*end_token_ids(trainer.request.model), tokenizer.eos_token_id]
    ends = [token for token in ends if token is not None]
    if not ends:
        raise BadRequest.at("/model", "neither generation_config.json nor the tokenizer names an end token")
    installed = importlib.util.find_spec("vllm") is not None
    engine = rollout.engine
    if engine == "auto":
        engine = "vllm" if installed and torch.cuda.is_available() else "transformers"
    if engine == "transformers":
        return TransformersGenerator(trainer, ends, tokenizer.pad_token_id, rollout.batch_size)
    if engine == "server":
        from .server_generation import ServerGenerator

        return ServerGenerator(trainer, rollout, ends)
    if not installed:
        raise BadRequest.at("/params/rollout/engine", "vLLM is not installed beside the trainer; take transformers")
    from .vllm_generation import VllmGenerator

    return VllmGenerator(trainer, ends)
