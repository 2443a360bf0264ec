"""The folder of checkpoints: whole or absent, ranked, thinned out, and found again."""

import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from anneal_trainer.checkpoints import Checkpoint, CheckpointFolder
from conftest import PACKAGE


def folder(path, keep=None, metric="val_loss", mode="min") -> CheckpointFolder:
    made = CheckpointFolder(path, metric, mode, keep)
    made.prepare()
    return made


def save(checkpoints: CheckpointFolder, step: int, resumable: bool = True, **metrics: float) -> Checkpoint:
    temporary = checkpoints.begin(step)
    (temporary / "model.safetensors").write_bytes(b"weights of %d" % step)
    (temporary / "trainer_state" / "optimizer.pt").write_bytes(b"moments of %d" % step)
    return checkpoints.commit(step, step / 10, metrics, resumable)


def steps(checkpoints: CheckpointFolder) -> list[int]:
    return [checkpoint.step for checkpoint in checkpoints.complete()]


@pytest.mark.parametrize(
    ("keep", "mode", "losses", "kept", "best"),
    [
        # The best two, and the newest besides.
        (2, "min", {10: 3.0, 20: 1.0, 30: 2.0, 40: 9.0}, [20, 30, 40], 20),
        (2, "max", {10: 3.0, 20: 1.0, 30: 2.0, 40: 0.5}, [10, 30, 40], 10),
        # The newest is among the best.
        (2, "min", {10: 3.0, 20: 2.0, 30: 1.0}, [20, 30], 30),
        # A missing metric is worst, and so is NaN, whichever way is better.
        (1, "min", {10: None, 20: 5.0, 30: None}, [20, 30], 20),
        (1, "max", {10: 5.0, 20: None, 30: float("nan")}, [10, 30], 10),
        # Ties keep the later.
        (1, "min", {10: 1.0, 20: 1.0, 30: 7.0}, [20, 30], 20),
        # Without any metric the newest stay.
        (2, "min", {10: None, 20: None, 30: None}, [20, 30], 30),
        (None, "min", {10: 1.0, 20: 2.0, 30: 3.0}, [10, 20, 30], 10),
        (1, "min", {10: 1.0}, [10], 10),
    ],
)
def test_retention_keeps_the_best_and_the_newest(tmp_path, keep, mode, losses, kept, best):
    checkpoints = folder(tmp_path / "c", keep, mode=mode)
    for step, loss in losses.items():
        save(checkpoints, step, **({} if loss is None else {"val_loss": loss}))
    checkpoints.thin_out()
    assert steps(checkpoints) == kept
    assert checkpoints.ranked()[0].step == best


def test_retention_spares_what_is_pinned(tmp_path):
    checkpoints = folder(tmp_path / "c", keep=1)
    for step, loss in ((1, 9.0), (2, 8.0), (3, 1.0), (4, 2.0)):
        save(checkpoints, step, val_loss=loss)
    (checkpoints.path / "step_1" / "pinned").touch()
    assert checkpoints.thin_out() == [2]
    assert steps(checkpoints) == [1, 3, 4]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({}, [20, 50]),
        ({"last": 3}, [20, 30, 40, 50]),
        ({"best": 2}, [10, 20, 50]),
        ({"last": 2, "best": 2}, [10, 20, 40, 50]),
        ({"last": 9}, [10, 20, 30, 40, 50]),
    ],
)
def test_retention_keeps_what_other_jobs_need(tmp_path, kept, expected):
    checkpoints = dataclasses.replace(folder(tmp_path / "c", keep=1), kept=kept)
    for step, loss in {10: 2.0, 20: 1.0, 30: 5.0, 40: 4.0, 50: 3.0}.items():
        save(checkpoints, step, val_loss=loss)
    checkpoints.thin_out()
    assert steps(checkpoints) == expected


def test_retention_marks_what_is_awaited_and_deletes_it_when_the_wait_is_over(tmp_path):
    checkpoints = dataclasses.replace(folder(tmp_path / "c", keep=1), awaited=True)
    for step in (1, 2, 3):
        save(checkpoints, step, val_loss=float(step))
    assert checkpoints.thin_out() == []
    assert steps(checkpoints) == [1, 2, 3]
    # The best and the newest are no surplus.
    assert [(checkpoints.path / f"step_{step}" / "surplus").exists() for step in (1, 2, 3)] == [False, True, False]
    (checkpoints.path / "step_2" / "awaited").unlink()
    assert checkpoints.thin_out() == [2]
    assert steps(checkpoints) == [1, 3]


def test_the_pin_of_a_checkpoint_survives_its_replacement(tmp_path):
    checkpoints = folder(tmp_path / "c")
    save(checkpoints, 1)
    (checkpoints.path / "step_1" / "pinned").touch()
    save(checkpoints, 1)
    assert checkpoints.complete()[0].pinned
    assert sorted(path.name for path in checkpoints.path.iterdir()) == ["step_1"]


def test_what_a_crash_left_behind_is_cleared_away_and_the_only_copy_brought_back(tmp_path):
    checkpoints = folder(tmp_path / "c")
    save(checkpoints, 1)
    save(checkpoints, 2)
    (checkpoints.path / "step_2").rename(checkpoints.path / "old_step_2")
    (checkpoints.path / "tmp_step_3" / "trainer_state").mkdir(parents=True)
    (checkpoints.path / "tmp_deleted_step_0").mkdir()
    (checkpoints.path / "old_step_1").mkdir()
    checkpoints.prepare()
    assert sorted(path.name for path in checkpoints.path.iterdir()) == ["step_1", "step_2"]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: (path / "model.safetensors").write_bytes(b"x"), "another size"),
        (lambda path: (path / "model.safetensors").write_bytes(b"weights of 3"), "another content"),
        (lambda path: (path / "trainer_state" / "optimizer.pt").unlink(), "cannot be read"),
        (lambda path: (path / "checkpoint.json").write_text("{"), "checkpoint.json is missing or damaged"),
        (lambda path: (path / "checkpoint.json").unlink(), "checkpoint.json is missing or damaged"),
    ],
)
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before_and_it_is_said(tmp_path, damage, told):
    checkpoints = folder(tmp_path / "c")
    save(checkpoints, 1)
    save(checkpoints, 2)
    damage(checkpoints.path / "step_2")
    said: list[str] = []
    assert checkpoints.newest_sound(said.append).step == 1
    assert len(said) == 1 and "step_2" in said[0] and told in said[0]


def test_a_checkpoint_without_trainer_state_is_not_resumed_from(tmp_path):
    checkpoints = folder(tmp_path / "c")
    save(checkpoints, 1)
    save(checkpoints, 2, resumable=False)
    assert checkpoints.newest_sound(lambda text: None).step == 1
    assert not (checkpoints.path / "step_2" / "trainer_state").exists()


def test_steps_are_ordered_by_number_not_by_text(tmp_path):
    checkpoints = folder(tmp_path / "c")
    for step in (9, 10, 100):
        save(checkpoints, step)
    assert checkpoints.newest_sound(print).step == 100
    assert steps(checkpoints) == [9, 10, 100]


SAVER = """
import sys
from pathlib import Path
from anneal_trainer.checkpoints import CheckpointFolder
folder = CheckpointFolder(Path(sys.argv[1]), "val_loss", "min", 2)
folder.prepare()
step = max([checkpoint.step for checkpoint in folder.complete()], default=0)
while True:
    step += 1
    temporary = folder.begin(step)
    print("saving", flush=True)
    for name in ("model.safetensors", "trainer_state/optimizer.pt"):
        (temporary / name).write_bytes(bytes([step % 256]) * (1 << 20))
        print("wrote", flush=True)
    folder.commit(step, 0.0, {"val_loss": -step % 7}, True)
    print("saved", flush=True)
    folder.thin_out()
"""


def test_a_kill_while_saving_leaves_only_whole_checkpoints(tmp_path):
    path = tmp_path / "c"
    for lines in range(1, 24, 2):
        child = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path)],
            env=os.environ | {"PYTHONPATH": str(PACKAGE)},
            stdout=subprocess.PIPE,
            text=True,
        )
        # Killed right after another of the moments of saving each time.
        for _ in range(lines):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        for left in path.iterdir():
            if left.name.startswith("step_"):
                checkpoint = Checkpoint.read(left)
                assert checkpoint is not None and checkpoint.damage() is None
        checkpoints = folder(path, keep=2)
        assert all(left.name.startswith("step_") for left in path.iterdir())
    assert len(steps(checkpoints)) >= 2
