"""Build what TRL trains with: tokenizer, model, arguments. Imports torch and transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PrinterCallback, TrainingArguments

from . import model_folder, optimizers, sharding
from .checkpoints import Checkpoint, CheckpointFolder
from .errors import BadRequest
from .method import Method, Samples
from .ranks import processes
from .request import TrainRequest
from .steps import StepRules
from .trainer import AnnealTrainer

#: Where the LoRA adapter lies inside a checkpoint; the merged model lies at its top.
ADAPTER_NAME = "adapter"


def load_tokenizer(request: TrainRequest) -> PreTrainedTokenizerBase:
    """The model's tokenizer, with the chat template that the request may replace."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(request.model, local_files_only=True)
    except Exception as error:
        # tokenizers raises bare Exception on a broken tokenizer.json.
        raise BadRequest.at("/model", f"cannot load the tokenizer of {request.model}: {error}") from error
    if request.chat_template is not None:
        tokenizer.chat_template = model_folder.chat_template_text(request.chat_template)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise BadRequest.at("/model", f"the tokenizer of {request.model} has neither a pad nor an EOS token")
    return tokenizer


def end_token_ids(model: Path) -> list[int]:
    """The tokens that end generation, from generation_config.json; none when there is no such file."""
    path = model / "generation_config.json"
    if not path.is_file():
        return []
    ids = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
    return ids if isinstance(ids, list) else [] if ids is None else [ids]


def build_trainer(
    method: Method,
    tokenizer: PreTrainedTokenizerBase,
    samples: Samples,
    validation: Samples | None,
    steps: int,
    folder: CheckpointFolder,
    resume: Checkpoint | None,
) -> AnnealTrainer:
    """The method's trainer, with the weights of the model or of the checkpoint to resume from."""
    transformers.utils.logging.disable_progress_bar()
    if torch.cuda.device_count() > 1 and processes().num_processes == 1:
        raise BadRequest(
            f"one process sees {torch.cuda.device_count()} GPUs; give the job one GPU, or start one process per GPU "
            "with torchrun"
        )
    request = method.request
    bf16 = uses_bf16(request.precision)
    strategy = sharding.strategy(request, bf16)
    optimizers.check(request.optimizer, strategy)
    if strategy == "fsdp":
        sharding.load_on_first_rank()
    trainer = method.build(
        {
            "model": load_model(method, tokenizer, bf16, resume),
            "arguments": arguments(request, steps, bf16, folder.path, strategy),
            "train_dataset": samples.dataset,
            "eval_dataset": validation.dataset if validation is not None else None,
            "processing_class": tokenizer,
            "peft_config": lora_config(method) if request.lora and resume is None else None,
            "request": request,
            "rules": StepRules(steps, method.steps_per_epoch(len(samples)), request),
        }
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def uses_bf16(precision: str) -> bool:
    """Whether bfloat16 is computed in: `auto` means on a GPU that has it. A CPU computes it too, slowly, when asked."""
    on_gpu = torch.cuda.is_available()
    has_it = on_gpu and torch.cuda.is_bf16_supported()
    if precision == "bf16" and on_gpu and not has_it:
        raise BadRequest.at("/params/precision", f"{torch.cuda.get_device_name()} has no bfloat16")
    return precision == "bf16" or (precision == "auto" and has_it)


def load_model(method: Method, tokenizer: PreTrainedTokenizerBase, bf16: bool, resume: Checkpoint | None):
    """The weights to train. Fully trained weights are held in float32 (bf16 is then autocast over them); the frozen
    weights under LoRA adapters are held in bfloat16 when that is the precision."""
    request = method.request
    folder = resume.path if resume and not request.lora else request.model
    dtype = torch.bfloat16 if bf16 and request.lora else torch.float32
    try:
        model = method.load_model(folder, dtype, tokenizer)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadRequest.at("/model", f"cannot load the model {folder}: {error}") from error
    if resume and request.lora:
        return PeftModel.from_pretrained(model, resume.path / ADAPTER_NAME, is_trainable=True)
    return model


def lora_config(method: Method) -> LoraConfig:
    request = method.request
    return LoraConfig(
        task_type=method.task_type,
        r=request.lora.rank,
        lora_alpha=request.lora.alpha,
        lora_dropout=request.lora.dropout,
        target_modules=request.lora.target_modules,
    )


def arguments(request: TrainRequest, steps: int, bf16: bool, output_dir: Path, strategy: str) -> dict[str, Any]:
    """The arguments of transformers' trainer, which every configuration of TRL takes. Logging, validation and saving
    are decided by `StepRules`, so their strategies are off."""
    return dict(
        output_dir=str(output_dir),
        max_steps=steps,
        per_device_train_batch_size=request.micro_batch_size,
        per_device_eval_batch_size=request.validation_batch_size,
        gradient_accumulation_steps=request.accumulation,
        learning_rate=request.learning_rate,
        weight_decay=request.weight_decay,
        adam_beta1=request.beta1,
        adam_beta2=request.beta2,
        adam_epsilon=request.epsilon,
        max_grad_norm=request.max_grad_norm,
        optim=optimizers.transformers_name(request.optimizer, torch.cuda.is_available()),
        seed=request.seed,
        bf16=bf16,
        # Only said where it is so: transformers refuses bf16 on a CPU that it came to by itself.
        use_cpu=not torch.accelerator.is_available(),
        logging_strategy="no",
        logging_nan_inf_filter=False,
        eval_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        # What is sharded is wrapped for it (`sharding.arguments`), or all shards would be gathered once more for the second time.
        **{checkpointing_field(): request.gradient_checkpointing and strategy != "fsdp"},
        **(sharding.arguments(request) if strategy == "fsdp" else {}),
    )


def checkpointing_field() -> str:
    """The argument by which activations are computed twice; transformers 5.2x has renamed it."""
    fields = TrainingArguments.__dataclass_fields__
    return "activation_checkpointing" if "activation_checkpointing" in fields else "gradient_checkpointing"
