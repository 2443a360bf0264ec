"""NeMo-Aligner's names of what preference training and reward models measure, beside those that all methods have."""

from __future__ import annotations

from .trainer import AnnealTrainer


class AlignerNames(AnnealTrainer):
    """`train/` has `consumed_samples` (pairs or texts, as the global batch counts them) and `step_time` (seconds) too;
    a validation stands under `val/` as well, with `validation_step_time` (seconds). Inherited before the trainer."""

    def further_names(self, seconds: float) -> dict[str, float]:
        consumed = self.state.global_step * self.request.global_batch_size
        return {"train/consumed_samples": consumed, "train/step_time": seconds}

    def further_validation_names(self, found: dict[str, float], seconds: float) -> dict[str, float]:
        step = self.state.global_step
        values = {name: value for name, value in found.items() if not name.startswith("val_")}
        values |= {"epoch": self.rules.epoch(step), "consumed_samples": step * self.request.global_batch_size}
        return {f"val/{name}": value for name, value in (values | {"validation_step_time": seconds}).items()}
