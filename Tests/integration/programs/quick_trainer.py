"""A training without a model: it renames one checkpoint after the other into place and removes old ones, until the file $FLAG is there."""

import json
import os
import pathlib
import shutil
import threading

folder = pathlib.Path(os.environ["ANNEAL_CHECKPOINT_DIR"])
flag = pathlib.Path(os.environ["FLAG"])
steps_max, kept = int(os.environ.get("STEPS", 1 << 30)), int(os.environ.get("KEPT", 2))
never = threading.Event()
step = max((int(path.name[5:]) for path in folder.glob("step_*")), default=0)
while step < steps_max and not flag.exists():
    step += 1
    made = folder / f"tmp_{step}"
    made.mkdir(parents=True)
    (made / "model.bin").write_bytes(os.urandom(1 << 16))
    (made / "checkpoint.json").write_text(json.dumps({"step": step, "metrics": {"val_loss": 1 / step}}))
    made.rename(folder / f"step_{step}")
    shutil.rmtree(folder / f"step_{step - kept}", ignore_errors=True)
    never.wait(0.1)
last = {"type": "checkpoint", "path": str(folder / f"step_{step}"), "step": step, "metrics": {"val_loss": 1 / step}}
pathlib.Path(os.environ["ANNEAL_OUTPUTS"]).write_text(json.dumps({"outputs": {"checkpoint.last": last, "checkpoint.best": last, "model": last}}))
