"""Arguments that a job passes through to TRL's configuration: checked by name and type, and never those that Anneal sets."""

import inspect
import json
import os
import sys

import pytest
from transformers import TrainingArguments
from trl import DPOConfig, SFTConfig

from anneal_trainer import arguments, loading, methods, sft_trainer
from anneal_trainer.errors import BadRequest
from anneal_trainer.job import Job
from anneal_trainer.request import TrainRequest


def problems(config=SFTConfig, **args) -> dict[str, str]:
    with pytest.raises(BadRequest) as caught:
        arguments.configured(config, args, output_dir="/nowhere", use_cpu=True)
    assert caught.value.exit_code == 64
    return {problem.pointer: problem.detail for problem in caught.value.problems}


def test_arguments_reach_the_configuration(tmp_path):
    given = {"neftune_noise_alpha": 5, "tf32": None, "label_names": ["labels"], "torch_empty_cache_steps": None}
    made = arguments.configured(SFTConfig, given, output_dir=str(tmp_path), use_cpu=True, bf16=False, max_steps=3)
    assert (made.neftune_noise_alpha, made.label_names, made.max_steps) == (5, ["labels"], 3)


def test_a_job_passes_its_arguments_through(tmp_path):
    body = {"model": "/m", "dataset": "/d", "args": {"neftune_noise_alpha": 5.0, "dataloader_num_workers": 2}}
    request = TrainRequest.parse(Job("train", body, {}, tmp_path, tmp_path, tmp_path / "metrics"), {})
    made = sft_trainer.configuration(request, loading.arguments(request, 3, False, tmp_path, "none"))
    assert (made.neftune_noise_alpha, made.dataloader_num_workers, made.learning_rate) == (5.0, 2, 5e-6)
    request.args["adam_beta1"] = 0.5
    with pytest.raises(BadRequest):
        sft_trainer.configuration(request, loading.arguments(request, 3, False, tmp_path, "none"))


def test_what_anneal_sets_is_refused_with_the_key_to_use():
    given = {"output_dir": "/x", "learning_rate": 1.0, "warmup_ratio": 0.1, "save_steps": 5, "optim": "adafactor", "padding_free": True}
    found = problems(**given, per_device_train_batch_size=2)
    assert found == {
        "/args/output_dir": "is set by Anneal itself",
        "/args/learning_rate": "is set by Anneal; use params.learning_rate",
        "/args/warmup_ratio": "is set by Anneal; use params.warmup_steps",
        "/args/save_steps": "is set by Anneal; use checkpoint.every",
        "/args/optim": "is set by Anneal; use params.optimizer",
        "/args/padding_free": "is set by Anneal; use params.packing",
        "/args/per_device_train_batch_size": "is set by Anneal; use params.micro_batch_size",
    }


def test_misspelt_names_and_wrong_types_are_told_at_once():
    found = problems(neftune_noise_alfa=5, torch_compile="yes", label_names=7, torch_empty_cache_steps=1.5)
    assert found["/args/neftune_noise_alfa"].endswith("(did you mean 'neftune_noise_alpha'?)")
    assert found["/args/torch_compile"] == "must be bool, not 'yes'"
    assert found["/args/label_names"] == "must be list or null, not 7"
    assert found["/args/torch_empty_cache_steps"] == "must be int or null, not 1.5"


def test_what_trl_itself_refuses_is_the_jobs_fault():
    assert list(problems(dataloader_prefetch_factor=2)) == ["/args"]  # There are no workers that could prefetch.


def test_every_argument_that_anneal_gives_is_told_as_its_own(tmp_path, monkeypatch):
    body = {"model": "/m", "dataset": "/d"}
    request = TrainRequest.parse(Job("train", body, {}, tmp_path, tmp_path, tmp_path / "metrics"), {})
    shared = loading.arguments(request, 3, False, tmp_path, "none")
    given = {}
    monkeypatch.setattr(sft_trainer, "configured", lambda config, further, **own: given.update(own))
    sft_trainer.configuration(request, shared)
    assert given.keys() > shared.keys()
    assert [name for name in given if arguments.instead_of(name, SFTConfig) is None] == []


def test_what_trl_would_do_for_preferences_is_refused_there_alone():
    found = problems(DPOConfig, beta=0.5, loss_type=["ipo"], optim="adafactor", disable_dropout=True)
    assert found == {
        "/args/beta": "is set by Anneal; use params.beta",
        "/args/loss_type": "is set by Anneal; use method",
        "/args/optim": "is set by Anneal; use params.optimizer",
        "/args/disable_dropout": "is set by Anneal itself",
    }
    assert arguments.instead_of("loss_type", SFTConfig) is None


def test_the_listing_is_what_the_daemon_checks_by(capsys):
    assert arguments.main(["dpo"]) == 0
    answer = json.loads(capsys.readouterr().out)
    listing = answer["methods"]["dpo"]
    assert listing["config"].startswith("DPOConfig of TRL ")
    assert listing["arguments"]["neftune_noise_alpha"] == ["float", "null"]
    assert listing["arguments"]["torch_compile"] == ["bool"] and listing["reserved"]["adam_beta1"] == "params.beta1"
    assert not listing["arguments"].keys() & listing["reserved"].keys()
    assert listing["arguments"].keys() | listing["reserved"].keys() == arguments.known_arguments(DPOConfig).keys()
    files = {file["path"]: (file["modified_ns"], file["bytes"]) for file in answer["files"]}
    assert {inspect.getfile(DPOConfig), inspect.getfile(TrainingArguments), os.path.abspath(arguments.__file__)} <= files.keys()
    assert all((os.stat(path).st_mtime_ns, os.stat(path).st_size) == found for path, found in files.items())


def test_a_listing_without_methods_is_of_all_and_without_trl_says_so(capsys, monkeypatch):
    assert arguments.main([]) == 0
    assert json.loads(capsys.readouterr().out)["methods"].keys() == arguments.CONFIGS.keys() == set(methods.NAMES)
    monkeypatch.setitem(sys.modules, "trl", None)
    assert arguments.main([]) == 1
    assert "trl" in json.loads(capsys.readouterr().out)["error"]


def test_every_method_has_its_configuration():
    for method in arguments.CONFIGS:
        assert len(arguments.known_arguments(arguments.config_class(method))) > 100
    with pytest.raises(BadRequest):
        arguments.config_class("alchemy")
    assert arguments.main(["alchemy"]) == 64
