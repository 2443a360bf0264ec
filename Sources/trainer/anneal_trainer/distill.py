"""Distillation: its parameters, its teacher, its data. No torch until a run begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import model_folder
from .errors import BadRequest, Problem
from .lengths import hash_of_file, hash_of_tokenizer
from .method import Samples
from .sft import SupervisedFineTuning
from .teacher_logits import Provenance, TeacherLogits

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .fields import Fields
    from .job import Job
    from .trainer import AnnealTrainer

#: torch's names of the types that a teacher can be held in.
DTYPES = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True)
class DistillationSettings:
    """What only distillation has. Weights multiply the means over all tokens with loss of the global batch."""

    teacher: Path | None
    teacher_logits: Path | None
    validation_logits: Path | None
    teacher_dtype: str
    kl_type: str
    #: Weight of the forward part where `kl_type` is `mixed`.
    mixed_kl_weight: float
    kl_weight: float
    #: The teacher's logits that are compared; None takes all.
    topk: int | None
    zero_outside_topk: bool
    temperature: float
    cosine_weight: float
    #: The teacher's layer (from 1) for each of the student's; None spreads them evenly.
    layer_map: list[int] | None
    sft_weight: float
    only_final_turn: bool
    on_policy: bool
    max_new_tokens: int
    rollout_temperature: float


class Distillation(SupervisedFineTuning):
    """The student learns the teacher's distribution of each token that the assistant writes."""

    metrics = ("val_loss", "val_kl_forward", "val_kl_reverse", "train_loss")

    @classmethod
    def parse(cls, params: Fields, body: Fields, job: Job) -> DistillationSettings:
        places = {name: body.text(name, None) for name in ("teacher", "teacher_logits", "validation_logits")}
        paths = {name: job.input_path(f"/{name}", value) if value else None for name, value in places.items()}
        topk = params.integer("topk", 64, minimum=1)
        if "topk" in params.values and params.values["topk"] is None:
            topk = None
        settings = DistillationSettings(
            **paths,
            teacher_dtype=DTYPES[params.choice("teacher_dtype", "auto", tuple(DTYPES))],
            kl_type=params.choice("kl_type", "mixed", ("forward", "reverse", "mixed")),
            mixed_kl_weight=params.number("mixed_kl_weight", 0.5, 0, below=1 + 1e-9),
            kl_weight=params.number("kl_weight", 1, 0),
            topk=topk,
            zero_outside_topk=params.flag("zero_outside_topk", False),
            temperature=params.number("temperature", 1, 0, above=True),
            cosine_weight=params.number("cosine_weight", 0, 0),
            layer_map=params.take("layer_map", None, check_layers),
            sft_weight=params.number("sft_weight", 0, 0),
            only_final_turn=params.flag("only_final_turn", False),
            on_policy=params.flag("on_policy", False),
            max_new_tokens=params.integer("max_new_tokens", 256, minimum=1),
            rollout_temperature=params.number("rollout_temperature", 1, 0, above=True),
        )
        check_together(settings, params, body)
        return settings

    def read(self) -> None:
        super().read()
        settings = self.request.settings
        if settings.teacher is not None:
            model_folder.read_config(settings.teacher, "/teacher")
        if settings.teacher_logits is not None and self.request.validation and not settings.validation_logits:
            raise BadRequest.at("/validation_logits", "is required: the validation data need recorded logits too")

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[Samples, Samples | None]:
        from .teacher import same_vocabulary

        request, settings = self.request, self.request.settings
        if settings.teacher is not None:
            same_vocabulary(tokenizer, settings.teacher, "/teacher")
        samples, validation = super().tokenize(tokenizer, limit)
        self.logits = self.validation_logits = None
        if settings.teacher_logits is not None:
            self.logits = self.recorded(settings.teacher_logits, "/teacher_logits", request.dataset, samples)
            if validation is not None:
                place = settings.validation_logits
                self.validation_logits = self.recorded(place, "/validation_logits", request.validation, validation)
        if settings.on_policy:
            samples.tokens = None
        return samples, validation

    def recorded(self, path: Path, pointer: str, data: Path, samples: Samples) -> TeacherLogits:
        """The recorded logits, which must be those of the samples."""
        request, settings = self.request, self.request.settings
        found = TeacherLogits(path, pointer)
        found.check(
            Provenance(
                dataset_sha256=hash_of_file(data),
                tokenizer_sha256=hash_of_tokenizer(request.model, request.chat_template),
                only_final_turn=settings.only_final_turn,
                records=found.provenance.records,
                topk=settings.topk or found.provenance.topk,
            )
        )
        for records, wanted in zip(samples.dataset["record"], samples.tokens, strict=True):
            members = records if isinstance(records, list) else [records]
            if wanted != sum(map(found.positions, members)):
                detail = "lack samples of this length; record them with the job's max_length or more"
                raise BadRequest.at(pointer, f"the teacher logits {detail}")
        return found

    def build(self, options: dict[str, Any]) -> AnnealTrainer:
        from .distill_trainer import build

        return build(self, options)


def check_layers(value: Any) -> str | None:
    """What is wrong with a layer map."""
    numbers = isinstance(value, list) and value and all(type(layer) is int and layer > 0 for layer in value)
    return None if numbers else "must be a list of the teacher's layers, from 1, one for each of the model's"


def check_together(settings: DistillationSettings, params: Fields, body: Fields) -> None:
    """Note what the keys say against each other."""
    if (settings.teacher is None) == (settings.teacher_logits is None):
        body.problem("teacher", "needs either 'teacher', a model, or 'teacher_logits', recorded ones")
    if settings.validation_logits is not None and settings.teacher_logits is None:
        body.problem("validation_logits", "stands only with 'teacher_logits'")
    if settings.teacher_logits is not None:
        for key, wanted in (("on_policy", settings.on_policy), ("cosine_weight", settings.cosine_weight)):
            if wanted:
                params.problem(key, "needs a live teacher: give 'teacher' instead of 'teacher_logits'")
    if settings.on_policy:
        if params.values.get("packing"):
            params.problem("on_policy", "excludes packing: what the model writes is not known before")
        if settings.sft_weight:
            params.problem("sft_weight", "has no meaning on-policy: the answers are the model's own")
    if not settings.kl_weight + settings.cosine_weight + settings.sft_weight:
        detail = "one of kl_weight, cosine_weight and sft_weight must be above 0"
        params.problems.append(Problem(detail, "/params/kl_weight"))
