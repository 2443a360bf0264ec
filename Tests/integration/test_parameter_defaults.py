"""What is published of train jobs is what the trainer knows: the defaults of `anneal explain-params`, and the keys of any job."""

import json
import subprocess
import sys

import pytest
import yaml

from conftest import PROGRAMS, ROOT

sys.path.append(str(ROOT / "Sources" / "trainer"))

from anneal_trainer import fields, methods  # noqa: E402
from anneal_trainer.errors import BadRequest  # noqa: E402
from anneal_trainer.job import Job  # noqa: E402
from anneal_trainer.request import COMMON_KEYS, TrainRequest  # noqa: E402

#: Mappings that are read only where they are given.
OPENED = ("lora", "packing", "dynamic_batching", "overlong", "reward_scaling", "curriculum")
#: Every kind of reward, with what it needs.
REWARDS = [
    *({kind: {}} for kind in ("exact", "math", "choice", "format")),
    {"length": {"full_until": 1, "zero_from": 2}},
    {"judge": {"url": "http://judge", "model": "m"}},
    {"reward_model": {"model": "/m"}},
    {"python": {"file": "/f.py"}},
]


def published(entries, path=()):
    """Path of each key that has a default → that default, with the keys of mappings below their own."""
    found = {}
    for entry in entries:
        here = (*path, entry["name"])
        if "default" in entry:
            found[here] = entry["default"]
        found |= published(entry.get("parameters", []), here)
    return found


def filled_in(method, folder, monkeypatch):
    """Path of each key that the trainer looks for → what it takes where the key is left out."""
    found = {}
    take = fields.Fields.take

    def noting(self, key, default, check):
        place = f"{self.pointer}/{key}".split("/")[1:]
        found[tuple(name for name in place if not name.isdigit())] = default
        return take(self, key, default, check)

    monkeypatch.setattr(fields.Fields, "take", noting)
    params = {key: {} for key in OPENED} | {"rewards": REWARDS}
    job = Job("train", {"method": method, "params": params}, {}, folder, folder, folder / "metrics")
    with pytest.raises(BadRequest):
        # It lacks a model and has keys of other methods, and says so at its end.
        TrainRequest.parse(job, {})
    return found


@pytest.mark.parametrize("method", methods.NAMES)
def test_published_defaults_are_those_of_the_trainer(method, tmp_path, monkeypatch):
    told = subprocess.run([PROGRAMS / "anneal", "explain-params", "train", method, "--json"], stdout=subprocess.PIPE, check=True)
    guide, code = published(json.loads(told.stdout)["parameters"]), filled_in(method, tmp_path, monkeypatch)
    both = guide.keys() & code.keys()
    assert len(both) > 35, "the trainer reads its parameters elsewhere than this test looks"
    assert {path: guide[path] for path in both if guide[path] != code[path]} == {}


def test_the_trainer_passes_over_the_keys_that_any_job_may_have():
    schemas = yaml.safe_load((ROOT / "openapi.yaml").read_text())["components"]["schemas"]
    jobs = [set(schemas[name]["properties"]) for name in ("CommandJob", "PrepareJob", "EvaluateJob", "ServeJob")]
    assert set.intersection(*jobs) - COMMON_KEYS == set()
