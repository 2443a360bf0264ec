"""The same fine-tuning by TRL alone, without Anneal: what Anneal's training is measured against.

`python bare_sft.py SETTINGS` reads {model, dataset, params, arguments, out, bf16} and writes {losses, seconds_by_step, tokens_by_step} to `out`.
Tokens and labels come from Anneal's tokenisation, so that both trainings see the same numbers; model, trainer, optimizer and loop are
TRL's and transformers' own.
"""

from __future__ import annotations

import json
import pathlib
import sys
import time

import torch
from datasets import Dataset
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from anneal_trainer.chat_tokens import ChatTokenizer
from anneal_trainer.data import read_conversations
from anneal_trainer.loading import end_token_ids


class InOrder(SFTTrainer):
    """Takes the samples as they stand in the file."""

    def _get_train_sampler(self, dataset=None):
        return SequentialSampler(self.train_dataset)


class Clock(TrainerCallback):
    """When each step ended; the device is waited for, as a loss that is logged each step does anyway."""

    def __init__(self):
        self.ends: list[float] = []

    def on_train_begin(self, *_, **__):
        self.note()

    def on_step_end(self, *_, **__):
        self.note()

    def note(self):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.monotonic())


def main(path: str) -> None:
    settings = json.loads(pathlib.Path(path).read_text())
    params, model_folder = settings["params"], pathlib.Path(settings["model"])
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    chat = ChatTokenizer(tokenizer, False, end_token_ids(model_folder))
    tokens = chat.tokenize(read_conversations(pathlib.Path(settings["dataset"]), "/dataset"), params["max_length"])
    dataset = Dataset.from_dict({"input_ids": tokens.input_ids, "labels": tokens.labels})
    micro, batch, steps = params["micro_batch_size"], params["global_batch_size"], params["max_steps"]
    arguments = SFTConfig(
        output_dir=settings["out"] + ".d", max_steps=steps, per_device_train_batch_size=micro,
        gradient_accumulation_steps=batch // micro, learning_rate=params["learning_rate"], weight_decay=params["weight_decay"],
        adam_beta1=0.9, adam_beta2=0.98, adam_epsilon=1e-5, max_grad_norm=1.0, lr_scheduler_type="constant", warmup_steps=0,
        bf16=settings["bf16"], use_cpu=not torch.cuda.is_available(), logging_steps=1, logging_nan_inf_filter=False, save_strategy="no",
        report_to="none", disable_tqdm=True, seed=42, max_length=None, dataset_kwargs={"skip_prepare_dataset": True},
        gradient_checkpointing=False, dataloader_pin_memory=torch.cuda.is_available(), **settings["arguments"],
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    clock = Clock()
    trainer = InOrder(model=model, args=arguments, train_dataset=dataset, processing_class=tokenizer, callbacks=[clock])
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    learned = [sum(label != -100 for label in labels[1:]) for labels in tokens.labels[: steps * batch]]
    by_step = [sum(learned[step * batch : (step + 1) * batch]) for step in range(steps)]
    seconds = [after - before for before, after in zip(clock.ends, clock.ends[1:], strict=False)]
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    found = {"losses": losses, "seconds_by_step": seconds, "tokens_by_step": by_step, "peak_bytes": peak, "optimizer": str(arguments.optim)}
    pathlib.Path(settings["out"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
