"""What the trainer's tests share: a tiny model, data files, and workers run in this process or in one of their own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# One thread makes sums the same on every machine.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest

from anneal_trainer.job import Job
from anneal_trainer.signals import StopSignals

PACKAGE = Path(__file__).resolve().parents[2] / "Sources" / "trainer"


def times_ten(numbers) -> list[dict]:
    """Conversations that multiply by ten."""
    return [
        {"messages": [{"role": "user", "content": f"{i}*10=?"}, {"role": "assistant", "content": f"{i * 10}"}]}
        for i in numbers
    ]


def write_lines(path: Path, records: list) -> Path:
    """A JSON Lines file; text is written as it is, so that a test can write a broken line."""
    lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def read_metrics(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def curve(path: Path, key: str) -> list[tuple[int, float]]:
    """The (step, value) points of a metric."""
    return [(line["step"], line[key]) for line in read_metrics(path) if key in line]


class JSONHandler(BaseHTTPRequestHandler):
    """Answers with JSON and keeps quiet."""

    def answer(self, document: dict) -> None:
        """Send a document with status 200."""
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_) -> None:
        pass


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port of the loopback address; gives the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Attempt:
    """The folders of one job, and ways to run attempts at it."""

    def __init__(self, folder: Path, kind: str, spec: dict):
        self.folder = folder
        self.kind = kind
        self.spec = {"kind": kind, **spec}
        self.checkpoints = folder / "checkpoints"
        self.outputs = folder / "outputs"
        self.number = 0
        #: How many GPUs it is given; the launcher starts a process for each.
        self.gpus = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def metrics(self) -> Path:
        return self.folder / f"metrics-{self.number}.jsonl"

    def here(self) -> tuple[int, dict, dict]:
        """Run in this process: exit code, outputs, summary. Failures are raised."""
        from anneal_trainer import convert, training

        self.number += 1
        job = Job(self.kind, self.spec, {}, self.checkpoints, self.outputs, self.metrics)
        return training.train(job, StopSignals()) if self.kind == "train" else convert.convert(job)

    def start(self, launcher: list[str] | None = None, **environment: str) -> subprocess.Popen:
        """Start a process of its own, as anneald would, or through a module that launches several."""
        self.number += 1
        document = {"version": 1, "kind": self.kind, "spec": self.spec, "inputs": {}, "gpus": ["GPU"] * self.gpus}
        (self.folder / "job.json").write_text(json.dumps(document), encoding="utf-8")
        variables = {
            "ANNEAL_SPEC": str(self.folder / "job.json"),
            "ANNEAL_CHECKPOINT_DIR": str(self.checkpoints),
            "ANNEAL_OUTPUT_DIR": str(self.outputs),
            "ANNEAL_METRICS": str(self.metrics),
            "ANNEAL_OUTPUTS": str(self.folder / "outputs.json"),
            "PYTHONPATH": str(PACKAGE),
            **environment,
        }
        return subprocess.Popen(
            [sys.executable, "-m", *(launcher or []), "anneal_trainer"],
            env=os.environ | variables,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, launcher: list[str] | None = None, **environment: str) -> tuple[int, dict, str]:
        """Run a process of its own to its end: exit code, outputs.json (empty when there is none), stdout."""
        (self.folder / "outputs.json").unlink(missing_ok=True)
        process = self.start(launcher, **environment)
        stdout, self.stderr = process.communicate()
        path = self.folder / "outputs.json"
        return process.returncode, json.loads(path.read_text()) if path.exists() else {}, stdout


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A llama of two layers, with dropout, so that a resume that loses the random state is found out."""
    folder = tmp_path_factory.mktemp("tiny")
    data = write_lines(folder / "texts.jsonl", times_ten(range(64)))
    spec = {
        "create": {
            "architecture": "llama",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 128,
        },
        "tokenizer": {"type": "byte_bpe", "train_on": str(data), "vocab_size": 320},
    }
    Attempt(folder / "job", "convert", spec).here()
    model = folder / "job" / "outputs" / "model"
    config = json.loads((model / "config.json").read_text())
    config["attention_dropout"] = 0.1
    (model / "config.json").write_text(json.dumps(config))
    return model


@pytest.fixture
def plain_model(tiny_model, tmp_path) -> Path:
    """The tiny model without dropout, for what is computed by hand."""
    model = tmp_path / "plain"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text())
    config["attention_dropout"] = 0.0
    (model / "config.json").write_text(json.dumps(config))
    return model


@pytest.fixture
def training(tmp_path, tiny_model):
    """Makes train jobs on the tiny model: `training(name, params, checkpoint=…, records=…, validation=…, model=…)`."""

    def make(name: str, params: dict, checkpoint=None, records=None, validation=None, model=None) -> Attempt:
        folder = tmp_path / name
        folder.mkdir()
        spec = {
            "method": "sft",
            "model": str(model or tiny_model),
            "dataset": str(write_lines(folder / "train.jsonl", records or times_ten(range(40)))),
            "params": {"learning_rate": 1e-3, "max_length": 64, **params},
        }
        if validation is not None:
            spec["validation"] = str(write_lines(folder / "validation.jsonl", validation))
        if checkpoint is not None:
            spec["checkpoint"] = checkpoint
        return Attempt(folder, "train", spec)

    return make
