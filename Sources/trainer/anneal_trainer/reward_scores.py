"""The validation pairs with their scores, as records that `evaluate` grades: was the chosen response chosen?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from . import durable
from .preference_data import PreferencePair, Response

if TYPE_CHECKING:
    from .reward_trainer import PairRewardRun

FILE_NAME = "scores.jsonl"


def write_scores(trainer: PairRewardRun, pairs: list[PreferencePair], folder: Path) -> dict:
    """Write a line for each pair that was not too long; returns how outputs.json names the file. All processes call it.

    `generation` is the side of the higher score (`tie` where there is none), and `expected_answer` is always `chosen`.
    """
    dataset = trainer.eval_dataset
    scores = score_pairs(trainer)
    path = folder / FILE_NAME
    if trainer.is_world_process_zero():
        by_line = {pair.line: pair for pair in pairs}
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            for line, (chosen, rejected) in zip(dataset["line"], scores, strict=True):
                file.write(json.dumps(record_of(by_line[line], chosen, rejected), ensure_ascii=False) + "\n")
        durable.sync_tree(folder)
    return {"type": "dataset", "path": str(path), "format": "generations", "rows": len(dataset)}


def record_of(pair: PreferencePair, chosen: float, rejected: float) -> dict:
    """One line of the file."""
    return {
        "line": pair.line,
        "chosen": said(pair.chosen),
        "rejected": said(pair.rejected),
        "chosen_score": chosen,
        "rejected_score": rejected,
        "generation": "chosen" if chosen > rejected else "rejected" if chosen < rejected else "tie",
        "expected_answer": "chosen",
    }


def said(response: Response) -> str | list[dict]:
    """A response with its prompt: messages, or one text."""
    return response.messages if response.messages is not None else (response.prompt or "") + (response.text or "")


def score_pairs(trainer: PairRewardRun) -> list[tuple[float, float]]:
    """The scores of both sides of each validation pair."""
    size, found = trainer.request.validation_batch_size, []
    trainer.model.eval()
    with torch.no_grad(), trainer.accelerator.autocast():
        for start in range(0, len(trainer.eval_dataset), size):
            rows = trainer.eval_dataset.select(range(start, min(start + size, len(trainer.eval_dataset)))).to_list()
            inputs = trainer._prepare_inputs(trainer.data_collator(rows))
            sides = trainer.scores(trainer.model, inputs)[:, 0].view(2, -1)
            found += zip(*sides.tolist(), strict=True)
    return found
