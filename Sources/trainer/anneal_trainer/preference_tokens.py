"""Preference pairs to token ids and labels, by the rules of supervised fine-tuning; batches of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from datasets import Dataset

from .chat_tokens import IGNORED, ChatTokenizer, end_texts
from .data import Conversation
from .errors import BadData, Problem, counted
from .method import Samples
from .preference_data import PreferencePair, Response, sides

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class DefaultRewards:
    """What a response is worth whose record does not say."""

    chosen: float
    rejected: float


class PairTokenizer:
    """Tokenises both sides of a pair. Only the last message, or the response's text, is learned."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, end_ids: list[int], rewards: DefaultRewards):
        self.tokenizer = tokenizer
        self.end_ids = end_ids
        self.rewards = rewards
        self.ends = tuple(end_texts(tokenizer, end_ids))
        #: Made when the first messages come: plain texts need no chat template.
        self.chat: ChatTokenizer | None = None
        #: How many responses that are text end without an end mark.
        self.endless = 0

    def samples(self, pairs: list[PreferencePair], limit: int) -> Samples:
        """The pairs of which both sides have fewer than `limit` tokens. Raises `BadData` with all that do not fit.

        Columns: `input_ids` and `labels`, each the chosen and the rejected list of tokens, `rewards`, both numbers, and
        the pair's `line`.
        """
        rows: dict[str, list] = {"input_ids": [], "labels": [], "rewards": [], "line": []}
        learned: list[int] = []
        dropped: list[int] = []
        problems: list[Problem] = []
        for pair in pairs:
            try:
                both = self.encode(pair)
            except BadData as error:
                problems += error.problems
                continue
            if max(len(ids) for ids, _ in both) >= limit:
                dropped.append(pair.line)
                continue
            rows["input_ids"].append([ids for ids, _ in both])
            rows["labels"].append([labels for _, labels in both])
            learned.append(sum(label != IGNORED for _, labels in both for label in labels[1:]))
            rows["rewards"].append(self.rewards_of(pair))
            rows["line"].append(pair.line)
        if problems:
            raise BadData(f"{counted(len(problems), 'pair')} cannot be tokenised; the first: {problems[0]}", problems)
        return Samples(Dataset.from_dict(rows), dropped, tokens=learned)

    def rewards_of(self, pair: PreferencePair) -> list[float]:
        """The rewards of the two responses, given or by default."""
        return [
            self.rewards.chosen if pair.chosen_reward is None else pair.chosen_reward,
            self.rewards.rejected if pair.rejected_reward is None else pair.rejected_reward,
        ]

    def encode(self, pair: PreferencePair) -> list[tuple[list[int], list[int]]]:
        """Ids and labels of the chosen and the rejected side; both must begin with the same prompt tokens."""
        found = []
        for key, response in sides(pair):
            try:
                found.append(self.encode_side(pair, response))
            except BadData as error:
                raise BadData(
                    error.message, [Problem(problem.detail, f"/{key}", pair.line) for problem in error.problems]
                ) from error
        prompts = [ids[: response_start(labels)] for ids, labels in found]
        if prompts[0] != prompts[1]:
            detail = "the prompt has other tokens before the chosen than before the rejected response"
            raise BadData(detail, [Problem(detail, f"/{pair.keys[1]}", pair.line)])
        return found

    def encode_side(self, pair: PreferencePair, response: Response) -> tuple[list[int], list[int]]:
        """Ids and labels of one side."""
        if response.messages is not None:
            if self.chat is None:
                self.chat = ChatTokenizer(self.tokenizer, only_final_turn=True, end_ids=self.end_ids)
            return self.chat.encode(Conversation(pair.line, response.messages, pair.tools))
        prompt = self.tokenizer(response.prompt, add_special_tokens=False)["input_ids"]
        whole = self.tokenizer(response.prompt + response.text, add_special_tokens=False)["input_ids"]
        if whole[: len(prompt)] != prompt or len(whole) == len(prompt):
            detail = (
                "the prompt's tokens are no prefix of the tokens of prompt and response: end the prompt where a token "
                "ends, as a chat template does, or give it as messages, which get the template"
            )
            raise BadData(detail, [Problem(detail)])
        self.endless += not response.text.rstrip().endswith(self.ends)
        return whole, [IGNORED] * len(prompt) + whole[len(prompt) :]


def response_start(labels: list[int]) -> int:
    """How many tokens come before the first that is learned."""
    return next(index for index, label in enumerate(labels) if label != IGNORED)


class PairCollator:
    """Batches of pairs: the chosen sides first, then the rejected ones, padded on the right.

    A batch of B pairs has `input_ids`, `attention_mask` and `response_labels` of shape [2B, length] and `rewards` of
    shape [2, B]; `reference_log_probs` of shape [2B] where the dataset has them.
    """

    def __init__(self, pad_id: int):
        self.pad_id = pad_id

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        ids = [row["input_ids"][side] for side in range(2) for row in rows]
        labels = [row["labels"][side] for side in range(2) for row in rows]
        batch = {
            "input_ids": padded(ids, self.pad_id),
            "attention_mask": padded([[1] * len(each) for each in ids], 0),
            "response_labels": padded(labels, IGNORED),
            "rewards": torch.tensor([row["rewards"] for row in rows], dtype=torch.float32).T.contiguous(),
        }
        if "reference_log_probs" in rows[0]:
            known = torch.tensor([row["reference_log_probs"] for row in rows], dtype=torch.float32)
            batch["reference_log_probs"] = known.T.reshape(-1)
        return batch


def padded(rows: list[list[int]], value: int) -> torch.Tensor:
    """Lists of token ids as one tensor, filled up on the right."""
    length = max(map(len, rows))
    return torch.tensor([row + [value] * (length - len(row)) for row in rows], dtype=torch.long)
