"""What differs between training methods: parameters, data, trainer. What they share is in training.py and trainer.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from .fields import Fields
    from .job import Job
    from .request import TrainRequest
    from .trainer import AnnealTrainer


@dataclass
class Samples:
    """Tokenised samples as the trainer takes them, and the lines of the records that were too long."""

    dataset: Dataset
    dropped_lines: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.dataset)


class Method(ABC):
    """A training method. An instance belongs to one run, and keeps the records between `read` and `tokenize`."""

    #: What checkpoints can be ranked by; the first is the default.
    metrics: ClassVar[tuple[str, ...]] = ("val_loss", "train_loss")
    #: Defaults of shared parameters that differ from `request.DEFAULTS`.
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, request: TrainRequest):
        self.request = request

    @classmethod
    @abstractmethod
    def parse(cls, params: Fields, body: Fields, job: Job) -> Any:
        """The method's own keys of `params` and of the job, checked: what `request.settings` holds. Problems are collected."""

    @abstractmethod
    def read(self) -> None:
        """Read training and validation records. Raises `BadData` before anything slow is loaded."""

    @property
    @abstractmethod
    def counts(self) -> tuple[int, int]:
        """How many training and validation records were read."""

    @abstractmethod
    def tokenize(self, tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[Samples, Samples | None]:
        """Training and validation samples of fewer than `limit` tokens."""

    @abstractmethod
    def build(self, options: dict[str, Any]) -> AnnealTrainer:
        """The trainer. `options` are the arguments that all trainers take: model, datasets, tokenizer, rules; and
        `arguments`, the fields of the method's TRL configuration that all methods share."""

    def outputs(self, trainer: AnnealTrainer) -> tuple[dict, dict]:
        """Further outputs and entries of the summary of a finished run."""
        return {}, {}
