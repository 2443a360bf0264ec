"""Generating responses by vLLM inside of the training process, on the same GPUs, through TRL's engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trl.generation.vllm_generation import VLLMGeneration

from .generation import Generated, Request, Sampling, finished

if TYPE_CHECKING:
    from .grpo_trainer import GRPORun


class VllmGenerator:
    """vLLM sleeps while the trainer learns; its weights are brought up to date before each rollout.

    vLLM draws by its own random numbers, so a resumed run asks the same prompts and need not get the same responses.
    """

    def __init__(self, trainer: GRPORun, end_ids: Sequence[int]):
        self.end_ids = sorted(set(end_ids))
        settings = trainer.settings
        self.engine = VLLMGeneration(
            trainer.model,
            trainer.accelerator,
            trainer.processing_class,
            mode="colocate",
            gpu_memory_utilization=settings.rollout.gpu_memory,
            max_model_length=trainer.request.max_length,
            max_num_seqs=settings.rollout.batch_size,
            enable_sleep_mode=True,
            max_completion_length=settings.max_new_tokens,
            logprobs=0,
        )

    def update(self) -> None:
        self.engine.sync_weights()

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Generated]:
        """Responses in the order of the requests."""
        engine = self.engine
        engine.temperature, engine.top_p, engine.top_k = sampling.temperature, sampling.top_p, sampling.top_k or 0
        engine.max_completion_length = sampling.max_new_tokens
        engine.generation_kwargs = {"stop_token_ids": self.end_ids}
        prompts = [request.prompt_ids for request in requests]
        _, completions, logprobs, _ = engine.generate(prompts, None, num_generations=1)
        found = []
        for ids, values in zip(completions, logprobs, strict=True):
            flat = [value[0] if value[0] is not None else 0.0 for value in values]
            found.append(finished(list(ids), flat, self.end_ids))
        return found
