#!/usr/bin/env python3
"""Tries Anneal on real GPUs and prints what it found: a JSON line for each figure, and a table at the end.

`run.sh` starts it from what `pack.sh` packed. Parts that cannot be done are skipped by name; a part that fails does not end the others;
each has a limit of time. Results: results.jsonl, table.txt, curves.json (the daemon's own curves) and daemon.log in the `--out` folder.
With `--dry` everything is tiny and runs on CPUs with simulated GPUs, which proves the script and no figure:

    ANNEAL_PROGRAMS=.build/debug ANNEAL_PYTHON=.venv/bin/python ANNEAL_TRAINER=Sources/trainer .venv/bin/python -B Tests/gpu/trial.py --dry
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cluster  # noqa: E402
import pair  # noqa: E402
import parts  # noqa: E402
from workbench import Failed, Skipped, Workbench, service  # noqa: E402

#: Part → what does it and the seconds it may take.
PARTS = {
    "inventory": (parts.inventory, 10),
    "sft": (parts.sft, 260),
    "same losses": (parts.same_losses, 150),
    "share": (parts.share, 90),
    "preemption": (parts.preemption, 200),
    "oom": (parts.oom, 120),
    "dpo": (parts.dpo, 70),
    "grpo": (parts.grpo, 80),
    "fsdp": (pair.fsdp, 120),
    "oom of two": (pair.oom_of_two, 120),
    "reshape": (pair.reshape, 100),
    "side by side": (pair.side_by_side, 120),
    "slurm": (cluster.allocations, 150),
    "slurm of two": (cluster.two_nodes, 120),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("gpu-results"))
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--dry", action="store_true", help="tiny sizes, CPUs, simulated GPUs")
    parser.add_argument("--gpus", type=int, default=2, help="simulated GPUs of a dry run")
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--seconds", type=float, default=520, help="the whole trial's limit")
    options = parser.parse_args()
    work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="anneal-gpu-"))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.jsonl").unlink(missing_ok=True)
    with contextlib.ExitStack() as stack:
        work.mkdir(parents=True, exist_ok=True)
        on_slurm = any(name.startswith("slurm") for name in options.parts)
        more = stack.enter_context(cluster.running(work / "slurm", options.dry)) if on_slurm else {}
        gpus = f"sim:{options.gpus}" if options.dry else "auto"
        daemon = stack.enter_context(service(work, gpus, "debug" if options.dry else "release", more))
        bench = Workbench(daemon, work, options.out, options.dry)
        run_parts(bench, options.parts, time.monotonic() + options.seconds)
        bench.write_out()
    table = as_table(bench.results)
    (options.out / "table.txt").write_text(table)
    print(table, flush=True)
    if options.work is None:
        shutil.rmtree(work)
    return 0


def run_parts(bench: Workbench, names: list[str], end: float) -> None:
    """Every part by its name, in order, as long as there is time."""
    for name in names:
        part, seconds = PARTS[name]
        bench.part = name.replace(" ", "-")
        begun = time.monotonic()
        if end - begun < 10:
            bench.tell("skipped", "no time was left")
            continue
        bench.deadline = min(end, begun + seconds)
        try:
            part(bench)
        except Skipped as reason:
            bench.tell("skipped", str(reason))
        except Failed as error:
            bench.tell("FAILED", str(error), met=False)
        except Exception as error:
            bench.tell("FAILED", f"{type(error).__name__}: {error}", met=False, trace=traceback.format_exc()[-1500:])
        print(f"# {name}: {time.monotonic() - begun:.1f} s", flush=True)
        bench.write_out()


def as_table(results: list[dict]) -> str:
    """The figures as lines for a person."""
    lines = [f"{'part':14} {'figure':36} {'value':>24} {'unit':9} {'bar':22} met"]
    for found in results:
        met = {True: "yes", False: "NO", None: ""}[found["met"]]
        value = str(found["value"]).replace("\n", " ")
        lines.append(f"{found['part']:14} {found['name']:36} {value[:100]:>24} {found['unit']:9} {found['bar']:22} {met}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    # A result that stands in a pipe is seen at once.
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
