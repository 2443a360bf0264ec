"""Registers a model and an evaluation, as a job of kind command that knows nothing but the worker contract."""

import json
import os
import pathlib

output = pathlib.Path(os.environ["ANNEAL_OUTPUT_DIR"])
model = output / "model"
model.mkdir(parents=True, exist_ok=True)
(model / "config.json").write_text("{}")
items = output / "items.jsonl"
items.write_text("".join(json.dumps({"index": index, "score": index % 2}) + "\n" for index in range(4)))
benchmark = {
    "name": "toy", "dataset": {"sha256": "0" * 64, "path": str(items)}, "samples": 1, "grader": "exact", "settings": {}, "item_count": 4,
    "metrics": {"accuracy": {"value": 0.5, "stderr": 0.25}}, "items": str(items), "item_scores": [0, 1, 0, 1],
}
evaluation = output / "evaluation.json"
evaluation.write_text(json.dumps({"version": 1, "model": str(model), "server": {"engine": "transformers"}, "benchmarks": [benchmark]}))
outputs = {
    "model": {"type": "checkpoint", "path": str(model), "step": 4, "metrics": {}},
    "evaluation": {"type": "evaluation", "path": str(evaluation)},
}
pathlib.Path(os.environ["ANNEAL_OUTPUTS"]).write_text(json.dumps({"outputs": outputs, "summary": {}}))
