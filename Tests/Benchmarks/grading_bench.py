"""Grading: does it agree with people, and how fast is it?

    python grading_bench.py [--data FOLDER]

Real models' answers to GSM8K problems, which their authors graded, are served by a small server as if a model wrote them now, and
`anneal-worker` evaluates that "model" with the `math` grader, in three forms of the answer. Every grade is held against the author's; a
second run over the answers that are there then shows what reading, grading and the metrics take alone. Last, pairs that need symbolic
mathematics go through the math-verify process. $ANNEAL_PYTHON names a Python with math-verify, $ANNEAL_PROGRAMS the built programs.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests"))

from harness.daemon import program  # noqa: E402

COLUMNS = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"]
#: The distance between the seeds of an item's samples (EvaluationRun.swift).
SEED_DISTANCE = 1_000_003
FORMS = {
    "pattern": {"pattern": "(?m)^A: (.+)$"},
    "boxed": {"answer": "boxed"},
    "hashes": {"answer": "hashes"},
}


def rewritten(text: str, form: str) -> str:
    """A solution with its last line in another form."""
    before, mark, answer = text.rpartition("\nA: ")
    if not mark or form == "pattern":
        return text
    return f"{before}\nIt is \\boxed{{{answer}}}." if form == "boxed" else f"{before}\n#### {answer}"


class Replay(BaseHTTPRequestHandler):
    """Answers the question of an item with the solution of one of the models, which the seed picks."""

    protocol_version = "HTTP/1.1"
    places: dict[str, int] = {}
    solutions: list[list[str]] = []

    def log_message(self, *_):
        """Say nothing."""

    def reply(self, document: dict) -> None:
        """Send a document."""
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """The list of models."""
        self.reply({"data": [{"id": "replay"}]})

    def do_POST(self):
        """A completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        item = self.places[body["messages"][-1]["content"]]
        content = self.solutions[item][(body["seed"] - item) // SEED_DISTANCE]
        message = {"role": "assistant", "content": content}
        self.reply({"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"completion_tokens": len(content) // 4}})


def evaluate(folder: pathlib.Path, spec: dict, python: str) -> tuple[float, dict]:
    """Run the worker once; returns its seconds and the evaluation."""
    attempt = folder / f"attempt-{len(list(folder.glob('attempt-*')))}"
    attempt.mkdir()
    (attempt / "job.json").write_text(json.dumps({"version": 1, "kind": "evaluate", "spec": spec, "inputs": {}, "gpus": []}))
    variables = {
        "ANNEAL_ATTEMPT_DIR": attempt, "ANNEAL_SPEC": attempt / "job.json", "ANNEAL_OUTPUT_DIR": folder,
        "ANNEAL_METRICS": attempt / "metrics.jsonl", "ANNEAL_OUTPUTS": attempt / "outputs.json", "ANNEAL_PYTHON": python,
        "ANNEAL_TRAINER": ROOT / "Sources" / "trainer",
    }  # fmt: skip
    started = time.perf_counter()
    done = subprocess.run(
        [program("anneal-worker", "release")], env=os.environ | {key: str(value) for key, value in variables.items()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"the worker failed:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - started, json.loads((folder / "evaluation.json").read_text())


def agreement(records: list[dict], form: str, python: str) -> None:
    """Evaluate all solutions in one form, and print how many grades are the author's."""
    Replay.places = {record["question"]: place for place, record in enumerate(records)}
    Replay.solutions = [[rewritten(record[column]["solution"] or "", form) for column in COLUMNS] for record in records]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        lines = [{"question": record["question"], "expected_answer": record["ground_truth"].rpartition("A: ")[2]} for record in records]
        (folder / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        spec = {
            "server": {"url": f"http://127.0.0.1:{server.server_port}", "model": "replay"},
            "benchmarks": [
                {"name": "gsm8k", "dataset": str(folder / "data.jsonl"), "samples": 4, "grader": "math", "grading": FORMS[form]}
            ],
        }
        first, document = evaluate(folder, spec, python)
        second, _ = evaluate(folder, spec, python)
        items = [json.loads(line) for line in pathlib.Path(document["benchmarks"][0]["items"]).read_text().splitlines()]
    server.shutdown()
    server.server_close()
    wrong = [
        (record["question"], column, sample["answer"])
        for record, item in zip(records, items, strict=True)
        for column, sample in zip(COLUMNS, item["samples"], strict=True)
        if (sample["score"] == 1) != record[column]["is_correct"]
    ]
    count = 4 * len(records)
    print(f"{form:8} | {count - len(wrong)} of {count} grades agree | {first:6.2f} s with the server | {second:6.2f} s from the ledger")
    for question, column, answer in wrong:
        print(f"    {column} {answer!r}: {question[:100]}")


def symbolic(python: str, count: int = 1000) -> None:
    """Print how many pairs that need symbolic mathematics are judged in a second."""
    pairs = [{"id": n, "expected": f"\\frac{{{n}}}{{7}}+x", "answer": f"x+\\frac{{{2 * n}}}{{14}}"} for n in range(count)]
    text = "".join(json.dumps(pair) + "\n" for pair in pairs)
    for workers in (1, os.cpu_count() or 1):
        started = time.perf_counter()
        done = subprocess.run(
            [python, "-m", "anneal_trainer.grade", "--workers", str(workers)], input=text, capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "Sources" / "trainer")},
        )  # fmt: skip
        right = sum(json.loads(line)["correct"] for line in done.stdout.splitlines())
        seconds = time.perf_counter() - started
        print(f"math-verify, {workers} processes: {right} of {count} equal pairs found, {count / seconds:.0f} pairs/s with its start")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data" / "gsm8k", help="the folder of the solutions")
    options = parser.parse_args()
    python = os.environ.get("ANNEAL_PYTHON") or str(ROOT / ".venv" / "bin" / "python")
    path = options.data / "model_solutions_first400.jsonl"
    if path.exists():
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for form in FORMS:
            agreement(records, form, python)
    else:
        print(f"no agreement: {path} is absent")
    symbolic(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
