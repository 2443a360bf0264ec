"""Reward models: a language model with a head that scores a response. Parameters, data, trainer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import PROBLEMS_MAX, BadData, Problem, counted
from .method import Method, Samples
from .preference import check_batch
from .reward_data import read_labelled, read_reward_pairs

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from .fields import Fields
    from .job import Job
    from .preference_data import PreferencePair
    from .request import TrainRequest
    from .trainer import AnnealTrainer

LOSSES = ("bradley_terry", "margin", "scaled", "regression")


@dataclass(frozen=True)
class RewardSettings:
    """What only reward models have."""

    #: NeMo-Aligner's `loss_func`: regular_bt, margin_bt, scaled_bt, regression.
    loss: str
    #: The margin is this × the difference between the rewards of the data.
    reward_scale: float
    default_chosen_reward: float
    default_rejected_reward: float
    #: Where the scores of the validation pairs are written.
    output_dir: Path


class RewardModelling(Method):
    """Scores the chosen response above the rejected one, or predicts the numbers of the data."""

    metrics = ("val_loss", "val_acc", "train_loss")
    defaults = {"global_batch_size": 64, "learning_rate": 9e-6}
    task_type = "SEQ_CLS"

    @classmethod
    def parse(cls, params: Fields, body: Fields, job: Job) -> RewardSettings:
        settings = RewardSettings(
            loss=params.choice("loss", "bradley_terry", LOSSES),
            reward_scale=params.number("reward_scale", 1.0, 0),
            default_chosen_reward=params.number("default_chosen_reward", 1.0, -1e6),
            default_rejected_reward=params.number("default_rejected_reward", 0.0, -1e6),
            output_dir=job.output_dir,
        )
        checkpoint = body.values.get("checkpoint")
        ranked_by = checkpoint.get("metric") if isinstance(checkpoint, dict) else None
        if settings.loss == "regression" and ranked_by == "val_acc":
            params.problem("loss", "regression has no accuracy: rank checkpoints by val_loss")
        return settings

    @property
    def is_regression(self) -> bool:
        return self.request.settings.loss == "regression"

    def read(self) -> None:
        request, read = self.request, read_labelled if self.is_regression else read_reward_pairs
        self.records = read(request.dataset, "/dataset")
        self.validation = read(request.validation, "/validation") if request.validation else None
        if request.settings.loss in ("margin", "scaled"):
            check_margins(self.records, request, "/dataset")
            check_margins(self.validation or [], request, "/validation")
        if self.validation is not None:
            count = len(self.validation)
            check_batch(count, request, f"{request.validation.name} has {counted(count, 'record')}")

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.records), len(self.validation or ())

    @property
    def outputs_count(self) -> int:
        """How many numbers the head gives."""
        return len(self.records[0].labels) if self.is_regression else 1

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[Samples, Samples | None]:
        from .preference import tokenize_pairs
        from .reward_tokens import labelled_samples

        request = self.request
        if not self.is_regression:
            return tokenize_pairs(request, tokenizer, self.records, self.validation, limit)
        samples = labelled_samples(tokenizer, request.model, self.records, limit)
        if self.validation is None:
            return samples, None
        return samples, labelled_samples(tokenizer, request.model, self.validation, limit)

    def load_model(self, folder: Path, dtype: torch.dtype, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """The model without its language head, and with one that gives a score at the last token."""
        from transformers import AutoModelForSequenceClassification, set_seed
        from transformers.utils import logging

        # A head that the folder lacks is drawn at random.
        set_seed(self.request.seed)
        # transformers reports the head that is drawn, and the language head that is not used, as if something were wrong.
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=self.outputs_count, dtype=dtype, local_files_only=True
        )
        logging.set_verbosity(verbosity)
        # The last token is found by the padding after it.
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
        if self.is_regression:
            model.config.problem_type = "regression"
        return model

    def build(self, options: dict[str, Any]) -> AnnealTrainer:
        from .reward_trainer import build

        return build(self.request, options)

    def outputs(self, trainer: AnnealTrainer) -> tuple[dict, dict]:
        """`scores`: each validation pair with what the finished model thinks of it, as a benchmark can grade it."""
        if self.is_regression or self.validation is None:
            return {}, {}
        from .reward_scores import write_scores

        return {"scores": write_scores(trainer, self.validation, self.request.settings.output_dir)}, {}


def check_margins(pairs: list[PreferencePair], request: TrainRequest, pointer: str) -> None:
    """Refuse pairs whose rejected response has the higher reward: a margin below zero would teach the opposite."""
    settings, problems = request.settings, []
    for pair in pairs:
        chosen = settings.default_chosen_reward if pair.chosen_reward is None else pair.chosen_reward
        rejected = settings.default_rejected_reward if pair.rejected_reward is None else pair.rejected_reward
        if chosen < rejected:
            detail = f"the chosen response has a reward of {chosen:g}, and the rejected one of {rejected:g}"
            problems.append(Problem(detail, "/chosen_reward", pair.line))
    if problems:
        what = f"{len(problems)} pair(s) of {pointer} have a margin below zero, which loss '{settings.loss}' cannot use"
        raise BadData(f"{what}; the first: {problems[0]}", problems[:PROBLEMS_MAX])
