"""Takes five steps, and waits for ever after them in its first attempt."""

import json
import os
import threading
import time

metrics = open(os.environ["ANNEAL_METRICS"], "a", buffering=1)
for step in range(1, 6):
    metrics.write(json.dumps({"step": step, "time": time.time(), "train/loss": 1.0}) + "\n")
    threading.Event().wait(0.05)
if os.environ["ANNEAL_ATTEMPT"] == "1":

    def wait_for_ever():
        threading.Event().wait()

    wait_for_ever()
