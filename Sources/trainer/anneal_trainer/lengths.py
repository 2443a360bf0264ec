"""`python -m anneal_trainer.lengths`: how many tokens each record of a dataset has, for packing.

The tokens are those that training sees: the model's own tokenizer and chat template. The output is JSON Lines, a header

    {"format": "anneal.lengths", "version": 1, "kind": "sft", "tokenizer_sha256": …, "dataset_sha256": …, "records": n,
     "only_final_turn": false}

on one line and then, for each record in the dataset's order, `{"line": 1, "length": 57}`, or with `--kind dpo`
`{"line": 1, "chosen": 57, "rejected": 60}`, each with its prompt. Bad records are named by line on stderr, all of them
at once, and nothing is written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import durable, model_folder
from .data import Conversation, read_conversations
from .errors import PROBLEMS_MAX, BadData, BadRequest, Problem, counted, tell
from .preference_data import read_pairs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .chat_tokens import ChatTokenizer

FORMAT, VERSION = "anneal.lengths", 1

#: The files of a tokenizer that has no tokenizer.json.
SLOW_FILES = ("added_tokens.json", "merges.txt", "special_tokens_map.json", "tokenizer.model", "vocab.json")

#: Seconds between two lines of progress.
PROGRESS_SECONDS = 2.0


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments as bad requests, with the exit code that goes with them."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting with 2."""
        raise BadRequest(message)


def main(arguments: list[str] | None = None) -> int:
    """Measure the dataset that the arguments name; returns the exit code."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Batches are cut on all cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        measure(parse_arguments(arguments))
    except Exception as error:
        return tell(error).exit_code
    return 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m anneal_trainer.lengths", description="Measures the records of a dataset in tokens.")
    parser.add_argument("--data", type=Path, required=True, help="the dataset, JSON Lines")
    parser.add_argument("--model", type=Path, required=True, help="the folder of the model or of its tokenizer")
    parser.add_argument("--output", type=Path, required=True, help="the file of lengths to write")
    parser.add_argument("--kind", choices=("sft", "dpo"), default="sft", help="messages, or preference pairs")
    parser.add_argument("--chat-template", help="'chatml' or a template's text, in place of the tokenizer's own")
    parser.add_argument("--only-final-turn", action="store_true", help="only the last answer is learned")
    parser.add_argument("--batch-size", type=int, default=512, help="records that are tokenised at once")
    options = parser.parse_args(arguments)
    if options.batch_size < 1:
        parser.error("argument --batch-size: must be at least 1")
    return options


def measure(options: argparse.Namespace) -> None:
    """Measure every record and write the lengths. Raises `BadData` with every bad record, and then writes nothing."""
    if options.kind == "sft":
        records = read_conversations(options.data, "--data")
        encode, count = measure_of_conversations(options)
    else:
        records = read_pairs(options.data, "--data")
        encode, count = measure_of_pairs(options)
    lengths = measure_all(records, encode, count, options.batch_size)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "kind": options.kind,
        "tokenizer_sha256": hash_of_tokenizer(options.model, options.chat_template),
        "dataset_sha256": hash_of_file(options.data),
        "records": len(records),
        "only_final_turn": options.only_final_turn,
    }
    names = ("length",) if options.kind == "sft" else ("chosen", "rejected")
    measured = zip(records, lengths, strict=True)
    lines = ({"line": record.line, **dict(zip(names, found, strict=True))} for record, found in measured)
    write_lines(options.output, header, lines)
    print(f"lengths: {len(records)} records in {options.output}", file=sys.stderr)


def load_tokenizer(options: argparse.Namespace) -> PreTrainedTokenizerBase:
    """The tokenizer that training would use."""
    from transformers import AutoTokenizer
    from transformers.utils import logging

    # A text over the model's length is what is looked for here, nothing to warn of.
    logging.set_verbosity_error()
    if not options.model.is_dir():
        raise BadRequest(f"argument --model: {options.model} is not a folder")
    try:
        tokenizer = AutoTokenizer.from_pretrained(options.model, local_files_only=True)
    except Exception as error:
        # tokenizers raises bare Exception on a broken tokenizer.json.
        raise BadRequest(f"argument --model: cannot load the tokenizer of {options.model}: {error}") from error
    if options.chat_template is not None:
        tokenizer.chat_template = model_folder.chat_template_text(options.chat_template)
    if tokenizer.chat_template is None:
        if options.kind == "sft":
            raise BadRequest(f"{options.model} has no chat template; give --chat-template chatml, or one of your own")
        # Texts need none; of messages the template's absence is told with their line.
        tokenizer.chat_template = "{{ raise_exception('the model has no chat template') }}"
    return tokenizer


def load_chat_tokenizer(options: argparse.Namespace) -> ChatTokenizer:
    """The same with the chat template, for conversations."""
    from .chat_tokens import ChatTokenizer
    from .loading import end_token_ids

    return ChatTokenizer(load_tokenizer(options), options.only_final_turn, end_token_ids(options.model))


def measure_of_conversations(options: argparse.Namespace) -> tuple[Callable, Callable]:
    """How conversations are measured: what is done with each, and with a batch of what that gave."""
    chat = load_chat_tokenizer(options)
    return lambda record: texts_of_conversation(chat, record), lambda batch: lengths_of(chat.tokenizer, batch)


def measure_of_pairs(options: argparse.Namespace) -> tuple[Callable, Callable]:
    """The same for preference pairs: training's own tokens are counted."""
    from .loading import end_token_ids
    from .preference_tokens import DefaultRewards, PairTokenizer

    pairs = PairTokenizer(load_tokenizer(options), end_token_ids(options.model), DefaultRewards(1, 0))
    return pairs.encode, lambda batch: [[len(ids) for ids, _ in both] for both in batch]


def texts_of_conversation(chat: ChatTokenizer, record: Conversation) -> list[str]:
    """What training tokenises of a conversation, cut where it cuts: see `ChatTokenizer.encode`."""
    from .chat_tokens import TurnsRewritten

    if chat.marked:
        return [chat.render(record, record.messages)]
    messages = record.messages
    turns = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    texts: list[str] = []
    done = ""
    try:
        for index in turns[-1:] if chat.only_final_turn else turns:
            full = chat.render(record, messages[: index + 1])
            prompt = chat.prompt_before(record, index, full)
            if not prompt.startswith(done):
                raise TurnsRewritten
            answer, after = chat.split_at_end(full[len(prompt) :], is_last=index == len(messages) - 1)
            texts += [prompt[len(done) :], answer, after]
            done = full
    except TurnsRewritten:
        template = chat.training_template(record)
        return [chat.apply(record, messages, chat_template=template, tokenize=False)]
    return texts


def measure_all(
    records: list, encode: Callable[[Any], Any], count: Callable[[list], list[list[int]]], batch_size: int
) -> list[list[int]]:
    """The lengths of each record's sequences, which `count` gives for a batch of what `encode` makes of each. Raises
    `BadData` with every record that does not fit."""
    lengths: list[list[int]] = []
    problems: list[Problem] = []
    bad_records = 0
    told = time.monotonic()
    for start in range(0, len(records), batch_size):
        batch = []
        for record in records[start : start + batch_size]:
            try:
                batch.append(encode(record))
            except BadData as error:
                bad_records += 1
                problems += error.problems[: PROBLEMS_MAX - len(problems)]
        if not bad_records:
            lengths += count(batch)
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            done = min(start + batch_size, len(records))
            print(f"lengths: {done} of {len(records)} records", file=sys.stderr, flush=True)
    if bad_records:
        count = counted(bad_records, "record")
        raise BadData(f"{count} cannot be tokenised; the first: {problems[0]}", problems)
    return lengths


def lengths_of(tokenizer: PreTrainedTokenizerBase, batch: list[list[str]]) -> list[list[int]]:
    """The number of tokens of each record, whose texts are tokenised one by one, all those of the batch in one call."""
    texts = list({text for record in batch for text in record if text})
    encoded = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"] if texts else []
    counts = {text: len(ids) for text, ids in zip(texts, encoded, strict=True)}
    return [[sum(counts.get(text, 0) for text in record)] for record in batch]


def hash_of_tokenizer(folder: Path, chat_template: str | None) -> str:
    """SHA-256 of what decides about tokens: vocabulary, special tokens, what ends an answer, and the chat template in effect.

    The files of a checkpoint say the same in other bytes than those of the model it comes from, and have the same hash.
    """
    config = read_object(folder / "tokenizer_config.json")
    fast = read_object(folder / "tokenizer.json")
    model = fast.get("model") or {}
    # Newer releases write merges as pairs, older ones as "first second".
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in model.get("merges") or ()]
    own = folder / "chat_template.jinja"
    template = own.read_text(encoding="utf-8") if own.is_file() else config.get("chat_template")
    document = {
        "tokenizer": {name: value for name, value in fast.items() if name not in ("model", "padding", "truncation")},
        "model": {**model, "merges": merges},
        "files": {name: hash_of_file(folder / name) for name in SLOW_FILES if not fast and (folder / name).is_file()},
        "special": {name: config.get(name) for name in ("bos_token", "eos_token")},
        "ends": read_object(folder / "generation_config.json").get("eos_token_id"),
        "template": template if chat_template is None else model_folder.chat_template_text(chat_template),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def read_object(path: Path) -> dict:
    """The object in a JSON file; an empty one where there is no such file, or nothing of the kind in it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Loading the tokenizer, which comes as well, tells what is wrong with the file.
        return {}
    return found if isinstance(found, dict) else {}


def hash_of_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_lines(path: Path, header: dict, lines: Iterator[dict]) -> None:
    """Write the file under a temporary name and give it its own when it is whole and on disk."""
    temporary = path.with_name(f"tmp_{path.name}")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            for line in (header, *lines):
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        durable.sync_folder(path.parent)
    except FileNotFoundError as error:
        raise BadRequest(f"argument --output: cannot write {path}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
