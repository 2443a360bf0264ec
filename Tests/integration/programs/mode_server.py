"""`transformers serve MODEL …` for models that are a file `mode`: the small server of the worker's tests in that mode."""

import os
import pathlib
import sys

SERVER = pathlib.Path(__file__).resolve().parents[2] / "WorkerTests" / "fake_server.py"
model, rest = sys.argv[2], sys.argv[3:]
mode = (pathlib.Path(model) / "mode").read_text()
os.execv(sys.executable, [sys.executable, "-B", str(SERVER), "--mode", mode, *rest])
