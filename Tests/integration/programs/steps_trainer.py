"""A training without a model: it saves checkpoints as the trainer does, with the trainer's retention, when it is told to.

`STEPS` lists `step:mode` pairs; a checkpoint holds a file `mode`, by which `mode_server.py` knows how it answers. Before each step the
program waits for a file `<FLAGS>/<step>`, and before its end for `<FLAGS>/end`. It resumes behind the last checkpoint.
"""

import os
import pathlib
import threading

from anneal_trainer.checkpoints import CheckpointFolder
from anneal_trainer.job import Job, write_outputs
from anneal_trainer.metrics import MetricsLog

never = threading.Event()
flags = pathlib.Path(os.environ["FLAGS"])


def wait_for(name):
    """Returns once the file is there."""
    while not (flags / name).exists():
        never.wait(0.02)


job = Job.read(os.environ)
rules = job.spec.get("checkpoint", {})
folder = CheckpointFolder(job.checkpoint_dir, "val_loss", "min", rules.get("keep_top_k", 3), job.checkpoints_awaited, job.checkpoints_kept)
folder.prepare()
done = max((checkpoint.step for checkpoint in folder.complete()), default=-1)
metrics = MetricsLog(job.metrics_path)
for entry in os.environ["STEPS"].split(","):
    step, mode = entry.split(":", 1)
    if int(step) <= done:
        continue
    wait_for(step)
    (folder.begin(int(step)) / "mode").write_text(mode)
    metrics.write(int(step), {"train/loss": 1 / int(step)})
    folder.commit(int(step), 0.0, {"val_loss": 1 / int(step)}, True)
    folder.thin_out()
wait_for("end")
metrics.close()
ranked = folder.ranked()
names = {"checkpoint.best": ranked[0], "checkpoint.last": max(ranked, key=lambda checkpoint: checkpoint.step), "model": ranked[0]}
outputs = {
    name: {"type": "checkpoint", "path": str(found.path), "step": found.step, "metrics": found.metrics} for name, found in names.items()
}
write_outputs(pathlib.Path(os.environ["ANNEAL_OUTPUTS"]), outputs, {})
