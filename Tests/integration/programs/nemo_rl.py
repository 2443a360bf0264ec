"""A stand-in for the programs of a NeMo RL checkout: it takes their configuration as strictly, and writes exactly what they write.

`checkout(folder, layout)` makes a checkout whose `examples/run_*.py` are this file. Which program it is, its name tells. The order of
what it writes follows nemo_rl/utils/checkpoint.py and logger.py: `exp_NNN/tensorboard`, `tmp_step_N` renamed to `step_N` with
`training_info.json` and `config.yaml`, deletions by `keep_top_k`, and resumption from the highest step.

Before each step it waits for `$FLAGS/<step>`, where FLAGS is set. Its clock, where STEP_SECONDS is set, counts so many seconds a step.
"""

import json
import os
import pathlib
import re
import shutil
import sys
import threading

import yaml

SCRIPTS = {
    "run_sft": "sft", "run_dpo": "dpo", "run_rm": "rm", "run_grpo": "grpo", "run_grpo_math": "grpo", "run_distillation": "distillation",
    "run_distillation_math": "distillation", "run_eval": "eval", "convert_dcp_to_hf": "convert", "convert_megatron_to_hf": "convert",
}  # fmt: skip
TRAINED = ["sft", "dpo", "rm", "grpo", "distillation"]
CONFIGS = {"grpo": "grpo_math_1B", "distillation": "distillation_math", "eval": "evals/eval"}
METRICS = {"sft": "val:val_loss", "dpo": "val:validation-default_loss", "rm": "val:validation-default_loss"}
NEVER = threading.Event()


# ---- A checkout -----------------------------------------------------------------------------------------------------------------


def section(name, layout):
    """The algorithm's own settings, by the names of the program's configuration."""
    common = {"max_num_epochs": 1, "max_num_steps": 60, "val_period": 10, "val_at_start": True, "seed": 42}
    if layout == "new":
        common["val_at_end"] = False
    if name in ("grpo", "distillation"):
        own = {"num_prompts_per_step": 4, "num_generations_per_prompt": 2, "max_val_samples": 8, "val_batch_size": 8}
        more = {"normalize_rewards": True, "use_leave_one_out_baseline": True, "use_dynamic_sampling": False, "overlong_filtering": False}
        return {**common, **own, **(more if name == "grpo" else {"topk_logits_k": 64})}
    own = {"val_batches": 8, "val_global_batch_size": 32, "val_micro_batch_size": 1}
    if name == "sft":
        own["only_unmask_final"] = False
    if name == "dpo":
        own |= {"reference_policy_kl_penalty": 0.05, "preference_average_log_probs": False, "preference_loss_weight": 1}
        own |= {"sft_average_log_probs": "${.preference_average_log_probs}", "sft_loss_weight": 0}
    return {**common, **own}


def policy(name, layout):
    """The trained model's settings."""
    length = "${mul:${policy.max_total_sequence_length}, ${policy.train_micro_batch_size}}"
    settings = {
        "model_name": "none", "tokenizer": {"name": "${policy.model_name}", "chat_template": None, "chat_template_kwargs": None},
        "train_global_batch_size": 32, "train_micro_batch_size": 1, "max_total_sequence_length": 1024, "precision": "bfloat16",
        "dtensor_cfg": {
            "enabled": True, "activation_checkpointing": False, "tensor_parallel_size": 1, "context_parallel_size": 1,
            "lora_cfg": {"enabled": False, "target_modules": [], "match_all_linear": True, "dim": 8, "alpha": 32, "dropout": 0.0},
        },
        "megatron_cfg": {"enabled": False},
        "dynamic_batching": {"enabled": False, "train_mb_tokens": length}, "sequence_packing": {"enabled": False, "train_mb_tokens": length},
        "make_sequence_length_divisible_by": "${policy.dtensor_cfg.tensor_parallel_size}", "max_grad_norm": 1.0,
        "optimizer": {"name": "torch.optim.AdamW", "kwargs": {"lr": 5.0e-6, "weight_decay": 0.1, "betas": [0.9, 0.98], "eps": 1.0e-5}},
    }  # fmt: skip
    if layout == "new":
        settings["dtensor_cfg"]["_v2"] = True
    if name in ("grpo", "distillation"):
        settings["generation"] = {"backend": "vllm", "max_new_tokens": "${policy.max_total_sequence_length}", "temperature": 1.0}
    return settings


def data(name, layout):
    """The data of the program's demonstration."""
    common = {"max_input_seq_length": "${policy.max_total_sequence_length}", "shuffle": True, "num_workers": 1}
    if layout == "old":
        return {**common, "dataset_name": "squad"}
    return {**common, "train": {"dataset_name": "squad", "split": "train"}, "validation": {"dataset_name": "squad", "split": "validation"}}


def example(name, layout):
    """A program's own configuration."""
    if name == "eval":
        return {
            "eval": {"metric": "pass@k", "num_tests_per_prompt": 1, "seed": 42, "k_value": 1, "save_path": None},
            "generation": {"temperature": 0.0, "model_name": "none", "vllm_cfg": {"max_model_len": 2048}},
            "tokenizer": {"name": "${generation.model_name}"}, "data": {"dataset_name": "AIME2024", "prompt_file": None},
            "cluster": {"gpus_per_node": 1, "num_nodes": 1},
        }  # fmt: skip
    document = {
        name: section(name, layout), "policy": policy(name, layout), "data": data(name, layout),
        "checkpointing": {
            "enabled": True, "checkpoint_dir": "results", "metric_name": METRICS.get(name, "val:accuracy"), "higher_is_better": False,
            "keep_top_k": 3, "save_period": 10, "checkpoint_must_save_by": None, "save_optimizer": True,
        },
        "logger": {
            "log_dir": "logs", "wandb_enabled": True, "tensorboard_enabled": True, "monitor_gpus": True,
            "tensorboard": {"log_dir": "ignored"},
        },
        "cluster": {"gpus_per_node": 1, "num_nodes": 1},
    }  # fmt: skip
    if name == "grpo":
        document["loss_fn"] = {"reference_policy_kl_penalty": 0.01, "reference_policy_kl_type": "k3", "ratio_clip_min": 0.2}
        document["loss_fn"] |= {"ratio_clip_max": 0.2, "ratio_clip_c": None, "token_level_loss": True}
    if name == "distillation":
        document["loss_fn"] = {"kl_type": "mixed", "mixed_kl_weight": 0.5, "zero_outside_topk": False}
        document["teacher"] = {"model_name": "none", "tokenizer": {"name": "${..model_name}"}}
    return document


def checkout(folder, layout):
    """Makes a checkout of one layout of `data`; the scripts are named as in a release of that time."""
    folder = pathlib.Path(folder)
    for name in [*TRAINED, "eval"]:
        path = folder / "examples" / "configs" / f"{CONFIGS.get(name, name)}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(example(name, layout), sort_keys=False))
    older = {"run_grpo", "run_distillation"} if layout == "old" else {"run_grpo_math", "run_distillation_math"}
    for script, name in SCRIPTS.items():
        place = folder / "examples" / ("converters" if name == "convert" else "")
        place.mkdir(exist_ok=True)
        if script not in older:
            shutil.copy(__file__, place / f"{script}.py")
    return folder


# ---- The configuration's language -----------------------------------------------------------------------------------------------


def merge(lower, upper):
    """Mappings are merged, all else is replaced."""
    result = dict(lower)
    for key, value in upper.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merge(result[key], value) if both else value
    return result


def merge_with_override(base, upper):
    """As `merge`, but a section of the root with `_override_` takes the place of the one below."""
    for key, value in upper.items():
        if isinstance(value, dict) and value.pop("_override_", False):
            base.pop(key, None)
    return merge(base, upper)


def load(path):
    """A configuration with its chain of `defaults`."""
    config = yaml.safe_load(pathlib.Path(path).read_text())
    parents = config.pop("defaults", [])
    base = {}
    for parent in [parents] if isinstance(parents, str) else parents:
        base = merge_with_override(base, load(path.parent / parent))
    return merge_with_override(base, config)


def override(config, text):
    """Applies one argument of the command line in struct mode."""
    sign, key, value = re.fullmatch(r"(\+\+|\+|~|)([^=]+)=?(.*)", text, re.S).groups()
    names = key.split(".")
    place = config
    for name in names[:-1]:
        place = place[name] if sign in ("", "~") else place.setdefault(name, {})
    assert sign in ("+", "++") or names[-1] in place, f"Key '{key}' is not in struct"
    assert sign != "+" or place.get(names[-1]) is None, f"Could not append: an item is already at '{key}'"
    if sign == "~":
        del place[names[-1]]
    else:
        place[names[-1]] = yaml.safe_load(value)


def resolve(value, config, path=()):
    """The value with what its `${…}` refer to."""
    if isinstance(value, dict):
        return {key: resolve(member, config, (*path, key)) for key, member in value.items()}
    if isinstance(value, list):
        return [resolve(member, config, (*path, str(index))) for index, member in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    if product := re.fullmatch(r"\$\{mul:(\$\{.*?\}), *(\$\{.*?\})\}", value):
        return resolve(product[1], config, path) * resolve(product[2], config, path)
    reference = re.fullmatch(r"\$\{(\.*)([\w.]+)\}", value)
    assert reference, f"cannot read {value}"
    names = [*(path[: -len(reference[1])] if reference[1] else ()), *reference[2].split(".")]
    found = config
    for name in names:
        found = found[name]
    return resolve(found, config, tuple(names))


def weights_mark(weights, config):
    """The file that tells a converter which form the weights have: Megatron's, of the first or the second DTensor backend, or none."""
    policy = config["policy"]
    if policy.get("megatron_cfg", {}).get("enabled"):
        return weights / "iter_0000000" / "metadata.json"
    if not policy.get("dtensor_cfg", {}).get("_v2"):
        return weights / ".metadata"
    if policy["dtensor_cfg"]["lora_cfg"]["enabled"]:
        return weights / "model" / "adapter_model.safetensors"
    is_distributed = config["checkpointing"].get("model_save_format", "safetensors") == "torch_save"
    return weights / "model" / (".metadata" if is_distributed else "shard-00001-model-00001-of-00001.safetensors")


def check(config, name, layout):
    """Refuses what the programs refuse, and every key that they do not have."""
    known = example(name, layout)
    free = {"scheduler", "kwargs", "train", "validation", "env"}
    flat = {"train_data_path", "val_data_path", "chat_key", "system_key", "system_prompt", "tool_key", "use_preserving_dataset"}
    flat |= {"input_key", "output_key", "prompt_key", "chosen_key", "rejected_key"}
    added = {"new": set(), "old": flat}[layout] | {"scheduler", "val_at_end", "problem_key", "solution_key", "file_format"}
    added |= {"split", "system_prompt_file"} if name == "eval" else {"model_save_format"}

    def walk(value, table, path):
        for key, member in value.items():
            assert key in table or key in added, f"unknown key {'.'.join([*path, key])}"
            assert key != "val_at_end" or layout == "new", "val_at_end is not known here"
            if isinstance(member, dict) and isinstance(table.get(key), dict) and key not in free:
                walk(member, table[key], [*path, key])

    walk(config, known, [])
    if name == "eval":
        return
    if layout == "new":
        assert "train" in config["data"], "The dataset config structure is updated."
    metric = config["checkpointing"]["metric_name"]
    assert metric is None or metric.startswith(("train:", "val:")), metric
    has_validation = bool(config["data"].get("validation") or config["data"].get("val_data_path"))
    assert has_validation or config[name]["val_period"] <= 0, "val_period needs validation data"
    assert not config["logger"]["wandb_enabled"] or os.environ.get("WANDB_API_KEY"), "wandb asks for an account"


# ---- A run ----------------------------------------------------------------------------------------------------------------------


class Checkpoints:
    """The folder of checkpoints and its retention."""

    def __init__(self, settings):
        self.settings, self.folder = settings, pathlib.Path(settings["checkpoint_dir"])

    def history(self):
        """The complete checkpoints with their information, in the order of their steps."""
        found = [path for path in self.folder.glob("step_*") if re.fullmatch(r"step_\d+", path.name)]
        rows = [(int(path.name[5:]), path, json.loads((path / "training_info.json").read_text())) for path in found]
        return sorted(rows, key=lambda row: row[0])

    def save(self, step, information, config):
        """Writes `tmp_step_N`, renames it, and deletes what `keep_top_k` does not keep."""
        place = self.folder / f"tmp_step_{step}"
        shutil.rmtree(place, ignore_errors=True)
        (place / "policy" / "weights").mkdir(parents=True)
        (place / "policy" / "tokenizer").mkdir()
        (place / "training_info.json").write_text(json.dumps(information))
        (place / "config.yaml").write_text(yaml.safe_dump(config))
        mark = weights_mark(place / "policy" / "weights", config)
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(str(step))
        final, old = self.folder / f"step_{step}", self.folder / f"old_step_{step}"
        if final.exists():
            final.rename(old)
        place.rename(final)
        shutil.rmtree(old, ignore_errors=True)
        self.thin_out()

    def thin_out(self):
        """Ranks the periodic checkpoints; the newest always stays."""
        rows, keep = self.history(), self.settings["keep_top_k"]
        if keep is None:
            return
        sign = -1 if self.settings["higher_is_better"] else 1
        periodic = [row for row in rows if row[0] % self.settings["save_period"] == 0]
        periodic.sort(key=lambda row: (sign * row[2].get(self.settings["metric_name"], sign * float("inf")), -row[0]))
        kept = {row[0] for row in periodic[:keep]} | {rows[-1][0]}
        for step, path, _ in rows:
            if step not in kept:
                shutil.rmtree(path)


def records(settings, layout):
    """How many records the training data have."""
    path = settings["train"]["data_path"] if layout == "new" else settings["train_data_path"]
    assert settings.get("train", settings)["dataset_name"] != "squad", "still the demonstration's data"
    return sum(1 for _ in open(path, encoding="utf-8"))


def loss(step):
    """A curve that falls to step 6 and rises again."""
    return 1 + abs(step - 6) / 10


def save_limit(text):
    """Seconds of `DD:HH:MM:SS`."""
    days, hours, minutes, seconds = (int(part) for part in text.split(":")) if text else (10**6, 0, 0, 0)
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def train(name, config, layout):
    """Trains nothing for as many steps as the configuration asks for."""
    from tensorboardX import SummaryWriter

    own, saving = config[name], config["checkpointing"]
    logs = pathlib.Path(config["logger"]["log_dir"])
    number = max([int(path.name[4:]) for path in logs.glob("exp_*")], default=0) + 1
    writer = SummaryWriter(str(logs / f"exp_{number:03d}" / "tensorboard"), flush_secs=1)
    checkpoints = Checkpoints(saving)
    batch = own["num_prompts_per_step"] if "num_prompts_per_step" in own else config["policy"]["train_global_batch_size"]
    per_epoch = records(config["data"], layout) // batch
    total = min(own["max_num_epochs"] * per_epoch, own["max_num_steps"])
    history = checkpoints.history()
    done = history[-1][0] if history else 0
    names = {"sft": "val_loss", "grpo": "accuracy", "distillation": "accuracy"}
    validated = names.get(name, "validation-default_loss")
    has_validation = own["val_period"] > 0
    if done == 0 and own["val_at_start"] and has_validation:
        writer.add_scalar(f"validation/{validated}", loss(0), 0)
    for step in range(done + 1, total + 1):
        if "FLAGS" in os.environ:
            while not (pathlib.Path(os.environ["FLAGS"]) / str(step)).exists():
                NEVER.wait(0.02)
        writer.add_scalar("train/loss", loss(step), step)
        information = {"epoch": (step - 1) // per_epoch, "step": (step - 1) % per_epoch + 1, "total_steps": step}
        information |= {"consumed_samples": step * batch, "total_valid_tokens": step * batch * 10}
        last = step == total
        if has_validation and (step % own["val_period"] == 0 or (last and own.get("val_at_end"))):
            writer.add_scalar(f"validation/{validated}", loss(step), step)
            information[f"val:{validated}"] = loss(step)
        information["train:loss"] = loss(step)
        writer.flush()
        elapsed = (step - done) * float(os.environ.get("STEP_SECONDS", "0"))
        late = elapsed + float(os.environ.get("STEP_SECONDS", "0")) >= save_limit(saving["checkpoint_must_save_by"])
        if step % saving["save_period"] == 0 or last or late:
            metric = saving["metric_name"]
            ranked = {key: value for key, value in information.items() if ":" not in key or key == metric}
            checkpoints.save(step, ranked, config)
        if late and not last:
            print("Timeout has been reached, stopping training early", flush=True)
            return
    writer.close()


def evaluate(config):
    """Leaves what an evaluation leaves."""
    for key in ("problem_key", "solution_key", "file_format", "split", "prompt_file", "system_prompt_file"):
        assert key in config["data"], f"KeyError: {key}"
    place = pathlib.Path(config["eval"]["save_path"])
    place.mkdir(parents=True, exist_ok=True)
    (place / "evaluation_data.json").write_text("[]")
    (place / "config.json").write_text(json.dumps(config))
    print("=" * 60 + "\nmetric=pass@1 num_tests_per_prompt=1\n\nscore=0.1000 (3.0/30)\n" + "=" * 60)


def convert(arguments):
    """Turns `step_N/policy/weights` into a model folder, which must not exist."""
    options = dict(zip(arguments[::2], arguments[1::2]))
    config = yaml.safe_load(pathlib.Path(options["--config"]).read_text())
    if "--megatron-ckpt-path" in options:
        mark = pathlib.Path(options["--megatron-ckpt-path"], "metadata.json")
    else:
        weights = pathlib.Path(options["--dcp-ckpt-path"])
        assert (weights.parent / "tokenizer").is_dir()
        mark = next(path for path in (weights / ".metadata", weights / "model" / ".metadata") if path.exists())
    target = pathlib.Path(options["--hf-ckpt-path"])
    target.mkdir(parents=True)
    described = {"architectures": ["Llama"], "from": config["policy"]["model_name"], "step": int(mark.read_text())}
    (target / "config.json").write_text(json.dumps(described))


def main():
    """What `python examples/run_X.py --config FILE key=value …` does."""
    script = pathlib.Path(sys.argv[0])
    name = SCRIPTS[script.stem]
    if name == "convert":
        return convert(sys.argv[1:])
    assert sys.argv[1] == "--config" and not script.is_absolute(), sys.argv
    layout = "new" if pathlib.Path("examples/run_grpo.py").exists() else "old"
    config = load(pathlib.Path(sys.argv[2]))
    for text in sys.argv[3:]:
        override(config, text)
    check(config, name, layout)
    config = resolve(config, config)
    assert config["cluster"]["gpus_per_node"] == len(os.environ["CUDA_VISIBLE_DEVICES"].split(","))
    return evaluate(config) if name == "eval" else train(name, config, layout)


if __name__ == "__main__":
    main()
