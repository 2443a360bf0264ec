"""TRL's example of supervised fine-tuning on a tiny random model: nothing in it knows of Anneal.

    sft.py NAME,… [STEPS]    where the trainer's callbacks report to: mlflow, tensorboard, none
"""

import sys

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

WORDS = "the cat dog sat ran on under mat tree".split()


def tokenizer():
    """A tokenizer of whole words."""
    names = ["<unk>", "<eos>", *WORDS]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(names)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="<eos>", pad_token="<eos>")


def main():
    """Six steps or as many as are asked for, each logged."""
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 6
    config = LlamaConfig(
        vocab_size=len(WORDS) + 2, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=32,
    )
    texts = [f"the {who} {did} {where} the {what}" for who in ("cat", "dog") for did in ("sat", "ran") for where in ("on", "under") for what in ("mat", "tree")]
    trainer = SFTTrainer(
        model=LlamaForCausalLM(config), processing_class=tokenizer(), train_dataset=Dataset.from_dict({"text": texts}),
        args=SFTConfig(
            output_dir="out", max_steps=steps, per_device_train_batch_size=2, logging_steps=1, report_to=sys.argv[1].split(","), use_cpu=True,
            save_strategy="no", disable_tqdm=sys.argv[1] == "none", max_length=16, bf16=False, gradient_checkpointing=False,
        ),
    )
    trainer.train()


main()
