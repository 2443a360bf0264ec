"""Generating responses by a vLLM server at a URL, through its OpenAI-compatible completions."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import EXIT_FAILED, BadRequest, WorkerError
from .generation import Generated, Request, Sampling, finished

if TYPE_CHECKING:
    from .grpo_trainer import GRPORun
    from .rl_settings import RolloutSettings

#: Bytes of one reply, tries of one request, and the longest pause between them in seconds.
REPLY_BYTES_MAX = 64 << 20
TRIES = 6
PAUSE_SECONDS_MAX = 15.0
#: Where the weights for the server are written, inside the job's checkpoint folder.
WEIGHTS_NAME = "tmp_rollout_weights"
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)


class ServerGenerator:
    """Asks for tokens by tokens, with one log-probability each and the response's own seed.

    With `weight_update: reload` the weights are written into a folder that the server can read too, and the server is
    told to
    load them (vLLM's development endpoint `/collective_rpc`, method `reload_weights`; VLLM_SERVER_DEV_MODE=1). With
    `none` it
    keeps those that it has, and the importance correction makes up for the difference.
    """

    def __init__(self, trainer: GRPORun, rollout: RolloutSettings, end_ids: Sequence[int]):
        self.trainer = trainer
        self.url = rollout.url.rstrip("/").removesuffix("/v1")
        self.settings = rollout
        self.end_ids = sorted(set(end_ids))
        self.model: str | None = None
        self.loaded_step = 0

    def update(self) -> None:
        """Bring the weights of now to the server, where it is not to keep its own."""
        trainer = self.trainer
        step = trainer.state.global_step
        if self.settings.weight_update == "none" or step == self.loaded_step:
            return
        folder = Path(trainer.args.output_dir) / WEIGHTS_NAME
        trainer.accelerator.wait_for_everyone()
        trainer.save_weights(folder)
        trainer.accelerator.wait_for_everyone()
        if trainer.is_world_process_zero():
            body = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
            self.post("/collective_rpc", body, "cannot load the weights; start it with VLLM_SERVER_DEV_MODE=1")
            self.post("/reset_prefix_cache", {}, "cannot forget its cache; start it with VLLM_SERVER_DEV_MODE=1")
        trainer.accelerator.wait_for_everyone()
        self.loaded_step = step

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Generated]:
        """Responses in the order of the requests, so many asked for at once."""
        if self.model is None:
            self.model = self.model_name()
        with ThreadPoolExecutor(max_workers=min(self.settings.batch_size, max(1, len(requests)))) as pool:
            return list(pool.map(lambda request: self.one(request, sampling), requests))

    def one(self, request: Request, sampling: Sampling) -> Generated:
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": request.prompt_ids,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": request.seed % 2**31,
            "logprobs": 0,
            "stop_token_ids": self.end_ids,
            "return_token_ids": True,
        }
        if sampling.top_k is not None:
            body["top_k"] = sampling.top_k
        reply = self.post("/v1/completions", body, "refuses to generate")
        try:
            choice = reply["choices"][0]
            ids, logprobs = choice["token_ids"], choice["logprobs"]["token_logprobs"]
            if len(ids) != len(logprobs):
                raise ValueError(f"{len(ids)} tokens came with {len(logprobs)} log-probabilities")
            return finished([int(token) for token in ids], [float(value or 0.0) for value in logprobs], self.end_ids)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            detail = f"the reply of {self.url} lacks token_ids or logprobs ({error})"
            hint = "; a vLLM server of 0.10.2 or later has them"
            raise BadRequest.at("/params/rollout/url", detail + hint) from error

    def model_name(self) -> str:
        """What the server calls its model."""
        reply = self.send("/v1/models", None, "does not tell its model")
        try:
            return reply["data"][0]["id"]
        except (KeyError, IndexError, TypeError) as error:
            raise BadRequest.at("/params/rollout/url", f"{self.url}/v1/models names no model") from error

    def post(self, path: str, body: dict, wrong: str) -> Any:
        return self.send(path, json.dumps(body).encode(), wrong)

    def send(self, path: str, body: bytes | None, wrong: str) -> Any:
        """One request after so many tries; an answer that no other try will change ends the run."""
        last = ""
        for turn in range(TRIES):
            if turn:
                time.sleep(min(PAUSE_SECONDS_MAX, 0.5 * 2 ** (turn - 1)))
            request = urllib.request.Request(self.url + path, data=body, headers={"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=self.settings.timeout_seconds) as reply:
                    data = reply.read(REPLY_BYTES_MAX + 1)
                if len(data) > REPLY_BYTES_MAX:
                    raise ValueError(f"the reply is longer than {REPLY_BYTES_MAX} bytes")
                return json.loads(data) if data.strip() else None
            except urllib.error.HTTPError as error:
                last = f"HTTP {error.code}: {error.read(300).decode(errors='replace').strip()}"
                if error.code not in PASSING:
                    raise BadRequest.at("/params/rollout/url", f"the server {self.url} {wrong} ({last})") from error
            except (OSError, ValueError) as error:
                last = str(error)
        raise WorkerError(EXIT_FAILED, "server_unavailable", f"the server {self.url} {wrong}: {last}")
