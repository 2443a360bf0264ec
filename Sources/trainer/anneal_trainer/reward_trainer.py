"""Trainers of reward models, over transformers' own: TRL's has one of the four losses, and a head of one number."""

from __future__ import annotations

from typing import Any

import torch
from peft import get_peft_model
from transformers import Trainer, TrainingArguments

from .aligner_names import AlignerNames
from .arguments import configured
from .pair_run import PairRun, summed
from .preference_tokens import PairCollator
from .request import TrainRequest
from .reward_losses import PAIR_LOSSES, squared_errors
from .reward_statistics import reward_statistics
from .reward_tokens import LabelledCollator
from .trainer import AnnealTrainer


class RewardRun(AnnealTrainer, Trainer):
    """What both sorts of reward model share."""

    def __init__(self, *, peft_config: Any, **options: Any):
        if peft_config is not None:
            options["model"] = get_peft_model(options["model"], peft_config)
        if options["request"].lora and options["request"].gradient_checkpointing:
            options["model"].enable_input_require_grads()
        # Where TRL's trainers collect metrics; AnnealTrainer empties it.
        self._metrics: dict[str, dict] = {"train": {}, "eval": {}}
        super().__init__(**options)

    def scores(self, model: Any, inputs: dict) -> torch.Tensor:
        """The head's numbers at each text's last token, of shape [texts, numbers]."""
        return model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits.float()


class PairRewardRun(AlignerNames, PairRun, RewardRun):
    """Reward models that learn which of two responses is the better."""

    #: `squares` over both sides.
    SUMS = ("pairs", "loss", "acc", "chosen", "rejected", "squares")

    def pair_loss(self, model: Any, inputs: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of a micro-batch, and the sums of `SUMS` over its pairs."""
        settings = self.request.settings
        chosen, rejected = self.scores(model, inputs)[:, 0].chunk(2)
        margin = settings.reward_scale * (inputs["rewards"][0] - inputs["rewards"][1])
        losses = PAIR_LOSSES[settings.loss](chosen - rejected, margin)
        with torch.no_grad():
            squares = chosen.double() ** 2 + rejected.double() ** 2
            sums = summed(torch.ones_like(chosen), losses, chosen > rejected, chosen, rejected, squares)
        return losses.mean(), sums

    def count(self, inputs: dict) -> tuple[int, torch.Tensor]:
        return inputs["input_ids"].shape[0] // 2, inputs["attention_mask"].sum()

    def pair_metrics(self, means: dict[str, float], pairs: float) -> dict[str, float]:
        """NeMo-Aligner's metrics of scores; `weights` is how many pairs they are means of."""
        return {"loss": means["loss"], "acc": means["acc"], "weights": pairs, **reward_statistics(means, pairs)}


class RegressionRun(AlignerNames, RewardRun):
    """The loss is Σ (score − label)² over the global batch's known labels, divided by their number."""

    def compute_loss(
        self, model: Any, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        errors, _ = squared_errors(self.scores(model, inputs), inputs["labels"])
        # The processes' gradients are averaged, and each has its part of the sum only.
        return errors * self.accelerator.num_processes / num_items_in_batch.clamp(min=1)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor:
        """The known labels of the global batch, over all processes."""
        known = sum(self.count(inputs)[1] for inputs in batch_samples)
        return torch.tensor(self.over_ranks(known, "sum"), device=device)

    def count(self, inputs: dict) -> tuple[int, int]:
        known = squared_errors(torch.zeros_like(inputs["labels"]), inputs["labels"])[1]
        return inputs["labels"].shape[0], int(known)

    def log_words(self, values: dict[str, float]) -> str:
        return f"{values['train/global_valid_toks']} labels"

    def validation_batch(self, rows: list[dict]) -> tuple[dict[str, float], float]:
        inputs = self._prepare_inputs(self.data_collator(rows))
        errors, known = squared_errors(self.scores(self.model, inputs), inputs["labels"])
        return {"loss": float(errors) / max(int(known), 1)}, float(known)

    def validation_result(self, means: dict[str, float], weight: float) -> dict[str, float]:
        return {"val_loss": means["loss"], **means}


def build(request: TrainRequest, options: dict[str, Any]) -> RewardRun:
    """The trainer; what `options` holds is told at `loading.build_trainer`."""
    arguments = configured(
        TrainingArguments,
        request.args,
        **options.pop("arguments"),
        remove_unused_columns=False,
    )
    pad_id = options["processing_class"].pad_token_id
    if request.settings.loss == "regression":
        return RegressionRun(args=arguments, data_collator=LabelledCollator(pad_id), **options)
    return PairRewardRun(args=arguments, data_collator=PairCollator(pad_id), **options)
