"""What differs between training methods: parameters, data, trainer. What they share is in training.py and trainer.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from .fields import Fields
    from .job import Job
    from .request import TrainRequest
    from .trainer import AnnealTrainer


@dataclass
class Samples:
    """Tokenised samples as the trainer takes them, and the lines of the records that were too long."""

    dataset: Dataset
    dropped_lines: list[int] = field(default_factory=list)
    #: What a row of the dataset is called.
    unit: str = "sample"
    #: What the data tell of themselves at the start of the run: metrics by full name, and lines of the log.
    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    #: Tokens with loss of each row; None where they are only known when a step is made.
    tokens: list[int] | None = None

    def __len__(self) -> int:
        return len(self.dataset)


class Method(ABC):
    """A training method. An instance belongs to one run, and keeps the records between `read` and `tokenize`."""

    #: What checkpoints can be ranked by; the first is the default.
    metrics: ClassVar[tuple[str, ...]] = ("val_loss", "train_loss")
    #: Defaults of shared parameters that differ from `request.DEFAULTS`.
    defaults: ClassVar[Mapping[str, Any]] = {}
    #: What PEFT calls the task.
    task_type: ClassVar[str] = "CAUSAL_LM"
    #: Whether `params` has the keys of batching.py: packing, dynamic batches, a token budget, an optimizer to keep.
    has_batching: ClassVar[bool] = False
    #: Whether a model without a chat template is refused.
    needs_chat_template: ClassVar[bool] = True
    #: Whether a record makes one sample or none, so that too few records are too few samples.
    record_is_sample: ClassVar[bool] = True

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

    def needed(self) -> tuple[int, str]:
        """How many samples a step needs, and what says so."""
        return self.request.global_batch_size, "params.global_batch_size"

    def steps_per_epoch(self, samples: int) -> int:
        """Steps of one pass over so many samples; a last partial batch is dropped."""
        return samples // self.request.global_batch_size

    @abstractmethod
    def tokenize(self, tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[Samples, Samples | None]:
        """Training and validation samples of fewer than `limit` tokens."""

    @abstractmethod
    def build(self, options: dict[str, Any]) -> AnnealTrainer:
        """The trainer. `options` are the arguments that all trainers take: model, datasets, tokenizer, rules; and
        `arguments`, the fields of the method's TRL configuration that all methods share."""

    def load_model(self, folder: Path, dtype: torch.dtype, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """The weights of a model folder in the architecture that the method trains."""
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)

    def outputs(self, trainer: AnnealTrainer) -> tuple[dict, dict]:
        """Further outputs and entries of the summary of a finished run."""
        return {}, {}
