"""The distillation trainer: Anneal's loop over TRL's SFTTrainer, with the loss of distillation_loss.py.

TRL's DistillationTrainer is for on-policy distillation by a generalised Jensen-Shannon divergence; it has no top-k
logits, no recorded teacher and no hidden states, which is why the loss is made here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from . import distillation_loss
from .chat_tokens import IGNORED
from .errors import BadRequest
from .student_answers import answers, with_answers
from .sft_trainer import SFTRun, collator, configuration
from .teacher import load_teacher
from .teacher_logits import TeacherLogits

if TYPE_CHECKING:
    from .distill import Distillation


class DistillRun(SFTRun):
    """The loss is Σ over the global batch's tokens with loss of

        kl_weight · T² · KL + cosine_weight · (1 − cos) + sft_weight · (−log p_S of the data's token)

    divided by their number over all micro-batches and ranks. T² keeps the size of the gradients at any temperature
    (Hinton et al. 2015).
    """

    def __init__(self, *, method: Distillation, **options: Any):
        self.settings = method.request.settings
        self.recorded = method.logits, method.validation_logits
        super().__init__(**options)
        self.teacher = None
        if self.settings.teacher is not None:
            self.teacher = load_teacher(self.settings.teacher, self.settings.teacher_dtype, "/teacher")
        self.layers = self.layer_pairs() if self.settings.cosine_weight else []

    def layer_pairs(self) -> list[tuple[int, int]]:
        """Layers of student and teacher, both from 1, whose outputs are compared."""
        ours, theirs = (model.config.get_text_config() for model in (self.model, self.teacher))
        if ours.hidden_size != theirs.hidden_size:
            detail = f"compares hidden states, and they have {ours.hidden_size} and {theirs.hidden_size} dimensions"
            raise BadRequest.at("/params/cosine_weight", detail)
        students, teachers = ours.num_hidden_layers, theirs.num_hidden_layers
        layers = self.settings.layer_map or distillation_loss.layer_map(students, teachers)
        if len(layers) != students or max(layers) > teachers:
            detail = f"must name {students} layers, one for each of the model's, of the teacher's {teachers}"
            raise BadRequest.at("/params/layer_map", detail)
        return list(enumerate(layers, start=1))

    def reset_step(self) -> None:
        super().reset_step()
        self.step_sums: dict[str, torch.Tensor | float] = {}

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "record" not in self._signature_columns:
            self._signature_columns.append("record")

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list, Any]:
        """The micro-batches of a step; on-policy their last answers are the student's own, written now."""
        batches, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not self.settings.on_policy:
            return batches, count
        batches = [self.on_policy(batch) for batch in batches]
        return batches, self._get_num_items_in_batch(batches, device)

    def on_policy(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The batch with the student's answers in place of the last ones of the data."""
        settings, tokenizer = self.settings, self.processing_class
        model = self.accelerator.unwrap_model(self.model)
        sharded = self.is_fsdp_enabled and self.accelerator.num_processes > 1
        prompts, written = answers(
            model, batch, tokenizer, self.end_ids, settings.max_new_tokens, settings.rollout_temperature, sharded
        )
        return with_answers(prompts, written, tokenizer.pad_token_id, batch["input_ids"].device)

    def compute_loss(
        self, model: Any, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The share of one micro-batch in the loss of the step."""
        sums, count = self.terms(model, inputs, self.recorded[0])
        for name, value in sums.items():
            self.step_sums[name] = self.step_sums.get(name, 0.0) + value.detach()
        divisor = count if num_items_in_batch is None else num_items_in_batch
        loss = sums["loss"] / torch.as_tensor(divisor).clamp(min=1)
        # The count is that of all ranks, and gradients are averaged over them.
        return loss * self.accelerator.num_processes if num_items_in_batch is not None else loss

    def terms(self, model: Any, inputs: dict, recorded: TeacherLogits | None) -> tuple[dict[str, torch.Tensor], int]:
        """The sums over a batch's tokens with loss of the loss and of what it is made of, and the number of the tokens."""
        settings = self.settings
        options = {name: value for name, value in inputs.items() if name not in ("labels", "records")}
        options |= {"use_cache": False, "output_hidden_states": bool(self.layers)}
        targets = inputs["labels"][:, 1:]
        # As indices, which a GPU is waited for once to know; with a mask it would be at each use.
        places = (targets != IGNORED).nonzero(as_tuple=True)
        outputs = model(**options)
        student = outputs.logits[:, :-1][places].float()
        if recorded is None:
            with torch.no_grad():
                taught = self.teacher(**options)
            size = min(student.shape[-1], taught.logits.shape[-1])
            # Rows beyond the common vocabulary are padding of the larger matrix.
            student = student[:, :size]
            logits, tokens = distillation_loss.top_logits(taught.logits[:, :-1][places][:, :size].float(), settings.topk)
        else:
            count = settings.topk or recorded.provenance.topk
            logits, tokens = (part.to(student.device) for part in recorded.of(inputs["records"].tolist(), count))
        forward, reverse = distillation_loss.divergences(
            student, logits, tokens, settings.temperature, settings.zero_outside_topk
        )
        kl = distillation_loss.blend(forward, reverse, settings.kl_type, settings.mixed_kl_weight)
        loss = settings.kl_weight * settings.temperature**2 * kl
        found = {"kl_forward": forward, "kl_reverse": reverse}
        if self.layers:
            found["cosine"] = distillation_loss.hidden_distance(
                [outputs.hidden_states[ours][:, :-1][places] for ours, _ in self.layers],
                [taught.hidden_states[theirs][:, :-1][places] for _, theirs in self.layers],
            )
            loss = loss + settings.cosine_weight * found["cosine"]
        if settings.sft_weight:
            found["sft_loss"] = cross_entropy(student, targets[places], reduction="none")
            loss = loss + settings.sft_weight * found["sft_loss"]
        with torch.no_grad():
            found["entropy"] = distillation_loss.entropy(student)
        return {name: value.sum() for name, value in (found | {"loss": loss}).items()}, len(student)

    def step_values(self) -> dict[str, float]:
        """The parts of the loss, means over the step's tokens with loss."""
        tokens = max(1.0, self.over_ranks(self.step_tokens, "sum"))
        names = [name for name in self.step_sums if name != "loss"]
        return {f"train/{name}": self.over_ranks(self.step_sums[name], "sum") / tokens for name in names}

    def log_words(self, values: dict[str, float]) -> str:
        kl = f"kl_forward {values['train/kl_forward']:.4f}  kl_reverse {values['train/kl_reverse']:.4f}"
        return f"{kl}  {super().log_words(values)}"

    def validation_batch(self, rows: list[dict]) -> tuple[dict[str, float], float]:
        inputs = self._prepare_inputs(self.data_collator(rows))
        sums, count = self.terms(self.model, inputs, self.recorded[1])
        return {f"val_{name}": float(value) / max(1, count) for name, value in sums.items()}, float(count)


class RecordCollator:
    """Adds to the batches of another collator the numbers of their records, row by row, as `records`."""

    def __init__(self, collate: Any):
        self.collate = collate

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        batch = self.collate(rows)
        records = [row["record"] if isinstance(row["record"], list) else [row["record"]] for row in rows]
        batch["records"] = torch.tensor([record for each in records for record in each])
        return batch


def build(method: Distillation, options: dict[str, Any]) -> DistillRun:
    """The trainer; what `options` holds is told at `loading.build_trainer`."""
    from .loading import end_token_ids

    collate = collator(method.request, options)
    trainer = DistillRun(
        method=method, args=configuration(method.request, options.pop("arguments")), **options, data_collator=collate
    )
    trainer.data_collator = RecordCollator(trainer.data_collator)
    trainer.end_ids = sorted({*end_token_ids(method.request.model), trainer.processing_class.eos_token_id} - {None})
    return trainer
