"""A reward that a trained reward model gives: a sequence classifier with one output, as the method `reward` trains
it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .errors import BadRequest
from .fields import Fields
from .job import Job
from .rewards import Response, Reward


class ModelReward(Reward):
    """The classifier's output for the conversation with the response as its last turn, by the classifier's chat
    template."""

    kind = "reward_model"
    needs_expected = False

    def __init__(self, name: str, weight: float, model: Path, batch_size: int, max_length: int, place: str):
        super().__init__(name, weight)
        self.path = model
        self.batch_size = batch_size
        self.max_length = max_length
        self.place = place
        self.model = None

    @classmethod
    def parse(cls, fields: Fields, name: str, weight: float, job: Job) -> Reward:
        return cls(
            name,
            weight,
            job.input_path(f"{fields.pointer}/model", fields.text("model", "", required=True)),
            fields.integer("batch_size", 8, minimum=1, maximum=65_536),
            fields.integer("max_length", 4096, minimum=2),
            fields.pointer,
        )

    def load(self) -> None:
        """Load the classifier, once, onto the device that training uses."""
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(self.path, local_files_only=True)
            self.model = AutoModelForSequenceClassification.from_pretrained(self.path, local_files_only=True)
        except (OSError, ValueError) as error:
            raise BadRequest.at(f"{self.place}/model", f"cannot load the reward model {self.path}: {error}") from error
        if self.model.config.num_labels != 1:
            detail = f"{self.path} has {self.model.config.num_labels} outputs, and a reward model has one"
            raise BadRequest.at(f"{self.place}/model", detail)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model.config.pad_token_id = self.tokenizer.pad_token_id
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
        self.model.eval().to(device)

    def score(self, responses: Sequence[Response]) -> list[float]:
        import torch

        if self.model is None:
            self.load()
        scores: list[float] = []
        for first in range(0, len(responses), self.batch_size):
            texts = [self.text(response) for response in responses[first : first + self.batch_size]]
            batch = self.tokenizer(
                texts,
                add_special_tokens=False,
                padding=True,
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            ).to(self.model.device)
            with torch.no_grad():
                scores += self.model(**batch).logits[:, 0].float().tolist()
        return scores

    def text(self, response: Response) -> str:
        messages = [*response.prompt.messages, {"role": "assistant", "content": response.text}]
        return self.tokenizer.apply_chat_template(messages, tokenize=False)
