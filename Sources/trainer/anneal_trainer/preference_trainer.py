"""TRL's DPOTrainer with the losses, the metrics and the reference of NeMo-Aligner."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel
from trl import DPOConfig, DPOTrainer

from .aligner_names import AlignerNames
from .arguments import configured
from .chat_tokens import IGNORED
from .errors import BadRequest
from .packed_pairs import PackedPairCollator, response_tokens
from .packed_samples import pack_collator
from .pair_run import PairRun, summed
from .preference import PreferenceSettings
from .preference_losses import LOSSES
from .preference_tokens import PairCollator
from .reference import ReferenceCache, load_reference, reference_pass
from .request import TrainRequest
from .response_log_probs import response_log_probs
from .reward_statistics import reward_statistics


class PairTrainer(DPOTrainer):
    """TRL's trainer over pairs that are tokenised already. It computes log-probabilities without whole logits, and
    prepares model, adapters and reference."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        if isinstance(self.model, PeftModel) and "ref" in self.model.peft_config:
            # TRL takes adapters that are given to be a finished model and makes a copy of them the reference. Here
            # they are those of a run that is resumed, and its reference is the model without adapters.
            self.model.delete_adapter("ref")

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        """The dataset with a column `reference_log_probs`: the sums over the chosen and the rejected response of each pair,
        or of each pair of a pack."""
        return dataset.add_column("reference_log_probs", self.reference_cache.of(self, dataset, name))


class PreferenceRun(AlignerNames, PairRun, PairTrainer):
    """Preference training against a reference."""

    #: `squares` over both sides.
    SUMS = ("pairs", "preference_loss", "sft_loss", "acc", "chosen", "rejected", "squares")

    def __init__(self, *, reference_cache: ReferenceCache | None, **options: Any):
        self.reference_cache = reference_cache
        super().__init__(**options)
        if reference_cache is not None:
            # It has said all that is needed.
            self.ref_model = None

    @property
    def settings(self) -> PreferenceSettings:
        return self.request.settings

    def pair_loss(self, model: Any, inputs: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of a micro-batch, and the sums of `SUMS` over its pairs."""
        settings = self.settings
        reference = inputs.get("reference_log_probs")
        if reference is None:
            reference = reference_pass(self, model, inputs)
        policy = response_log_probs(model, inputs)
        tokens = response_tokens(inputs).clamp(min=1)

        ratio = policy - reference
        if settings.preference_average_log_probs:
            ratio = ratio / tokens
        chosen, rejected = ratio.chunk(2)
        gap = settings.reward_scale * (inputs["rewards"][0] - inputs["rewards"][1])
        preference = LOSSES[self.request.method](chosen - rejected, gap, settings.beta)
        likelihood = policy / tokens if settings.sft_average_log_probs else policy
        sft = -likelihood.chunk(2)[0]
        loss = settings.preference_loss_weight * preference.mean() + settings.sft_loss_weight * sft.mean()

        with torch.no_grad():
            right = chosen > rejected
            squares = chosen.double() ** 2 + rejected.double() ** 2
            sums = summed(torch.ones_like(chosen), preference, sft, right, chosen, rejected, squares)
        return loss, sums

    def count(self, inputs: dict) -> tuple[int, torch.Tensor]:
        return inputs["rewards"].shape[1], (inputs["response_labels"][:, 1:] != IGNORED).sum()

    def pair_metrics(self, means: dict[str, float], pairs: float) -> dict[str, float]:
        """NeMo-Aligner's metrics. Rewards are β r, as its documentation says; its code logs r, which stands here under
        `…_unscaled`."""
        settings, rewards = self.settings, reward_statistics(means, pairs)
        loss = settings.preference_loss_weight * means["preference_loss"] + settings.sft_loss_weight * means["sft_loss"]
        return {
            "loss": loss,
            "preference_loss": means["preference_loss"],
            "sft_loss": means["sft_loss"],
            "acc": means["acc"],
            **{name: settings.beta * value for name, value in rewards.items()},
            **{f"{name}_unscaled": value for name, value in rewards.items()},
        }


def build(request: TrainRequest, options: dict[str, Any]) -> PreferenceRun:
    """The trainer; what `options` holds is told at `loading.build_trainer`."""
    if request.lora and "lm_head" in request.lora.target_modules:
        detail = "lm_head cannot have adapters here: log-probabilities are computed from its weights alone"
        raise BadRequest.at("/params/lora/target_modules", detail)
    settings, shared = request.settings, options.pop("arguments")
    cache = None
    if settings.precompute_reference:
        named = {"train": options["train_dataset"], "eval": options["eval_dataset"]}
        datasets = {name: dataset for name, dataset in named.items() if dataset is not None}
        cache = ReferenceCache.open(request, shared["output_dir"], shared["bf16"], datasets)
    arguments = configured(
        DPOConfig,
        request.args,
        **shared,
        max_length=None,
        remove_unused_columns=False,
        # Dropout is what the model and its adapters were given; the reference has none (see reference.py).
        disable_dropout=False,
        precompute_ref_log_probs=cache is not None,
    )
    reference = load_reference(request, shared["bf16"], cache)
    return PreferenceRun(
        args=arguments,
        reference_cache=cache,
        ref_model=reference,
        data_collator=collator(request, options, reference),
        **options,
    )


def collator(
    request: TrainRequest, options: dict[str, Any], reference: PreTrainedModel | None
) -> PairCollator | PackedPairCollator:
    """What makes batches of pairs, or of packs of them for a model and a reference that keep them apart."""
    pad_id = options["processing_class"].pad_token_id
    if request.batching.packing is None:
        return PairCollator(pad_id)
    models = [options["model"]] if reference is None else [options["model"], reference]
    return PackedPairCollator(pack_collator(models, pad_id))
