"""The frozen reference of preference training: the start's copy, another model, or the model without its adapters."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from . import durable, micro_batches
from .causal_lm import load_causal_lm
from .errors import counted
from .request import TrainRequest
from .response_log_probs import response_log_probs

if TYPE_CHECKING:
    from datasets import Dataset

    from .preference_trainer import PairTrainer

#: The folder beside the checkpoints where precomputed log-probabilities lie for all attempts of the job.
FOLDER_NAME = "reference"


def load_reference(request: TrainRequest, bf16: bool, cache: ReferenceCache | None) -> PreTrainedModel | None:
    """The reference as a model of its own; None where adapters switched off are it, or its numbers are known already.

    It computes in the precision of the policy, so that an untrained policy equals it to the last bit.
    """
    named = request.settings.reference
    if (request.lora and named is None) or (cache is not None and cache.is_complete):
        return None
    folder = named or request.model
    dtype = torch.bfloat16 if bf16 and request.lora else torch.float32
    return load_causal_lm(folder, dtype, "/reference" if named else "/model").requires_grad_(False)


def reference_pass(trainer: PairTrainer, model: Any, inputs: dict) -> torch.Tensor:
    """The reference's Σ log π over each response's tokens, as `response_log_probs` orders them: without dropout or
    gradient."""
    with torch.no_grad():
        if trainer.ref_model is not None:
            trainer.ref_model.eval()
            return response_log_probs(trainer.ref_model, inputs)
        with without_dropout(model), without_adapters(trainer):
            return response_log_probs(model, inputs)


@contextlib.contextmanager
def without_dropout(model: torch.nn.Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextlib.contextmanager
def without_adapters(trainer: PairTrainer) -> Iterator[None]:
    """The model under its adapters."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not isinstance(model, PeftModel):
        raise RuntimeError("a model without adapters has no reference inside it")
    with model.disable_adapter():
        yield


@dataclass
class ReferenceCache:
    """Log-probabilities of the reference for each pair of the training and the validation set, kept in a file each, of
    shape [pairs, 2] in the order of the dataset's rows.

    A file is named for what it was computed from, so numbers of other data or another reference are never taken.
    """

    folder: Path
    #: Dataset (`train`, `eval`) → its file's name.
    names: dict[str, str]

    @classmethod
    def open(cls, request: TrainRequest, job_folder: str, bf16: bool, datasets: dict[str, Dataset]) -> ReferenceCache:
        """The cache of a job, with the names that its data and its reference give."""
        model = model_identity(request.settings.reference or request.model)
        names = {name: f"{fingerprint(data, model, bf16)}.safetensors" for name, data in datasets.items()}
        return cls(Path(job_folder) / FOLDER_NAME, names)

    @property
    def is_complete(self) -> bool:
        """Whether nothing has to be computed."""
        return all((self.folder / name).is_file() for name in self.names.values())

    def of(self, trainer: PairTrainer, dataset: Dataset, name: str) -> list:
        """A dataset's log-probabilities, [chosen, rejected] for each pair or a list of such for each pack: read, or else
        computed and written."""
        path = self.folder / self.names[name]
        known = path.is_file()
        trainer.accelerator.wait_for_everyone()
        if known:
            return by_row(load_file(path)["log_probs"], dataset)
        found = compute(trainer, dataset)
        if trainer.accelerator.is_main_process:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"tmp_{path.name}")
            save_file({"log_probs": found}, temporary)
            temporary.rename(path)
            durable.sync_folder(self.folder)
            trainer.say(f"computed the reference's log-probabilities of {counted(len(found), 'pair')}")
        trainer.accelerator.wait_for_everyone()
        return by_row(found, dataset)


def compute(trainer: PairTrainer, dataset: Dataset) -> torch.Tensor:
    """The log-probabilities of all pairs, of shape [pairs, 2]. Each process takes every n-th batch; one that has none left
    computes the last one again without keeping it, because sharded models must all take part."""
    world, counts = trainer.accelerator.num_processes, pair_counts(dataset)
    first = [0, *itertools.accumulate(counts)]
    batches = batches_of(trainer, dataset)
    found = torch.zeros(first[-1], 2, device=trainer.accelerator.device)
    with trainer.accelerator.autocast():
        for start in range(0, len(batches), world):
            mine = start + trainer.accelerator.process_index
            places = batches[min(mine, len(batches) - 1)]
            inputs = trainer._prepare_inputs(trainer.data_collator(dataset.select(places).to_list()))
            log_probs = reference_pass(trainer, trainer.model, inputs).view(2, -1).T
            if mine < len(batches):
                found[[pair for place in places for pair in range(first[place], first[place + 1])]] = log_probs
    return trainer.accelerator.reduce(found, "sum").cpu() if world > 1 else found.cpu()


def batches_of(trainer: PairTrainer, dataset: Dataset) -> list[list[int]]:
    """The places of the rows that are computed together: as many as a micro-batch has, or as its budget of tokens takes."""
    rule, size = trainer.request.batching.dynamic, trainer.args.per_device_train_batch_size
    if rule is not None:
        lengths = [max(len(ids) for ids in both) for both in dataset["input_ids"]]
        return micro_batches.divide(lengths, rule, sequences=2)
    return [list(range(start, min(start + size, len(dataset)))) for start in range(0, len(dataset), size)]


def pair_counts(dataset: Dataset) -> list[int]:
    """How many pairs each row of a dataset of pairs, or of packs of them, has."""
    if "seq_lengths" not in dataset.column_names:
        return [1] * len(dataset)
    return [len(lengths) // 2 for lengths in dataset["seq_lengths"]]


def by_row(log_probs: torch.Tensor, dataset: Dataset) -> list:
    """Numbers of shape [pairs, 2] as a list of one entry for each row of a dataset."""
    if "seq_lengths" not in dataset.column_names:
        return log_probs.tolist()
    return [part.tolist() for part in log_probs.split(pair_counts(dataset))]


def fingerprint(dataset: Dataset, model: list, bf16: bool) -> str:
    """SHA-256 over the tokens of the pairs, the reference's files and the precision."""
    digest = hashlib.sha256(json.dumps([model, bf16]).encode())
    for row in dataset:
        digest.update(json.dumps([row["input_ids"], row["labels"]]).encode())
    return digest.hexdigest()


def model_identity(folder: Path) -> list:
    """A model folder's place and files with their sizes and times of change."""
    files = [(path.name, path.stat()) for path in folder.iterdir() if path.is_file()]
    return [str(folder), sorted((name, found.st_size, found.st_mtime_ns) for name, found in files)]
