"""Preference training by pairs of responses (dpo, ipo and the rpo family): its parameters, its data, its trainer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import model_folder
from .errors import BadData, BadRequest, Problem, counted
from .method import Method, Samples
from .preference_data import PreferencePair, read_pairs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .fields import Fields
    from .job import Job
    from .request import TrainRequest
    from .trainer import AnnealTrainer


@dataclass(frozen=True)
class PreferenceSettings:
    """What only preference training has. NeMo-Aligner's names are in brackets where they differ."""

    #: The penalty on leaving the reference [ref_policy_kl_penalty].
    beta: float
    #: What rewards of the data are multiplied by [gt_reward_scale]; the rpo losses alone use them.
    reward_scale: float
    default_chosen_reward: float
    default_rejected_reward: float
    preference_loss_weight: float
    sft_loss_weight: float
    preference_average_log_probs: bool
    sft_average_log_probs: bool
    #: Compute the reference's log-probabilities once, before the first step, and then need no reference.
    precompute_reference: bool
    #: Another reference than the model that training starts from.
    reference: Path | None


class PreferenceTraining(Method):
    """Raises the chosen response's probability over the rejected one's, against a frozen reference."""

    has_batching = True
    metrics = ("val_loss", "val_acc", "train_loss")
    #: NeMo-Aligner's (gpt_dpo.yaml).
    defaults = {"global_batch_size": 64, "learning_rate": 9e-6}

    @classmethod
    def parse(cls, params: Fields, body: Fields, job: Job) -> PreferenceSettings:
        reference = body.text("reference", None)
        settings = PreferenceSettings(
            beta=params.number("beta", 0.2, 0, above=True),
            reward_scale=params.number("reward_scale", 1.0, 0),
            default_chosen_reward=params.number("default_chosen_reward", 1.0, -1e6),
            default_rejected_reward=params.number("default_rejected_reward", 0.0, -1e6),
            preference_loss_weight=params.number("preference_loss_weight", 1.0, 0),
            sft_loss_weight=params.number("sft_loss_weight", 0.0, 0),
            preference_average_log_probs=params.flag("preference_average_log_probs", False),
            sft_average_log_probs=params.flag("sft_average_log_probs", False),
            precompute_reference=params.flag("precompute_reference", False),
            reference=job.input_path("/reference", reference) if reference else None,
        )
        if settings.preference_loss_weight == settings.sft_loss_weight == 0:
            detail = "must not be 0 where sft_loss_weight is 0: nothing would be learned"
            params.problem("preference_loss_weight", detail)
        return settings

    def read(self) -> None:
        request = self.request
        check_reference(request)
        self.pairs = read_pairs(request.dataset, "/dataset")
        self.validation = read_validation(request)

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.pairs), len(self.validation or ())

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[Samples, Samples | None]:
        return tokenize_pairs(self.request, tokenizer, self.pairs, self.validation, limit)

    def build(self, options: dict[str, Any]) -> AnnealTrainer:
        from .preference_trainer import build

        return build(self.request, options)


def read_validation(request: TrainRequest) -> list[PreferencePair] | None:
    """The validation pairs, of which one global batch is needed, as NeMo-Aligner does."""
    if request.validation is None:
        return None
    pairs = read_pairs(request.validation, "/validation")
    check_batch(len(pairs), request, f"{request.validation.name} has {counted(len(pairs), 'pair')}")
    return pairs


def check_batch(count: int, request: TrainRequest, what: str) -> None:
    """Refuse validation data of fewer pairs than a global batch."""
    if count < request.global_batch_size:
        detail = f"{what}, and one global batch is {request.global_batch_size} (params.global_batch_size)"
        raise BadData(detail, [Problem(detail, "/validation")])


def check_reference(request: TrainRequest) -> None:
    """Refuse a reference that is no model, or reads other tokens than the model, before anything slow is loaded."""
    reference = request.settings.reference
    if reference is None:
        return
    sizes = [
        model_folder.read_config(folder, pointer).get("vocab_size")
        for folder, pointer in ((reference, "/reference"), (request.model, "/model"))
    ]
    if sizes[0] != sizes[1]:
        detail = f"the reference has a vocabulary of {sizes[0]} tokens, and the model one of {sizes[1]}"
        raise BadRequest.at("/reference", detail)


def tokenize_pairs(
    request: TrainRequest,
    tokenizer: PreTrainedTokenizerBase,
    pairs: list[PreferencePair],
    validation: list[PreferencePair] | None,
    limit: int,
) -> tuple[Samples, Samples | None]:
    """Training and validation pairs as samples; what is left for validation must still be a global batch."""
    from .loading import end_token_ids
    from .packed_samples import batched
    from .preference_tokens import DefaultRewards, PairTokenizer

    rewards = DefaultRewards(request.settings.default_chosen_reward, request.settings.default_rejected_reward)
    tokens = PairTokenizer(tokenizer, end_token_ids(request.model), rewards)
    lines = [pair.line for pair in pairs]
    samples = batched(request, "dpo", lines, lambda limit: tokens.samples(pairs, limit), limit)
    if tokens.endless and request.method != "reward":
        samples.notes.append(
            f"warning: {tokens.endless} response(s) that are text end without an end mark ({' or '.join(tokens.ends)}): "
            "text must carry the chat template already, or the model does not learn to stop"
        )
    if validation is None:
        return samples, None
    measured = tokens.samples(validation, limit)
    if measured.dropped_lines:
        what = f"{len(measured)} of {len(validation)} validation pairs are shorter than {limit} tokens"
        check_batch(len(measured), request, what)
    return samples, measured
