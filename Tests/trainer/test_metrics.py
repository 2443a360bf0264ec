"""metrics.jsonl: whole lines, at once, NaN bare."""

import json
import math

import pytest

from anneal_trainer.errors import classify
from anneal_trainer.metrics import MetricsLog


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.write(1, {"train/loss": 1.5})
    log.write(2, {"train/loss": math.nan, "train/grad_norm": math.inf})
    first, second = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(first) | {"time": 0} == {"step": 1, "time": 0, "train/loss": 1.5}
    assert '"train/loss": NaN' in second and '"train/grad_norm": Infinity' in second
    log.close()


def test_what_is_there_already_is_kept(tmp_path):
    for step in (1, 2):
        log = MetricsLog(tmp_path / "metrics.jsonl")
        log.write(step, {})
        log.close()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_other_ranks_write_nothing():
    MetricsLog(None).write(1, {"train/loss": 1.0})


def test_a_full_disk_is_known_as_such():
    from pathlib import Path

    with pytest.raises(OSError) as caught:
        MetricsLog(Path("/dev/full")).write(1, {})
    failure = classify(caught.value)
    assert (failure.reason, failure.exit_code) == ("disk_full", 1)


def test_libraries_that_hide_the_errno_are_understood():
    class OutOfMemoryError(RuntimeError):
        pass

    assert classify(RuntimeError("I/O error: No space left on device (os error 28)")).reason == "disk_full"
    assert classify(OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")).reason == "cuda_oom"
    assert classify(ZeroDivisionError("division by zero")).reason == "internal_error"
