"""`python -m anneal_trainer.record_logits`: a teacher's top-k logits of a dataset, for distillation without the teacher.

Writes the file of teacher_logits.py, and, where `ANNEAL_OUTPUTS` says so, tells the daemon of it as the output `logits`, so
that a job of kind `command` records what a `distill` job takes as `teacher_logits: ${record.logits}`. The dataset, the
chat template and `--only-final-turn` must be those of that job.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from .data import read_conversations
from .errors import tell
from .job import outputs_path, write_outputs
from .lengths import PROGRESS_SECONDS, Parser, hash_of_file, hash_of_tokenizer, load_chat_tokenizer
from .teacher_logits import Provenance, write


def main(arguments: list[str] | None = None) -> int:
    """Record the logits that the arguments ask for; returns the exit code."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        options = parse_arguments(arguments)
        summary = record(options)
        if outputs_path() is not None:
            output = {"type": "file", "path": str(options.output.absolute()), "sha256": hash_of_file(options.output)}
            write_outputs(outputs_path(), {options.name: output}, summary)
    except Exception as error:
        return tell(error).exit_code
    return 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m anneal_trainer.record_logits", description="Records a teacher's logits of a dataset.")
    parser.add_argument("--model", type=Path, required=True, help="the folder of the teacher")
    parser.add_argument("--data", type=Path, required=True, help="the dataset, JSON Lines with messages")
    parser.add_argument("--output", type=Path, help="the file to write; teacher-logits.safetensors in ANNEAL_OUTPUT_DIR")
    parser.add_argument("--name", default="logits", help="the name of the output")
    parser.add_argument("--tokenizer", type=Path, help="the student's folder; its tokenizer must have the same vocabulary")
    parser.add_argument("--topk", type=int, default=64, help="logits of a position")
    parser.add_argument("--max-length", type=int, default=1024, help="longer records get no logits")
    parser.add_argument("--batch-tokens", type=int, default=16384, help="tokens of a forward pass, padding included")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto")
    parser.add_argument("--chat-template", help="'chatml' or a template's text, in place of the tokenizer's own")
    parser.add_argument("--only-final-turn", action="store_true", help="only the last answer is learned")
    options = parser.parse_args(arguments)
    if min(options.topk, options.batch_tokens, options.max_length) < 1:
        parser.error("--topk, --max-length and --batch-tokens must be at least 1")
    if options.output is None:
        folder = os.environ.get("ANNEAL_OUTPUT_DIR")
        if not folder:
            parser.error("--output is required where there is no ANNEAL_OUTPUT_DIR")
        options.output = Path(folder) / f"{options.name}.safetensors"
    return options


def record(options: argparse.Namespace) -> dict:
    """Run the teacher over the dataset and write the file; returns the summary."""
    records = read_conversations(options.data, "--data")
    import torch

    from .chat_tokens import IGNORED
    from .teacher import load_teacher, padded, same_vocabulary

    student = options.tokenizer or options.model
    chat = load_chat_tokenizer(argparse.Namespace(**vars(options) | {"model": student, "kind": "sft"}))
    same_vocabulary(chat.tokenizer, options.model, "--model")
    teacher = load_teacher(options.model, options.dtype, "--model")
    samples = [chat.encode(conversation) for conversation in records]
    width = min(options.topk, len(chat.tokenizer))
    empty = (torch.zeros(0, width), torch.zeros(0, width, dtype=torch.int32))
    pieces = [empty] * len(samples)
    fitting = [place for place, (ids, _) in enumerate(samples) if len(ids) <= options.max_length]
    fitting.sort(key=lambda place: len(samples[place][0]))
    told = time.monotonic()
    while fitting:
        count = max(1, options.batch_tokens // len(samples[fitting[-1]][0]))
        batch, fitting = fitting[-count:], fitting[:-count]
        inputs = padded([samples[place][0] for place in batch], chat.tokenizer.pad_token_id or 0)
        with torch.no_grad():
            found = teacher(**{name: value.to(teacher.device) for name, value in inputs.items()}, use_cache=False).logits
        for row, place in enumerate(batch):
            wanted = [index for index, label in enumerate(samples[place][1][1:]) if label != IGNORED]
            logits, tokens = found[row, wanted, : len(chat.tokenizer)].float().topk(width, dim=-1)
            pieces[place] = (logits.cpu(), tokens.to(torch.int32).cpu())
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            print(f"teacher logits: {len(samples) - len(fitting)} of {len(samples)} records", flush=True)
    provenance = Provenance(
        dataset_sha256=hash_of_file(options.data),
        tokenizer_sha256=hash_of_tokenizer(student, options.chat_template),
        only_final_turn=options.only_final_turn,
        records=len(records),
        topk=width,
    )
    write(options.output, provenance, pieces)
    positions = sum(len(tokens) for _, tokens in pieces)
    print(f"teacher logits: {positions} positions of {len(records)} records, top {width}, in {options.output}", flush=True)
    return {"records": len(records), "positions": positions, "topk": width}


if __name__ == "__main__":
    sys.exit(main())
