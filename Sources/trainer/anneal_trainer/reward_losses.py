"""The losses of reward models (NeMo-Aligner's `loss_func`), from scores of shape [pairs] or [samples, attributes]."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from .chat_tokens import IGNORED


def bradley_terry(gap: torch.Tensor, margin: torch.Tensor) -> torch.Tensor:
    """−ln σ(r_chosen − r_rejected), the probability that the chosen response wins."""
    return -logsigmoid(gap)


def margin(gap: torch.Tensor, margin: torch.Tensor) -> torch.Tensor:
    """−ln σ(gap − margin): the scores are to differ by the margin at least."""
    return -logsigmoid(gap - margin)


def scaled(gap: torch.Tensor, margin: torch.Tensor) -> torch.Tensor:
    """−margin · ln σ(gap): clear preferences weigh more."""
    return -margin * logsigmoid(gap)


#: `params.loss` → the loss of a pair's gap between scores and its margin between given rewards.
PAIR_LOSSES = {"bradley_terry": bradley_terry, "margin": margin, "scaled": scaled}


def squared_errors(scores: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum of squared errors over the labels that are not missing (−100), and how many those are."""
    known = labels != IGNORED
    errors = torch.where(known, scores - labels, 0.0)
    return errors.square().sum(), known.sum()
