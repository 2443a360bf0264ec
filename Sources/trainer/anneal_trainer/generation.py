"""Generating responses in the training process, by transformers: batched, with a cache of keys and values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

if TYPE_CHECKING:
    from .grpo_trainer import GRPORun


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. A temperature of 0 takes the likeliest."""

    temperature: float
    top_p: float
    top_k: int | None
    max_new_tokens: int


@dataclass(frozen=True)
class Request:
    """One response that is wanted: the prompt's tokens, and a number that decides all that is random in it."""

    prompt_ids: list[int]
    seed: int


@dataclass(frozen=True)
class Generated:
    """One response: its tokens with the end token, the generator's log-probability of each, and whether it was cut."""

    ids: list[int]
    logprobs: list[float]
    truncated: bool


class Generator(Protocol):
    """What generates responses. `update` is called where the weights changed since the last time."""

    def update(self) -> None: ...

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Generated]: ...


def seed_of(*parts: object) -> int:
    """A number of 63 bits that depends on all parts, the same on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class SeededSampling(LogitsProcessor):
    """Draws the next token of every sequence by inversion, from random numbers of the sequence's own.

    So a response depends on its prompt, its seed and the weights, and not on what else is in the batch or was drawn
    before;
    transformers' own sampling takes one stream for all. All other tokens get −∞, so that taking the likeliest takes it.
    """

    def __init__(self, sampling: Sampling, seeds: Sequence[int], device: torch.device):
        self.sampling = sampling
        streams = [numpy.random.Generator(numpy.random.Philox(key=seed)) for seed in seeds]
        draws = numpy.stack([stream.random(sampling.max_new_tokens) for stream in streams])
        self.uniforms = torch.from_numpy(draws).to(device)
        #: Log-probability of the chosen tokens at the temperature, one tensor [B] for each step.
        self.logprobs: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        step, temperature = len(self.logprobs), self.sampling.temperature
        logprobs = torch.log_softmax(scores.float() / (temperature or 1.0), dim=-1)
        if temperature == 0:
            token = logprobs.argmax(-1, keepdim=True)
        else:
            total = torch.cumsum(self.kept(logprobs).double(), dim=-1)
            wanted = self.uniforms[:, step : step + 1] * total[:, -1:]
            token = torch.searchsorted(total, wanted, right=True).clamp(max=scores.shape[-1] - 1)
        self.logprobs.append(logprobs.gather(-1, token).squeeze(-1))
        return torch.full_like(scores, -torch.inf).scatter(-1, token, 0.0)

    def kept(self, logprobs: torch.Tensor) -> torch.Tensor:
        """The probabilities [B, V], zero outside of the top k and the top p."""
        probabilities = logprobs.exp()
        if self.sampling.top_k is not None and self.sampling.top_k < probabilities.shape[-1]:
            least = probabilities.topk(self.sampling.top_k, dim=-1).values[:, -1:]
            probabilities = probabilities.masked_fill(probabilities < least, 0.0)
        if self.sampling.top_p < 1:
            ordered, places = probabilities.sort(dim=-1, descending=True)
            before = ordered.cumsum(-1) - ordered
            ordered = ordered.masked_fill(before >= self.sampling.top_p * ordered.sum(-1, keepdim=True), 0.0)
            probabilities = torch.zeros_like(probabilities).scatter(-1, places, ordered)
        return probabilities


class TransformersGenerator:
    """`generate` of the model that is trained, so there are no weights to bring anywhere."""

    def __init__(self, trainer: GRPORun, end_ids: Sequence[int], pad_id: int, batch_size: int):
        self.trainer = trainer
        self.end_ids = sorted(set(end_ids))
        self.pad_id = pad_id
        self.batch_size = batch_size

    def update(self) -> None:
        """Nothing: it is the model itself."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Generated]:
        """Responses in the order of the requests, made in batches of prompts of similar length."""
        order = sorted(range(len(requests)), key=lambda place: len(requests[place].prompt_ids))
        found: dict[int, Generated] = {}
        for first in range(0, len(order), self.batch_size):
            places = order[first : first + self.batch_size]
            found |= zip(places, self.batch([requests[place] for place in places], sampling), strict=True)
        return [found[place] for place in range(len(requests))]

    def batch(self, requests: Sequence[Request], sampling: Sampling) -> list[Generated]:
        """One batch, with the prompts' padding on the left."""
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        device = self.trainer.args.device
        ids, attention = left_padded([request.prompt_ids for request in requests], self.pad_id)
        drawing = SeededSampling(sampling, [request.seed for request in requests], device)
        options: dict[str, Any] = dict(
            max_new_tokens=sampling.max_new_tokens,
            # The processor has drawn already; the likeliest token is the drawn one.
            do_sample=False,
            # Neutral, because what is left out is taken from the model's own generation_config.
            temperature=1.0,
            top_p=1.0,
            top_k=50,
            repetition_penalty=1.0,
            eos_token_id=self.end_ids,
            pad_token_id=self.pad_id,
            use_cache=True,
        )
        training = model.training
        model.eval()
        with torch.no_grad(), self.trainer.accelerator.autocast():
            output = model.generate(
                input_ids=ids.to(device),
                attention_mask=attention.to(device),
                generation_config=GenerationConfig(**options),
                logits_processor=LogitsProcessorList([drawing]),
                synced_gpus=self.trainer.is_fsdp_enabled and self.trainer.accelerator.num_processes > 1,
            )
        model.train(training)
        completions = output[:, ids.shape[1] :].tolist()
        logprobs = torch.stack(drawing.logprobs, dim=1).tolist()
        return [finished(row, values, self.end_ids) for row, values in zip(completions, logprobs, strict=True)]


def finished(ids: list[int], logprobs: list[float], end_ids: Sequence[int]) -> Generated:
    """A response up to its end token; one without is cut."""
    for place, token in enumerate(ids):
        if token in end_ids:
            return Generated(ids[: place + 1], logprobs[: place + 1], False)
    return Generated(ids, logprobs[: len(ids)], True)


def left_padded(rows: Sequence[list[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [B, longest] and the mask of what is not padding."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[pad_id] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def right_padded(rows: Sequence[Sequence[float]], pad: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Rows of different lengths as one tensor [B, longest]."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], dtype=dtype)
