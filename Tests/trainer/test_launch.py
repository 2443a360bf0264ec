"""The launcher: one process for each GPU, one exit code, and the cause that came first. The processes here are a few lines of Python."""

import json
import os
import signal
import textwrap
import threading

import pytest

from anneal_trainer import launch
from anneal_trainer.job import Job

#: Waits until a file is there; the launcher ends what waits in vain.
WAIT = """
    import os, pathlib, threading
    def wait(name):
        while not pathlib.Path(os.environ["MARKS"], name).exists():
            threading.Event().wait(0.01)
    def mark(name):
        pathlib.Path(os.environ["MARKS"], name).touch()
    rank = int(os.environ["RANK"])
"""


@pytest.fixture
def ranks(tmp_path, monkeypatch):
    """Runs a program as two processes through the launcher: `ranks(program)` gives the exit code."""
    package = tmp_path / "package" / "anneal_trainer"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("MARKS", str(tmp_path))
    monkeypatch.setenv("ANNEAL_ATTEMPT_DIR", str(tmp_path))
    monkeypatch.setenv("ANNEAL_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("ANNEAL_OUTPUTS", str(tmp_path / "outputs.json"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}

    def run(program: str) -> int:
        (package / "__main__.py").write_text(textwrap.dedent(WAIT) + textwrap.dedent(program))
        return launch.launch(launch.Layout(2))

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_all_processes_succeed_and_know_their_place(ranks, tmp_path, capfd):
    program = """
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
        print("rank", *(os.environ[name] for name in names), bool(os.environ["OMP_NUM_THREADS"]), flush=True)
        """
    assert ranks(program) == 0
    assert capfd.readouterr().out == "rank 0 0 2 2 True\n"
    assert (tmp_path / "logs" / "rank_1.log").read_text() == "rank 1 1 2 2 True\n"


@pytest.mark.parametrize("culprit", [0, 1])
def test_the_first_failure_ends_the_others_and_is_the_jobs(ranks, tmp_path, capfd, culprit):
    """The other process fails, too, because of it, and may even be noticed first; what it says does not count."""
    program = f"""
        if rank == {culprit}:
            pathlib.Path(os.environ["ANNEAL_OUTPUTS"]).write_text('{{"error": {{"reason": "cuda_oom"}}}}')
            print("out of memory on", rank, flush=True)
            mark("failed"); wait("noticed"); os._exit(1)
        wait("failed")
        threading.Event().wait(0.05)
        pathlib.Path(os.environ["ANNEAL_OUTPUTS"]).write_text('{{"error": {{"reason": "internal_error"}}}}')
        mark("noticed"); os._exit(3)
        """
    assert ranks(program) == 1
    assert json.loads((tmp_path / "outputs.json").read_text())["error"]["reason"] == "cuda_oom"
    told = capfd.readouterr()
    assert f"process {culprit} of 2 ended first, by exit code 1" in told.err
    assert f"out of memory on {culprit}" in told.out + told.err


def test_a_process_that_waits_for_ever_is_killed_once_another_has_failed(ranks):
    assert ranks("if rank == 1: os._exit(65)\nwait('never')") == 65


def test_a_signal_that_kills_one_process_is_the_fate_of_the_job(ranks, capfd):
    program = """
        import signal
        if rank == 1: os.kill(os.getpid(), signal.SIGKILL)
        wait("never")
        """
    assert ranks(program) == -signal.SIGKILL
    assert "process 1 of 2 ended first, by signal 9" in capfd.readouterr().err


def test_sigterm_reaches_every_process_and_the_job_can_go_on(ranks, tmp_path):
    """A process that has nothing to save yet ends at once; the other one, which waits for it, is not waited for for ever."""
    program = """
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
        mark(f"ready{rank}"); wait("never")
        """

    def stop():
        while not all((tmp_path / f"ready{rank}").exists() for rank in (0, 1)):
            threading.Event().wait(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    assert ranks(program) == 75


def test_how_many_processes_a_job_runs_as(tmp_path):
    def job(kind: str, gpus: int) -> Job:
        return Job(kind, {}, {}, tmp_path, tmp_path, tmp_path / "m", gpus=gpus)

    assert launch.layout_of(job("train", 4), {}).count == 4
    assert launch.layout_of(job("train", 1), {}) == launch.layout_of(job("train", 0), {}) == launch.Layout(1)
    assert launch.layout_of(job("convert", 4), {}).count == 1
    assert launch.layout_of(job("train", 4), {"RANK": "1"}).count == 1
    nodes = launch.layout_of(job("train", 4), {"NNODES": "3", "NODE_RANK": "2"})
    assert nodes.count == 12 and list(nodes.ranks) == [8, 9, 10, 11]
    assert list(launch.layout_of(job("train", 0), {"NNODES": "2", "NODE_RANK": "1"}).ranks) == [1]
