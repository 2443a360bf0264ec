"""A training without a model, for short allocations: it saves each step, and on SIGTERM ends with 75 after the step that it is at.

Before each step it waits for a file `<FLAGS>/<step>`. The loss is a function of all steps before, so that a step that was lost or done
twice would show in the curve.
"""

import json
import os
import pathlib
import signal
import sys
import threading

STEPS = int(sys.argv[1])
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
flags = pathlib.Path(os.environ["FLAGS"])
state_file = pathlib.Path(os.environ["ANNEAL_CHECKPOINT_DIR"]) / "state.json"
state = json.loads(state_file.read_text()) if state_file.exists() else {"step": 0, "loss": 1.0}
print(f"attempt {os.environ['ANNEAL_ATTEMPT']} goes on from step {state['step']}", flush=True)
with open(os.environ["ANNEAL_METRICS"], "a", buffering=1) as metrics:
    while state["step"] < STEPS:
        while not (flags / str(state["step"] + 1)).exists():
            if ended.wait(0.02):
                sys.exit(75)
        state = {"step": state["step"] + 1, "loss": state["loss"] * 0.75 + state["step"] / 1000}
        metrics.write(json.dumps({"step": state["step"], "train/loss": state["loss"]}) + "\n")
        temporary = state_file.with_suffix(".tmp")
        temporary.write_text(json.dumps(state))
        temporary.rename(state_file)
