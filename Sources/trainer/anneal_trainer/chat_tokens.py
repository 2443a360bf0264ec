"""A conversation to token ids and labels: the loss sees what the assistant writes, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .data import Conversation
from .errors import BadData, BadRequest, Problem, counted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: The label of a token that carries no loss (torch's and transformers' ignore_index).
IGNORED = -100

GENERATION_MARK = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")


@dataclass
class TokenizedData:
    """Tokenised samples, all shorter than the limit, and the lines of those that were not."""

    input_ids: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    dropped_lines: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.input_ids)


class ChatTokenizer:
    """Applies a tokenizer's chat template and finds the assistant's tokens.

    A template with {% generation %} marks says itself which text is the assistant's. Otherwise the rule is that of
    NeMo RL: a message's tokens are the difference between the template applied with it and without it. What a server
    would send as the prompt (the template with its generation prompt) is never part of the loss, and neither is white
    space after the end mark, so both ways give the same mask for the same text. The pieces are tokenised one by one,
    because that is where a server cuts between prompt and answer.

    Unlike NeMo RL no BOS is put before a template that has none: a server would not send it either.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, only_final_turn: bool, end_ids: Iterable[int] = ()):
        self.tokenizer = tokenizer
        self.only_final_turn = only_final_turn
        self.ends = end_texts(tokenizer, end_ids)
        self.marked = GENERATION_MARK.search(tokenizer.get_chat_template()) is not None

    def tokenize(self, records: list[Conversation], max_length: int) -> TokenizedData:
        """Tokenise all records. One of `max_length` tokens or more is left out, and its line is noted."""
        data = TokenizedData()
        problems: list[Problem] = []
        for record in records:
            try:
                input_ids, labels = self.encode(record)
            except BadData as error:
                problems += error.problems
                continue
            if len(input_ids) >= max_length:
                data.dropped_lines.append(record.line)
            else:
                data.input_ids.append(input_ids)
                data.labels.append(labels)
        if problems:
            count = counted(len(problems), "record")
            raise BadData(f"the chat template does not fit {count}; the first: {problems[0]}", problems)
        return data

    def encode(self, record: Conversation) -> tuple[list[int], list[int]]:
        """Token ids and labels of one conversation, both of the same length."""
        if self.marked:
            input_ids, mask = self.encode_marked(record, chat_template=None)
        else:
            try:
                input_ids, mask = self.encode_by_difference(record)
            except TurnsRewritten:
                input_ids, mask = self.encode_marked(record, chat_template=self.training_template(record))
        labels = [token if wanted else IGNORED for token, wanted in zip(input_ids, mask, strict=True)]
        # The first label is never predicted, so it does not count.
        if all(label == IGNORED for label in labels[1:]):
            raise bad_record(record, "has no token of the assistant's to learn from")
        return input_ids, labels

    def encode_marked(self, record: Conversation, chat_template: str | None) -> tuple[list[int], list[int]]:
        """Ids and mask where the template (the tokenizer's own, or the one given) marks what the assistant wrote."""
        encoded = self.apply(
            record,
            record.messages,
            chat_template=chat_template,
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        mask = list(encoded["assistant_masks"])
        if self.only_final_turn:
            mask = last_run(mask)
        return list(encoded["input_ids"]), mask

    def encode_by_difference(self, record: Conversation) -> tuple[list[int], list[int]]:
        """Ids and mask by comparing the template's text with and without each assistant message."""
        messages = record.messages
        turns = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
        wanted = turns[-1:] if self.only_final_turn else turns
        input_ids: list[int] = []
        mask: list[int] = []
        done = ""
        for index in wanted:
            full = self.render(record, messages[: index + 1])
            prompt = self.prompt_before(record, index, full)
            if not prompt.startswith(done):
                raise TurnsRewritten
            answer, after = self.split_at_end(full[len(prompt) :], is_last=index == len(messages) - 1)
            for text, learned in ((prompt[len(done) :], 0), (answer, 1), (after, 0)):
                ids = self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
                input_ids += ids
                mask += [learned] * len(ids)
            done = full
        return input_ids, mask

    def prompt_before(self, record: Conversation, index: int, full: str) -> str:
        """The text that a server would send to get message `index`; it must be a beginning of `full`."""
        if index == 0:
            return ""
        for generation_prompt in (True, False):
            prompt = self.render(record, record.messages[:index], add_generation_prompt=generation_prompt)
            if full.startswith(prompt):
                return prompt
        raise TurnsRewritten

    def split_at_end(self, answer: str, is_last: bool) -> tuple[str, str]:
        """Cut white space after the end mark off an answer. A last answer without an end mark gets the EOS token."""
        for end in self.ends:
            head, found, tail = answer.rpartition(end)
            if found and not tail.strip():
                return head + end, tail
        if is_last and self.tokenizer.eos_token:
            return answer.rstrip("\n") + self.tokenizer.eos_token, ""
        return answer, ""

    def training_template(self, record: Conversation) -> str:
        """TRL's marked version of a known template that rewrites earlier turns (Qwen3 drops their thoughts)."""
        from trl.chat_template_utils import get_training_chat_template

        try:
            template = get_training_chat_template(self.tokenizer)
        except ValueError:
            template = None
        if template is None:
            detail = (
                "the chat template changes earlier turns when later ones follow, so the assistant's tokens cannot be "
                "told; give params.chat_template with {% generation %} marks, or set only_final_turn"
            )
            raise bad_record(record, detail)
        return template

    def render(self, record: Conversation, messages: list[dict], add_generation_prompt: bool = False) -> str:
        return self.apply(record, messages, tokenize=False, add_generation_prompt=add_generation_prompt)

    def apply(self, record: Conversation, messages: list[dict], **options):
        """Apply the chat template; a template that refuses a conversation makes it bad data, not a crash."""
        from jinja2 import TemplateError, TemplateSyntaxError

        try:
            return self.tokenizer.apply_chat_template(messages, tools=record.tools, **options)
        except TemplateSyntaxError as error:
            raise BadRequest.at("/params/chat_template", f"the chat template is not valid Jinja: {error}") from error
        except (TemplateError, TypeError) as error:
            raise bad_record(record, f"the chat template refuses it: {error}") from error


def end_texts(tokenizer: PreTrainedTokenizerBase, end_ids: Iterable[int]) -> list[str]:
    """The texts that end a turn, longest first."""
    ends = {tokenizer.eos_token, *tokenizer.convert_ids_to_tokens(list(end_ids))} - {None}
    return sorted(ends, key=len, reverse=True)


class TurnsRewritten(Exception):
    """The template's text for the first k messages is not a beginning of its text for more of them."""


def bad_record(record: Conversation, detail: str) -> BadData:
    return BadData(detail, [Problem(detail, "/messages", record.line)])


def last_run(mask: list[int]) -> list[int]:
    """A mask of which only the last unbroken run of ones is left."""
    end = len(mask)
    while end and not mask[end - 1]:
        end -= 1
    start = end
    while start and mask[start - 1]:
        start -= 1
    return [0] * start + mask[start:end] + [0] * (len(mask) - end)
