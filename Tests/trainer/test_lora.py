"""LoRA: only adapters are trained; a checkpoint holds the merged model and the adapter."""

import torch
from safetensors.torch import load_file

from conftest import curve

PARAMS = {
    "global_batch_size": 4,
    "max_steps": 6,
    "learning_rate": 1e-2,
    "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
}


def load(path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def test_only_the_adapters_are_trained_and_the_merged_model_equals_base_plus_adapter(training, tiny_model):
    from peft import PeftModel

    attempt = training("run", PARAMS)
    _, outputs, summary = attempt.here()
    path = outputs["model"]["path"]
    adapter = load_file(f"{path}/adapter/adapter_model.safetensors")
    assert adapter and all("lora_" in name for name in adapter)
    assert summary["trainable_parameters"] == sum(tensor.numel() for tensor in adapter.values())

    base, merged = load(tiny_model), load(path)
    changed = {
        name
        for (name, before), (_, after) in zip(base.named_parameters(), merged.named_parameters(), strict=True)
        if not torch.equal(before, after)
    }
    assert changed and all(name.endswith("proj.weight") for name in changed)
    with_adapter = PeftModel.from_pretrained(base, f"{path}/adapter").eval()
    ids = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, with_adapter(ids).logits, atol=1e-5, rtol=1e-4)


def test_a_resumed_lora_run_equals_an_uninterrupted_one(training):
    whole = training("whole", PARAMS)
    whole.here()
    part = training("part", PARAMS, checkpoint={"every": 3})
    part.here()
    for path in part.checkpoints.glob("step_6"):
        # As if it had been killed before it saved step 6.
        path.rename(path.with_name("tmp_step_6"))
    part.here()
    assert curve(part.metrics, "train/loss") == curve(whole.metrics, "train/loss")[3:]


def test_named_modules_alone_get_adapters(training):
    attempt = training("run", PARAMS | {"max_steps": 1, "lora": {"target_modules": ["q_proj", "v_proj"]}})
    _, outputs, _ = attempt.here()
    names = load_file(f"{outputs['model']['path']}/adapter/adapter_model.safetensors")
    assert {name.split(".")[-3] for name in names} == {"q_proj", "v_proj"}
