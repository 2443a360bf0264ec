"""The terms of the distillation loss, as functions of logits and hidden states; each gives one value per position.

Shapes: (positions, tokens) for logits, (positions, width) for hidden states. p_T is the teacher's distribution, p_S the
student's, both at the temperature T. The sum over positions and its divisor are the trainer's.
"""

from __future__ import annotations

import torch
from torch.nn.functional import cosine_similarity

#: log p_T where the teacher is taken to be zero (NeMo RL's log of an infinitesimal number).
LOG_ZERO = -100.0


def top_logits(logits: torch.Tensor, count: int | None) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The `count` largest logits in descending order with their tokens; all of them, and None, without a count."""
    if count is None or count >= logits.shape[-1]:
        return logits, None
    return torch.topk(logits, count, dim=-1)


def divergences(
    student: torch.Tensor,
    teacher: torch.Tensor,
    tokens: torch.Tensor | None,
    temperature: float = 1.0,
    zero_outside: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Forward KL Σ p_T (log p_T − log p_S) and reverse KL Σ p_S (log p_S − log p_T), (positions,) each, in nats.

    `student` are the logits of the whole vocabulary, `teacher` those of `tokens` (positions, k), or of the whole
    vocabulary where that is None. Over k tokens both distributions are normalised among these, as NeMo RL does; with
    `zero_outside` the student's is over the whole vocabulary, and the teacher's is zero outside of the k tokens
    (log p_T = −100 there), so that the reverse KL drives the student's mass off the others.
    """
    log_t = torch.log_softmax(teacher / temperature, dim=-1)
    scaled = student / temperature
    if tokens is None:
        log_s = torch.log_softmax(scaled, dim=-1)
    elif not zero_outside:
        log_s = torch.log_softmax(scaled.gather(-1, tokens), dim=-1)
    else:
        whole = torch.log_softmax(scaled, dim=-1)
        log_s = whole.gather(-1, tokens)
    p_t, p_s = log_t.exp(), log_s.exp()
    forward = (p_t * (log_t - log_s)).sum(-1)
    reverse = (p_s * (log_s - log_t)).sum(-1)
    if tokens is not None and zero_outside:
        outside = torch.ones_like(whole, dtype=torch.bool).scatter_(-1, tokens, False)
        rest = torch.where(outside, whole.exp() * (whole - LOG_ZERO), torch.zeros_like(whole))
        reverse = reverse + rest.sum(-1)
    return forward, reverse


def blend(forward: torch.Tensor, reverse: torch.Tensor, kind: str, forward_share: float) -> torch.Tensor:
    """The KL that is learned: `forward`, `reverse`, or `mixed` = share · forward + (1 − share) · reverse."""
    if kind == "mixed":
        return forward_share * forward + (1 - forward_share) * reverse
    return forward if kind == "forward" else reverse


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """−Σ p log p of each position, in nats."""
    log_p = torch.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p).sum(-1)


def hidden_distance(students: list[torch.Tensor], teachers: list[torch.Tensor]) -> torch.Tensor:
    """The mean over layers of 1 − cos(h_student, h_teacher), (positions,); the lists pair the layers."""
    pairs = zip(students, teachers, strict=True)
    return torch.stack([1 - cosine_similarity(child.float(), parent.float(), dim=-1) for child, parent in pairs]).mean(0)


def layer_map(students: int, teachers: int) -> list[int]:
    """The teacher's layer (from 1) for each of the student's, evenly spread; the last for the last."""
    return [max(1, round((layer + 1) * teachers / students)) for layer in range(students)]
