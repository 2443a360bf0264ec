"""Engines of rollouts other than transformers, each against a stand-in for the program at its other side."""

import json
import sys
import types

import pytest

from anneal_trainer.errors import BadRequest, WorkerError
from anneal_trainer.generation import Request, Sampling
from anneal_trainer.rl_settings import parse_rollout
from anneal_trainer.fields import Fields
from anneal_trainer.server_generation import ServerGenerator
from conftest import JSONHandler, serving

SAMPLING = Sampling(0.7, 0.9, 5, 4)


class Accelerator:
    def wait_for_everyone(self) -> None: ...


class Trainer:
    """What an engine asks of the trainer."""

    def __init__(self, folder):
        self.args = types.SimpleNamespace(output_dir=str(folder))
        self.state = types.SimpleNamespace(global_step=0)
        self.accelerator = Accelerator()
        self.saved = []

    def is_world_process_zero(self) -> bool:
        return True

    def save_weights(self, folder) -> None:
        self.saved.append(str(folder))


@pytest.fixture
def server():
    """A stand-in for vLLM's server: repeats the last prompt token, ends with token 2 where the prompt is even."""

    class Handler(JSONHandler):
        asked, failures, ids = [], 0, True

        def do_GET(self):
            self.answer({"data": [{"id": "policy"}]})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            Handler.asked.append((self.path, body))
            if Handler.failures:
                Handler.failures -= 1
                return self.send_error(500)
            if self.path != "/v1/completions":
                return self.answer({})
            last = body["prompt"][-1]
            ids = [last, 2] if last % 2 == 0 else [last] * body["max_tokens"]
            choice = {"token_ids": ids, "logprobs": {"token_logprobs": [-0.5] * len(ids)}, "text": "x"}
            if not Handler.ids:
                choice.pop("token_ids")
            self.answer({"choices": [choice]})

    with serving(Handler) as Handler.url:
        yield Handler


def rollout(**settings):
    return parse_rollout(Fields({"rollout": {"engine": "server", **settings}}, "/params", []))


def test_a_server_is_asked_for_tokens_and_gets_new_weights(server, tmp_path, monkeypatch):
    monkeypatch.setattr("anneal_trainer.server_generation.time.sleep", lambda _: None)
    trainer = Trainer(tmp_path)
    generator = ServerGenerator(trainer, rollout(url=server.url + "/v1", batch_size=1), [2])
    generator.update()
    assert not server.asked  # the server begins with the same weights
    server.failures = 1
    found = generator.generate([Request([5, 8], 2**40 + 3), Request([7], 1)], SAMPLING)
    assert [vars(one) for one in found] == [
        {"ids": [8, 2], "logprobs": [-0.5, -0.5], "truncated": False},
        {"ids": [7] * 4, "logprobs": [-0.5] * 4, "truncated": True},
    ]
    path, body = server.asked[-1]
    assert path == "/v1/completions" and len(server.asked) == 3
    assert body == {
        "model": "policy", "prompt": [7], "max_tokens": 4, "temperature": 0.7, "top_p": 0.9, "top_k": 5, "seed": 1, "logprobs": 0,
        "stop_token_ids": [2], "return_token_ids": True,
    }
    trainer.state.global_step = 3
    generator.update()
    generator.update()
    weights = str(tmp_path / "tmp_rollout_weights")
    assert trainer.saved == [weights]
    assert [path for path, _ in server.asked[3:]] == ["/collective_rpc", "/reset_prefix_cache"]
    assert server.asked[3][1] == {"method": "reload_weights", "kwargs": {"weights_path": weights}}


def test_a_server_that_cannot_serve_rollouts_is_told_of(server, tmp_path, monkeypatch):
    monkeypatch.setattr("anneal_trainer.server_generation.time.sleep", lambda _: None)
    generator = ServerGenerator(Trainer(tmp_path), rollout(url=server.url, weight_update="none"), [2])
    server.ids = False
    with pytest.raises(BadRequest, match="lacks token_ids or logprobs"):
        generator.generate([Request([4], 1)], SAMPLING)
    server.failures = 99
    with pytest.raises(WorkerError, match="refuses to generate: HTTP 500"):
        generator.generate([Request([4], 1)], SAMPLING)
    trainer = generator.trainer
    trainer.state.global_step = 9
    generator.update()
    assert trainer.saved == []


def test_vllm_in_the_process_is_given_new_weights_and_its_answers_are_read(tmp_path, monkeypatch):
    """TRL's engine needs vLLM and a GPU; here a stand-in of the same face takes its place."""
    calls = []

    class Engine:
        def __init__(self, model, accelerator, tokenizer, **options):
            calls.append(("made", options))

        def sync_weights(self):
            calls.append(("weights",))

        def generate(self, prompts, images, num_generations):
            calls.append(("asked", prompts, num_generations, self.temperature, self.top_p, self.top_k, self.generation_kwargs))
            return prompts, [[9, 2], [9, 9]], [[[-0.1], [-0.2]], [[-0.3], [None]]], None

    # The real module's interface: what the stand-in takes must be what TRL's engine takes.
    import inspect

    from trl.generation import vllm_generation as real

    assert {"mode", "gpu_memory_utilization", "max_model_length", "max_num_seqs", "enable_sleep_mode", "max_completion_length",
            "logprobs"} <= inspect.signature(real.VLLMGeneration.__init__).parameters.keys()
    assert list(inspect.signature(real.VLLMGeneration.generate).parameters)[1:4] == ["prompts", "images", "num_generations"]
    monkeypatch.setattr(real, "VLLMGeneration", Engine)
    sys.modules.pop("anneal_trainer.vllm_generation", None)
    from anneal_trainer.vllm_generation import VllmGenerator

    trainer = Trainer(tmp_path)
    trainer.model, trainer.processing_class = "model", "tokenizer"
    trainer.request = types.SimpleNamespace(max_length=64)
    trainer.settings = types.SimpleNamespace(rollout=parse_rollout(Fields({}, "/params", [])), max_new_tokens=4)
    generator = VllmGenerator(trainer, [2])
    generator.update()
    found = generator.generate([Request([1], 5), Request([3], 6)], SAMPLING)
    sys.modules.pop("anneal_trainer.vllm_generation", None)
    assert [vars(one) for one in found] == [
        {"ids": [9, 2], "logprobs": [-0.1, -0.2], "truncated": False},
        {"ids": [9, 9], "logprobs": [-0.3, 0.0], "truncated": True},
    ]
    assert calls[0][1]["mode"] == "colocate" and calls[0][1]["max_model_length"] == 64
    assert calls[1] == ("weights",) and calls[2][:6] == ("asked", [[1], [3]], 1, 0.7, 0.9, 5)
    assert calls[2][6]["stop_token_ids"] == [2]
