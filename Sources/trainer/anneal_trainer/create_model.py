"""The convert kind's `create`: make a small decoder and its tokenizer from nothing, ready to be trained and served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import model_folder, model_output
from .create_request import CreateRequest
from .data import read_texts
from .errors import BadRequest
from .job import Job

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast


def create(job: Job) -> tuple[int, dict, dict]:
    """Make ANNEAL_OUTPUT_DIR/model. Returns the exit code, the outputs and the summary."""
    request = CreateRequest.parse(job)
    texts = read_texts(request.train_on, "/tokenizer/train_on")

    # From here on transformers and torch are loaded, which takes seconds.
    from .byte_bpe import train_tokenizer

    template = model_folder.chat_template_text(request.chat_template)
    check_template(template)
    tokenizer = train_tokenizer(
        texts, request.vocab_size, request.split_digits, template, request.max_position_embeddings
    )
    print(f"tokenizer: {len(tokenizer)} entries from {len(texts)} pieces of text", flush=True)
    config = make_config(request, tokenizer)
    final = job.output_dir / "model"
    parameters = write_model(request, config, tokenizer, final)
    print(f"model: {request.architecture}, {parameters:,} parameters in {final}", flush=True)
    summary = {"parameters": parameters, "vocab_size": len(tokenizer)}
    return 0, {"model": {"type": "checkpoint", "path": str(final)}}, summary


def check_template(template: str) -> None:
    """Refuse Jinja that does not parse; the marks of the assistant's text are known to it."""
    from jinja2 import TemplateSyntaxError
    from transformers.utils.chat_template_utils import _compile_jinja_template

    try:
        _compile_jinja_template(template)
    except TemplateSyntaxError as error:
        raise BadRequest.at("/chat_template", f"line {error.lineno} is not valid Jinja: {error.message}") from error


def make_config(request: CreateRequest, tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    """The transformers configuration of the family that `architecture` names."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    known = request.architecture in CONFIG_MAPPING.keys()
    if not known or CONFIG_MAPPING[request.architecture] not in MODEL_FOR_CAUSAL_LM_MAPPING:
        detail = f"transformers has no causal language model {request.architecture}; llama, qwen2, qwen3 are among them"
        raise BadRequest.at("/create/architecture", detail)
    return AutoConfig.for_model(
        request.architecture,
        vocab_size=len(tokenizer),
        hidden_size=request.hidden_size,
        intermediate_size=request.intermediate_size,
        num_hidden_layers=request.num_hidden_layers,
        num_attention_heads=request.num_attention_heads,
        num_key_value_heads=request.num_key_value_heads,
        # Said outright, because some families have a default that does not follow from the other sizes.
        head_dim=request.hidden_size // request.num_attention_heads,
        max_position_embeddings=request.max_position_embeddings,
        tie_word_embeddings=request.tie_word_embeddings,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype=request.dtype,
    )


def write_model(
    request: CreateRequest, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast, final: Path
) -> int:
    """Initialise the weights from the seed and save everything under a temporary name first. Returns their number."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(request.seed)
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, request.dtype))
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None
    )
    with model_output.making(final) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    return sum(tensor.numel() for tensor in model.parameters())
