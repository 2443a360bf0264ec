"""`python -m anneal_trainer`: run the job that the environment names, and exit as the worker contract says."""

from __future__ import annotations

import os
import sys
import warnings

from .errors import BadRequest, tell
from .job import Job, outputs_path, write_failure, write_outputs
from .launch import RENDEZVOUS, end_by, launch, layout_of
from .signals import StopSignals


def main() -> int:
    """Run the job; returns the exit code. outputs.json says what was made, or why nothing was."""
    sys.stdout.reconfigure(line_buffering=True)
    # Models and data are local; asking a hub about them would only hang where there is no network.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # What a library will drop some day is no news for those who read a job's log.
    warnings.filterwarnings("ignore", category=FutureWarning)
    signals = StopSignals()
    signals.install()
    try:
        job = Job.read(os.environ)
        layout = layout_of(job, os.environ)
        if layout.count > 1:
            code = launch(layout)
            if code < 0:
                end_by(-code)
            return code
        code, outputs, summary = dispatch(job, signals)
        if outputs and is_first_rank():
            write_outputs(outputs_path(), outputs, summary)
        return code
    except Exception as error:
        return fail(error)


def dispatch(job: Job, signals: StopSignals) -> tuple[int, dict, dict]:
    """The exit code, outputs and summary of the job's kind."""
    if job.kind == "train":
        from .training import train

        return train(job, signals)
    if job.kind == "convert":
        from .convert import convert

        return convert(job)
    raise BadRequest.at("/kind", f"this worker runs train and convert, not {job.kind}")


def fail(error: Exception) -> int:
    """Tell of a failure on stderr and in outputs.json; returns its exit code."""
    failure = tell(error)
    path = outputs_path()
    # Under Anneal's own launcher each rank has a file of its own to tell of its failure.
    if path is not None and (is_first_rank() or RENDEZVOUS in os.environ):
        try:
            write_failure(path, failure)
        except OSError as secondary:
            print(f"error: cannot write {path}: {secondary}", file=sys.stderr)
    return failure.exit_code


def is_first_rank() -> bool:
    return os.environ.get("RANK", "0") == "0"


def leave(code: int) -> None:
    """End this process. One of several does so at once: threads of torch's process groups may abort an interpreter that shuts down."""
    if RENDEZVOUS in os.environ:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main())
