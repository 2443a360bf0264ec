"""What the parts of the GPU trial share: sizes, data, the daemon, and where results go."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import daemon as harness  # noqa: E402

#: Never set: what waits between two looks waits for its time-out.
NEVER = threading.Event()
ENDED = ("succeeded", "failed", "cancelled", "skipped", "lost")


class Skipped(Exception):
    """A part that cannot be done here; the text names what is missing."""


class Failed(Exception):
    """A part that came to no result; the text says why."""


@dataclass(frozen=True)
class Sizes:
    """How large models and runs are."""

    #: Fields of `convert`'s `create`.
    large: dict[str, Any]
    small: dict[str, Any]
    #: Digits of an answer, least and most; each is a token.
    large_digits: tuple[int, int]
    small_digits: tuple[int, int]
    large_steps: int
    #: Steps before the clock starts.
    warm_steps: int
    small_steps: int
    large_batch: int
    large_micro_batch: int


#: 0.5 B parameters: 32 layers of 15.7 M.
FULL = Sizes(
    large=dict(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=32, num_attention_heads=16, num_key_value_heads=8,
        max_position_embeddings=2048,
    ),
    small=dict(hidden_size=512, intermediate_size=2048, num_hidden_layers=8, num_attention_heads=8, max_position_embeddings=1024),
    large_digits=(960, 1000), small_digits=(200, 240), large_steps=60, warm_steps=10, small_steps=300, large_batch=32, large_micro_batch=8,
)  # fmt: skip
#: The same on a CPU, to see that the script itself is right.
DRY = Sizes(
    large=dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=256),
    small=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=256),
    large_digits=(60, 90), small_digits=(20, 30), large_steps=8, warm_steps=2, small_steps=60, large_batch=8, large_micro_batch=4,
)  # fmt: skip

#: What keeps several GPUs in order on some machines; workers get a clean environment, so it is handed on.
HANDED_ON = ("NCCL_", "TORCH_SYMM_MEM_", "NVSHMEM_", "CUBLAS_")


class Workbench:
    """The running daemon, its folder, and the results so far."""

    def __init__(self, daemon: harness.Daemon, work: pathlib.Path, out: pathlib.Path, is_dry: bool):
        self.daemon = daemon
        self.work = work
        self.out = out
        self.is_dry = is_dry
        self.sizes = DRY if is_dry else FULL
        self.results: list[dict] = []
        self.curves: dict[str, dict[str, list]] = {}
        self.paths: dict[str, pathlib.Path] = {}
        self.losses: dict[str, list[tuple[int, float]]] = {}
        self.part = ""
        self.deadline = 0.0
        self.inventory = self.get("/v1/gpus")
        self.gpus = self.inventory["data"]

    # Results

    def tell(self, name: str, value: Any, unit: str = "", bar: str = "", met: bool | None = None, **more: Any) -> None:
        """Prints one figure as a JSON line and keeps it for the table."""
        result = {"part": self.part, "name": name, "value": value, "unit": unit, "bar": bar, "met": met, **more}
        self.results.append(result)
        line = json.dumps(result)
        print(line, flush=True)
        with (self.out / "results.jsonl").open("a") as file:
            file.write(line + "\n")

    def keep_curves(self, job: dict, keys: tuple[str, ...]) -> None:
        """Puts a job's curves, as the daemon gives them, among the results; keys may end in `*`."""
        names = self.keys(job)
        wanted = [name for name in names if any(name == key or (key.endswith("*") and name.startswith(key[:-1])) for key in keys)]
        label = f"{self.part}/{job['name']}"
        for name in wanted:
            points = self.curve(job, name, points=400)
            self.curves.setdefault(label, {})[name] = [[point["step"], point["value"], point["attempt"]] for point in points]

    def write_out(self) -> None:
        """The curves and the end of the daemon's log, beside the results that are there already."""
        (self.out / "curves.json").write_text(json.dumps(self.curves))
        (self.out / "daemon.log").write_text(self.daemon.log.read_text()[-200_000:])

    # The daemon

    def get(self, path: str) -> Any:
        status, answer = self.daemon.call("GET", path)
        if status != 200:
            raise Failed(f"GET {path} answered {status}: {str(answer)[:300]}")
        return answer

    def curve(self, job: dict, key: str, points: int = 100_000) -> list[dict]:
        """The points of a curve: `step`, `value`, `attempt`."""
        return self.get(f"/v1/jobs/{job['id']}/metrics?key={key.replace('/', '%2F')}&points={points}")["points"]

    def keys(self, job: dict) -> dict[str, dict]:
        """A job's metrics in brief: `count`, `last_step`, `last`, `min`, `max` by key."""
        return {entry["key"]: entry for entry in self.get(f"/v1/jobs/{job['id']}/metrics")["keys"]}

    def submit(self, name: str, jobs: dict[str, dict]) -> dict[str, dict]:
        """Submits jobs as one experiment; returns them by name. What the daemon refuses is told in its own words."""
        environment = {key: value for key, value in os.environ.items() if key.startswith(HANDED_ON)}
        if self.is_dry:
            environment["OMP_NUM_THREADS"] = "1"
        spec = {"name": f"{self.part}-{name}", "env": environment, "jobs": jobs}
        status, answer = self.daemon.call("POST", "/v1/experiments", spec)
        if status != 201:
            errors = "; ".join(f"{error['pointer']}: {error['detail']}" for error in answer.get("errors", []))
            raise Failed(f"the spec was refused: {errors or answer}")
        return {job["name"]: self.job(job) for job in answer["jobs"]}

    def job(self, job: dict) -> dict:
        return self.get(f"/v1/jobs/{job['id']}")

    def wait(self, what: str, condition: Callable[[], Any], seconds: float | None = None) -> Any:
        """The first true value of `condition()`; `Failed` once the part's time, or `seconds`, are over."""
        end = min(self.deadline, time.monotonic() + (seconds or 1e9))
        while time.monotonic() < end:
            if value := condition():
                return value
            NEVER.wait(0.1)
        raise Failed(f"{what} did not come about in time")

    def end(self, job: dict) -> dict:
        """The job once it has ended, however."""

        def look() -> dict | None:
            view = self.job(job)
            return view if view["state"] in ENDED else None

        try:
            return self.wait(f"the end of {job['name']}", look)
        except Failed:
            self.daemon.call("POST", f"/v1/jobs/{job['id']}/cancel")
            with contextlib.suppress(Failed):
                self.deadline += 40
                self.wait("the end of a cancelled job", look, 40)
            raise Failed(f"{job['name']} took too long: {self.tail(job)}") from None

    def run(self, name: str, jobs: dict[str, dict]) -> dict[str, dict]:
        """Submits jobs, waits for all, and fails with the end of the log of the first that failed."""
        ended = {key: self.end(job) for key, job in self.submit(name, jobs).items()}
        for job in ended.values():
            self.check(job)
        return ended

    def check(self, job: dict) -> None:
        if job["state"] != "succeeded":
            raise Failed(f"{job['name']} is {job['state']}: {job['message']}: {self.tail(job)}")

    def tail(self, job: dict) -> str:
        """The last lines that a job printed."""
        texts = []
        for stream in ("stdout", "stderr"):
            status, log = self.daemon.call("GET", f"/v1/jobs/{job['id']}/logs?stream={stream}&tail=20")
            texts.append((log if isinstance(log, bytes) else b"").decode(errors="replace") if status == 200 else "")
        return "\n".join(texts)[-3000:]

    # Devices

    def device_bytes(self) -> int:
        """Memory of the first GPU."""
        return int(self.gpus[0]["memory_bytes"])

    def tell_empty(self, job: dict) -> None:
        """Whether the GPUs have no process left once a job has ended, by the driver's own list."""
        if self.is_dry or not shutil.which("nvidia-smi"):
            return
        pids: list[str] = []

        def look() -> bool:
            command = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader"]
            pids[:] = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")[:-1]
            return not pids

        begun = time.monotonic()
        with contextlib.suppress(Failed):
            self.wait("an empty device", look, 10)
        held = [gpu["index"] for gpu in self.get("/v1/gpus")["data"] if gpu["state"] != "free"]
        seconds = round(time.monotonic() - begun, 2)
        self.tell(f"device empty after {job['name']}", not pids and not held, "", "yes", not pids and not held, seconds=seconds)

    def tell_gpu_metrics(self, job: dict) -> None:
        """Which readings of GPUs stand among the job's own metrics."""
        readings = {key: entry for key, entry in self.keys(job).items() if ".gpu." in key or key.startswith("gpu/")}
        util = [entry["max"] for key, entry in readings.items() if key.endswith(".util")]
        most = max((value for value in util if isinstance(value, (int, float))), default=None)
        self.tell(f"GPU readings of {job['name']}", len(readings), "series", "> 0", len(readings) > 0, highest_utilization=most)
        self.keep_curves(job, ("ray/*", "gpu/*"))

    # Jobs

    def train_job(self, model: str, data: pathlib.Path, params: dict, **more: Any) -> dict:
        """The body of a supervised fine-tuning on one GPU; nothing of it is answered from the cache."""
        resources = more.pop("resources", {"gpus": 1})
        return {
            "kind": "train", "method": "sft", "model": model, "dataset": str(data), "params": params, "resources": resources,
            "cache": False, **more,
        }  # fmt: skip

    def model(self, size: str) -> str:
        """The folder of the model `large` or `small`, made by the first part that asks for it."""
        if size not in self.paths:
            create = {"architecture": "llama", "dtype": "bfloat16", **getattr(self.sizes, size)}
            tokenizer = {"type": "byte_bpe", "train_on": str(self.data(size)), "vocab_size": 512, "split_digits": True}
            body = {"kind": "convert", "create": create, "tokenizer": tokenizer, "chat_template": "chatml", "seed": 1}
            job = self.run(f"model-{size}", {"model": body})["model"]
            self.paths[size] = pathlib.Path(job["outputs"]["model"]["path"])
        return str(self.paths[size])

    def data(self, size: str) -> pathlib.Path:
        """Conversations whose answers are digits that go on in steps, so that there is something to learn."""
        path = self.work / f"{size}.jsonl"
        if path.exists():
            return path
        least, most = getattr(self.sizes, f"{size}_digits")
        count = self.sizes.large_steps * self.sizes.large_batch if size == "large" else 512
        draw = random.Random(5)
        with path.open("w") as file:
            for _ in range(count):
                first, step = draw.randrange(10), draw.randrange(1, 10)
                answer = "".join(str((first + step * i) % 10) for i in range(draw.randrange(least, most)))
                messages = [{"role": "user", "content": f"{first}+{step}"}, {"role": "assistant", "content": answer}]
                file.write(json.dumps({"messages": messages}) + "\n")
        return path


@contextlib.contextmanager
def service(work: pathlib.Path, gpus: str, configuration: str, more: dict) -> Iterator[harness.Daemon]:
    """The daemon of the trial; `more` stands in its configuration."""
    work.mkdir(parents=True, exist_ok=True)
    settings = work / "anneald.yaml"
    settings.write_text(json.dumps({"sample_interval": "1s", **more}))
    arguments = ["--config", str(settings), "--gpus", gpus]
    with harness.running(work / "anneal", configuration, arguments, environment=dict(os.environ)) as daemon:
        yield daemon
