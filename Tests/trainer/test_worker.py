"""The worker as a process: exit codes, outputs.json, signals, resuming."""

import json
import os
import random
import shutil
import signal

import pytest

from conftest import curve, read_metrics, times_ten, write_lines

pytestmark = pytest.mark.slow

#: Dropout, warm-up, a falling rate, several epochs: all of them must survive a resume.
PARAMS = {
    "epochs": 20,
    "max_steps": 40,
    "global_batch_size": 12,
    "micro_batch_size": 4,
    "schedule": "cosine",
    "warmup_steps": 5,
}


STATE_FILES = ("model.safetensors", "trainer_state/optimizer/__0_0.distcp", "trainer_state/rng_state.pth")


@pytest.fixture
def no_torch(tmp_path):
    """A PYTHONPATH on which importing torch or transformers ends the process with code 99."""
    for name in ("torch", "transformers"):
        (tmp_path / "no" / name).mkdir(parents=True)
        (tmp_path / "no" / name / "__init__.py").write_text("import os; os._exit(99)")
    from conftest import PACKAGE

    return f"{tmp_path / 'no'}:{PACKAGE}"


def losses(attempt, key="train/loss"):
    return curve(attempt.metrics, key)


def test_a_bad_request_is_refused_before_torch_is_loaded(training, no_torch):
    code, outputs, _ = training("job", {"epochs": "many", "lr": 1}).run(PYTHONPATH=no_torch)
    assert code == 64
    assert outputs["error"]["reason"] == "bad_config"
    assert {error["pointer"] for error in outputs["error"]["errors"]} == {"/params/epochs", "/params/lr"}


def test_bad_data_are_refused_before_torch_is_loaded(training, no_torch):
    records = [*times_ten([1, 2]), {"messages": [{"role": "user", "content": "?"}]}, "oops"]
    attempt = training("job", {"global_batch_size": 1}, records=records)
    code, outputs, _ = attempt.run(PYTHONPATH=no_torch)
    assert code == 65
    assert [(error["line"], error.get("pointer")) for error in outputs["error"]["errors"]] == [
        (3, "/messages/0/role"),
        (4, None),
    ]
    assert "line 3" in attempt.stderr


def test_too_little_data_and_a_folder_that_is_no_model_are_refused_before_torch_is_loaded(
    training, no_torch, tmp_path
):
    code, outputs, _ = training("little", {"global_batch_size": 64}).run(PYTHONPATH=no_torch)
    assert (code, outputs["error"]["reason"]) == (65, "bad_data")
    assert "40 records" in outputs["error"]["message"] and "64" in outputs["error"]["message"]
    (tmp_path / "empty").mkdir()
    code, outputs, _ = training("empty-model", {}, model=tmp_path / "empty").run(PYTHONPATH=no_torch)
    assert (code, outputs["error"]["reason"]) == (64, "bad_config")
    assert {error["pointer"] for error in outputs["error"]["errors"]} == {"/model"}


def test_a_kind_that_is_not_this_workers_and_an_environment_without_a_job_are_refused(training):
    attempt = training("job", {})
    attempt.kind = "evaluate"
    assert attempt.run()[0] == 64
    assert attempt.run(ANNEAL_SPEC="/nonexistent/job.json")[0] == 64


def test_a_run_tells_its_outputs_and_prints_a_line_a_step(training):
    long = {"messages": [{"role": "user", "content": "long " * 200}, {"role": "assistant", "content": "x"}]}
    records = [*times_ten(range(40)), long]
    params = {"global_batch_size": 8, "max_steps": 3}
    attempt = training("job", params, records=records, validation=times_ten([7]))
    code, outputs, stdout = attempt.run()
    assert code == 0, attempt.stderr
    assert set(outputs["outputs"]) == {"checkpoint.best", "checkpoint.last", "model"}
    assert outputs["summary"]["dropped_long"] == 1 and outputs["summary"]["steps"] == 3
    assert outputs["summary"]["tokens"] == sum(value for _, value in losses(attempt, "train/global_valid_toks"))
    assert "1 training sample(s) of 64 tokens or more are left out (lines 41)" in stdout
    assert [line.split()[1] for line in stdout.splitlines() if "  loss " in line] == ["1/3", "2/3", "3/3"]
    assert "it/s" not in stdout + attempt.stderr
    files = {path.name for path in (attempt.checkpoints / "step_3").iterdir()}
    assert files >= {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "checkpoint.json"}
    assert "training_args.bin" not in files


def test_data_of_which_all_are_too_long_are_refused(training):
    code, outputs, _ = training("job", {"global_batch_size": 1, "max_length": 8}).run()
    assert (code, outputs["error"]["reason"]) == (65, "bad_data")


def test_a_full_disk_is_told(training):
    code, outputs, _ = training("job", {"global_batch_size": 4}).run(ANNEAL_METRICS="/dev/full")
    assert (code, outputs["error"]["reason"]) == (1, "disk_full")


def test_sigterm_before_the_first_step_ends_at_once(training, tmp_path):
    attempt = training("job", {})
    data = tmp_path / "job" / "train.jsonl"
    data.unlink()
    os.mkfifo(data)
    process = attempt.start()
    # Opening the pipe succeeds when the worker opens it too: its handlers are then in place, and it waits for data.
    with open(data, "w"):
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 75
    process.communicate()
    assert not attempt.checkpoints.exists()


def stop_at(attempt, step: int, number: int, times: int = 1) -> int:
    """Start an attempt and send a signal when its log tells of a step. Returns the exit code."""
    process = attempt.start()
    for line in process.stdout:
        if line.startswith(f"step {step}/") and "  loss " in line:
            for _ in range(times):
                process.send_signal(number)
            break
    attempt.stdout, attempt.stderr = process.communicate()
    return process.returncode


def test_a_run_stopped_by_sigterm_resumes_bitwise_equal_to_an_uninterrupted_one(training):
    validation = times_ten(range(100, 120))
    params = PARAMS | {"validate_every": 4}
    whole = training("whole", params, validation=validation)
    assert whole.run()[0] == 0

    part = training("part", params, validation=validation)
    # Any step will do; a failure shows which it was.
    wanted = random.randrange(3, 16)
    assert stop_at(part, wanted, signal.SIGTERM, times=3) == 75
    first, first_validation = losses(part), losses(part, "validation/val_loss")
    stopped = first[-1][0]
    assert wanted <= stopped < 40
    saved = [path.name for path in part.checkpoints.iterdir()]
    assert saved == [f"step_{stopped}"]

    code, outputs, stdout = part.run()
    assert code == 0, part.stderr
    assert f"resuming after step {stopped} of 40" in stdout
    # Exactly equal, and no step is told twice.
    assert first + losses(part) == losses(whole)
    keys = ("train/grad_norm", "train/lr", "train/epoch")
    for key in keys:
        assert losses(part, key) == losses(whole, key)[stopped:]
    # The step at which it stopped was saved without a validation; the resume made up for it, and for nothing else.
    merged = dict(first_validation) | dict(losses(part, "validation/val_loss"))
    expected = dict(losses(whole, "validation/val_loss"))
    assert {step: value for step, value in merged.items() if step in expected} == expected
    assert set(merged) - set(expected) <= {stopped}
    assert losses(part, "progress/total") == [(stopped, 40)]
    record = json.loads((part.checkpoints / f"step_{stopped}" / "checkpoint.json").read_text())
    assert record["metrics"]["val_loss"] == merged[stopped]
    weights = [path / "step_40" / "model.safetensors" for path in (whole.checkpoints, part.checkpoints)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert outputs["summary"]["tokens"] == sum(value for _, value in losses(whole, "train/global_valid_toks"))


def test_a_preference_run_stopped_by_sigterm_resumes_bitwise_equal(training):
    """Weights, optimizer, order of the data, dropout and the reference: one difference in any of them would be seen."""
    records = [
        {
            "prompt": record["messages"][:1],
            "chosen": record["messages"][1:],
            "rejected": [{"role": "assistant", "content": "No."}],
        }
        for record in times_ten(range(40))
    ]
    params = PARAMS | {"max_steps": 20, "precompute_reference": True}
    whole, part = (training(name, params, records=records) for name in ("whole", "part"))
    for attempt in (whole, part):
        attempt.spec["method"] = "dpo"
    whole.here()
    assert stop_at(part, random.randrange(2, 9), signal.SIGTERM) == 75
    first = losses(part)
    stopped = first[-1][0]
    assert part.run()[0] == 0, part.stderr
    assert first + losses(part) == losses(whole)
    assert losses(part, "train/rewards_all_std") == losses(whole, "train/rewards_all_std")[stopped:]
    files = [path / "step_20" / name for path in (whole.checkpoints, part.checkpoints) for name in STATE_FILES]
    for one, other in zip(files[: len(STATE_FILES)], files[len(STATE_FILES) :], strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_sigusr1_saves_and_goes_on(training):
    attempt = training("job", PARAMS, checkpoint={"keep_top_k": None}, validation=times_ten([1]))
    assert stop_at(attempt, 3, signal.SIGUSR1) == 0
    saved = sorted(int(path.name.removeprefix("step_")) for path in attempt.checkpoints.iterdir())
    assert len(saved) == 2 and 3 <= saved[0] < 40 and saved[1] == 40
    record = json.loads((attempt.checkpoints / f"step_{saved[0]}" / "checkpoint.json").read_text())
    assert "val_loss" in record["metrics"]


def test_a_damaged_newest_checkpoint_is_passed_over_and_the_run_still_ends_the_same(training):
    attempt = training("job", PARAMS | {"max_steps": 9}, checkpoint={"every": 3})
    assert attempt.run()[0] == 0
    whole = losses(attempt)
    shutil.rmtree(attempt.checkpoints / "step_9")
    with open(attempt.checkpoints / "step_6" / "model.safetensors", "r+b") as file:
        file.seek(2000)
        file.write(b"damage")
    code, outputs, stdout = attempt.run()
    assert code == 0, attempt.stderr
    assert "passing over step_6: model.safetensors has another content than it had" in stdout
    assert losses(attempt) == whole[3:]
    assert sorted(path.name for path in attempt.checkpoints.iterdir()) == ["step_3", "step_6", "step_9"]
    assert outputs["outputs"]["checkpoint.last"]["step"] == 9


def test_a_run_that_was_killed_after_its_last_checkpoint_only_tells_its_outputs(training):
    attempt = training("job", PARAMS | {"max_steps": 3})
    code, first, _ = attempt.run()
    code, second, _ = attempt.run()
    assert code == 0 and second["outputs"] == first["outputs"]
    assert second["summary"] | {"seconds": 0} == first["summary"] | {"seconds": 0}
    assert losses(attempt) == [] and len(read_metrics(attempt.metrics)) == 1


def test_two_processes_train_as_one(training, plain_model):
    """Seven validation samples in batches of two: neither batches nor samples divide evenly over two processes."""
    params = {"global_batch_size": 8, "max_steps": 4, "validation_batch_size": 2, "learning_rate": 1e-3}
    validation = times_ten([1, 22, 333, 4444, 5, 66, 777])
    options = {"checkpoint": {"every": 2}, "validation": validation, "model": plain_model}
    alone, pair = training("alone", params, **options), training("pair", params, **options)
    assert alone.run()[0] == 0
    pair.gpus = 2
    code, outputs, stdout = pair.run()
    assert code == 0, pair.stderr
    for key in ("train/loss", "train/grad_norm", "validation/val_loss", "train/num_valid_samples"):
        assert [value for _, value in losses(pair, key)] == pytest.approx(
            [value for _, value in losses(alone, key)], abs=1e-5, rel=1e-4
        )
    assert sorted(path.name for path in pair.checkpoints.iterdir()) == ["step_2", "step_4"]
    assert outputs["summary"]["steps"] == 4 and stdout.count("step 4/4  loss") == 1


def test_convert_runs_as_a_process(training, tmp_path):
    attempt = training("job", {})
    attempt.kind = "convert"
    attempt.spec = {
        "kind": "convert",
        "create": {
            "architecture": "qwen3",
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
        },
        "tokenizer": {"train_on": str(write_lines(tmp_path / "texts.jsonl", times_ten(range(9))))},
    }
    code, outputs, _ = attempt.run()
    assert code == 0, attempt.stderr
    assert outputs["outputs"]["model"] == {"type": "checkpoint", "path": str(attempt.outputs / "model")}
    assert outputs["summary"]["parameters"] > 0
