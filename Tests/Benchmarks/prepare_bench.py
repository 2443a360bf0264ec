"""Preparation of data: ours beside the same work in Python, and how memory grows with the number of records."""

from __future__ import annotations

import filecmp
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

import measure
from harness import daemon as harness

#: The original program, written from its description; the tests hold our bytes to it.
REFERENCE = harness.ROOT / "Tests" / "DatasetsTests" / "reference_seed.py"
RECORDS = 200_000
RECORD_BYTES = 393
GROWTH = (20_000, 2_000_000)
TURNS = 5
#: A record's index entry: where it starts, its line, its answer, and its place in the orders of the steps.
INDEX_BYTES_MAX = 48
STEPS = [{"jcqa_rebalance": {"seed": 42}}, {"jcqa_messages": {}}, {"split": {"train": 0.9, "validation": 0.1, "seed": 42}}]
WORDS = ["犬", "猫", "学校", "水", "電車", "山", "海", "本", "机", "時計", "空", "花", "鳥", "魚", "車"]


def write_questions(path: pathlib.Path, count: int) -> None:
    """Questions in the form of JCommonsenseQA, each of about the bytes of the bar; the same in every run."""
    generator = random.Random(5)
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            choices = {f"choice{slot}": "".join(generator.choices(WORDS, k=3)) for slot in range(5)}
            question = "".join(generator.choices(WORDS, k=8)) + f"第{number}問はどれですか?"
            data = {"q_id": number, "question": question, **choices, "answer_index": generator.randrange(5)}
            record = {"jcqa_data": data, "persona": ""}
            missing = RECORD_BYTES - 1 - len(json.dumps(record, ensure_ascii=False).encode())
            record["persona"] = "p" * max(0, missing)
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def run(command: list[str], environment: dict[str, str] | None = None) -> tuple[float, int]:
    """Seconds of a program from start to end, and the most bytes that it had in memory."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise measure.CannotMeasure(f"{command[0]} ended with {process.returncode}")
    return seconds, usage.ru_maxrss * 1024


def prepare(folder: pathlib.Path, source: pathlib.Path, **keys) -> tuple[float, int]:
    """Seconds and bytes of our worker."""
    attempt = folder / "attempt"
    attempt.mkdir(parents=True, exist_ok=True)
    spec = {"source": {"file": str(source)}, "steps": STEPS, **keys}
    (attempt / "job.json").write_text(json.dumps({"version": 1, "kind": "prepare", "spec": spec, "inputs": {}, "gpus": []}))
    variables = {
        "ANNEAL_ATTEMPT_DIR": attempt, "ANNEAL_SPEC": attempt / "job.json", "ANNEAL_OUTPUT_DIR": folder / "outputs",
        "ANNEAL_METRICS": attempt / "metrics.jsonl", "ANNEAL_OUTPUTS": attempt / "outputs.json",
    }  # fmt: skip
    program = harness.program("anneal-worker", "release")
    return run([str(program)], os.environ | {name: str(value) for name, value in variables.items()})


def preparation(table, _cores, _daemon, folder: pathlib.Path) -> None:
    """The whole preparation of the first article, byte for byte."""
    if not harness.program("anneal-worker", "release").exists():
        raise measure.CannotMeasure("anneal-worker has no release build")
    source, peer = folder / "questions.jsonl", folder / "peer"
    peer.mkdir(exist_ok=True)
    write_questions(source, RECORDS)
    ours, theirs = [], []
    # In turns, so that both meet the same machine.
    for _ in range(TURNS):
        ours.append(prepare(folder / "ours", source, compat="seed"))
        theirs.append(run([sys.executable, "-B", str(REFERENCE), "prepare", str(source), str(peer)]))
    seconds, peer_seconds = (statistics.median(turn[0] for turn in turns) for turns in (ours, theirs))
    memory, peer_memory = (max(turn[1] for turn in turns) for turns in (ours, theirs))
    names = ("train.jsonl", "validation.jsonl")
    equal = all(filecmp.cmp(folder / "ours" / "outputs" / name, peer / name, shallow=False) for name in names)
    times, share = peer_seconds / seconds, memory / peer_memory
    what = f"preparation of {RECORDS:,} records of {RECORD_BYTES} B"
    table.add(f"{what}, s", f"{seconds:.2f}", f"{peer_seconds:.2f} Python", times, "≥ 10 times faster", times >= 10)
    table.add("  most memory, MB", f"{memory / 1e6:.0f}", f"{peer_memory / 1e6:.0f} Python", share, "≤ 0.25", share <= 0.25)
    table.add("  bytes of both files", "the same" if equal else "others", "Python's", None, "the same", equal)


def preparation_memory(table, _cores, _daemon, folder: pathlib.Path) -> None:
    """Memory with a hundred times the records: an index entry for each and no more."""
    source = folder / "many.jsonl"
    peaks = []
    for count in GROWTH:
        write_questions(source, count)
        peaks.append(prepare(folder / "many", source)[1])
    source.unlink()
    # The text of the fewest records stays in memory; that of more goes to a file once it has the spool's size.
    each = (peaks[1] - peaks[0]) / (GROWTH[1] - GROWTH[0])
    what = f"memory of {GROWTH[0]:,} and of {GROWTH[1]:,} records, MB"
    table.add(what, f"{peaks[0] / 1e6:.0f} and {peaks[1] / 1e6:.0f}", "–", peaks[1] / peaks[0])
    table.add("  bytes for each further record", f"{each:.1f}", f"{INDEX_BYTES_MAX} B index entry", None, f"≤ {INDEX_BYTES_MAX}", each <= INDEX_BYTES_MAX)


PARTS = [preparation, preparation_memory]
