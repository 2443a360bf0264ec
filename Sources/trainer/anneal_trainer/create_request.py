"""What a convert job with `create` asks for: the sizes of a small model to make, its tokenizer, its chat template."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import BadRequest, Problem, counted
from .fields import Fields
from .job import Job
from .request import COMMON_KEYS

#: What a byte-level tokenizer cannot do without: every byte and the three special tokens.
VOCAB_SIZE_MIN = 256 + 3


@dataclass(frozen=True)
class CreateRequest:
    """A decoder of the named transformers family, made from nothing. Sizes as in transformers' configurations."""

    architecture: str
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    dtype: str
    train_on: Path
    #: The most entries the vocabulary may have; little text gives fewer.
    vocab_size: int
    split_digits: bool
    chat_template: str
    seed: int

    @classmethod
    def parse(cls, job: Job) -> CreateRequest:
        """Check the whole body. Raises `BadRequest` with every problem found."""
        problems: list[Problem] = []
        body = Fields(job.spec, "", problems)
        body.known |= COMMON_KEYS | {"create", "tokenizer"}
        for key in ("create", "tokenizer"):
            if body.values.get(key) is None:
                body.problem(key, "is required")
        chat_template = body.text("chat_template", "chatml")
        seed = body.integer("seed", 42, minimum=0, maximum=2**32 - 1)
        body.choice("engine", "transformers", ("transformers",))
        body.finish("key of a convert job")
        sizes = parse_sizes(Fields(job.spec.get("create"), "/create", problems))
        tokenizer = Fields(job.spec.get("tokenizer"), "/tokenizer", problems)
        tokenizer.choice("type", "byte_bpe", ("byte_bpe",))
        train_on = tokenizer.text("train_on", "", required=True)
        vocab_size = tokenizer.integer("vocab_size", 512, minimum=VOCAB_SIZE_MIN)
        split_digits = tokenizer.flag("split_digits", True)
        tokenizer.finish("key of tokenizer")
        if problems:
            raise BadRequest(f"the convert job has {counted(len(problems), 'error')}: {problems[0]}", problems)
        return cls(
            **sizes,
            train_on=job.input_path("/tokenizer/train_on", train_on),
            vocab_size=vocab_size,
            split_digits=split_digits,
            chat_template=chat_template,
            seed=seed,
        )


def parse_sizes(fields: Fields) -> dict:
    """The `create` mapping, with the sizes checked against each other."""
    sizes: dict = {"architecture": fields.text("architecture", "llama", required=True)}
    for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
        if fields.values.get(key) is None:
            fields.problem(key, "is required")
        sizes[key] = fields.integer(key, 0, minimum=1)
    heads = sizes["num_attention_heads"]
    sizes["num_key_value_heads"] = fields.integer("num_key_value_heads", heads, minimum=1)
    sizes["max_position_embeddings"] = fields.integer("max_position_embeddings", 512, minimum=2)
    sizes["tie_word_embeddings"] = fields.flag("tie_word_embeddings", True)
    sizes["dtype"] = fields.choice("dtype", "float32", ("float32", "bfloat16", "float16"))
    hidden, groups = sizes["hidden_size"], sizes["num_key_value_heads"]
    if hidden and heads and hidden % heads:
        fields.problem("num_attention_heads", f"hidden_size {hidden} is not a multiple of {heads} heads")
    elif hidden and heads and (hidden // heads) % 2:
        detail = f"a head of hidden_size / num_attention_heads = {hidden // heads} is odd; rotary positions need pairs"
        fields.problem("num_attention_heads", detail)
    if heads and groups and heads % groups:
        fields.problem("num_key_value_heads", f"{heads} attention heads are not a multiple of {groups} key-value heads")
    fields.finish("key of create")
    return sizes
