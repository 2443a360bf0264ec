"""Successors that wait in the queue of a real Slurm while their predecessors run."""

import pytest
from conftest import python, wait_until
from test_slurm import attempt_of, cluster, one, start, submitted, wrapper  # noqa: F401

#: Gets a step further with each attempt, saves when it is told to end, and is done once a file is there.
RESUMABLE = """
import os, pathlib, signal, sys, threading
folder, attempt = pathlib.Path(sys.argv[1]), os.environ["ANNEAL_ATTEMPT"]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
with open(os.environ["ANNEAL_METRICS"], "a") as metrics:
    metrics.write('{"step": %s, "train/loss": 1}\\n' % attempt)
(folder / f"up{attempt}").touch()
while not (folder / "done").exists():
    threading.Event().wait(0.05)
"""


class Chain:
    """A job over several allocations on a cluster whose `ahead` is 1."""

    def __init__(self, daemon, cluster, folder):  # noqa: F811
        self.daemon, self.cluster, self.folder = daemon, cluster, folder
        self.job, self.experiment = submitted(daemon, one("chain", python(RESUMABLE, str(folder))))

    def running(self, number):
        """The attempt of this number, once it runs."""
        wait_until(lambda: (self.folder / f"up{number}").exists(), f"attempt {number}")
        attempt = attempt_of(self.daemon, self.job)
        assert attempt["number"] == number
        return attempt

    def behind(self, attempt):
        """What waits behind an attempt, once something does."""
        return wait_until(lambda: self.all_behind(attempt), "the successor")[0]

    def all_behind(self, attempt):
        return self.cluster.jobs(f"anneal-{attempt['id']}-next")

    def end_allocation(self, attempt):
        self.cluster.run("scancel", "--signal=USR1", "--batch", attempt["external_id"])

    def end(self):
        """The job, once it is done."""
        (self.folder / "done").touch()
        return self.daemon.finished(self.experiment)["jobs"]["a"]

    def is_gone(self, attempt):
        """Waits until nothing waits behind an attempt."""
        wait_until(lambda: all(job["state"] in ("CANCELLED", "COMPLETED") for job in self.all_behind(attempt)), "the successor's end")


@pytest.fixture
def chain(start, cluster, tmp_path):  # noqa: F811
    """Starts a daemon and a chain on it."""

    def begin(**terms):
        return Chain(start(cluster, time="2m", ahead=1, **terms), cluster, tmp_path)

    return begin


def test_a_successor_waits_while_its_predecessor_runs_and_becomes_the_next_attempt(chain):
    run = chain()
    attempt = run.running(1)
    waiting = run.behind(attempt)
    assert (waiting["state"], waiting["reason"]) == ("PENDING", "Dependency")
    run.end_allocation(attempt)
    last = run.running(2)
    assert last["external_id"] == waiting["id"]
    run.behind(last)
    ended = run.end()
    assert ended["state"] == "succeeded" and [entry["exit_code"] for entry in ended["attempts"]] == [75, 0], ended
    run.is_gone(last)
    # No attempt but the first was submitted by itself.
    assert [len(run.cluster.jobs(f"anneal-{entry['id']}")) for entry in ended["attempts"]] == [1, 0]
    assert [len(run.all_behind(entry)) for entry in ended["attempts"]] == [1, 1]


@pytest.mark.parametrize("moment", ["starting", "lost"])
def test_a_daemon_that_is_killed_finds_the_successor_again(chain, cluster, tmp_path, moment):  # noqa: F811
    # The second answer of sbatch, that of the successor, is lost with the daemon.
    text = '"$SBATCH" "$@"; [ "$(wc -l < $CALLS)" = 2 ] && exec tail -f /dev/null' if moment == "lost" else 'exec "$SBATCH" "$@"'
    run = chain(programs=str(wrapper(tmp_path, cluster, text)))
    attempt = run.running(1)
    waiting = run.behind(attempt)
    run.daemon.kill()
    if moment == "starting":
        run.end_allocation(attempt)
        wait_until(lambda: run.behind(attempt)["state"] == "RUNNING", "the successor's start")
    run.daemon.start()
    if moment != "starting":
        run.end_allocation(attempt)
    assert run.running(2)["external_id"] == waiting["id"]
    ended = run.end()
    assert ended["state"] == "succeeded" and len(ended["attempts"]) == 2, ended
    assert len(run.all_behind(attempt)) == 1


def test_a_successor_that_somebody_cancels_is_only_a_place_lost(chain):
    run = chain()
    attempt = run.running(1)
    run.cluster.run("scancel", run.behind(attempt)["id"])
    wait_until(lambda: run.behind(attempt)["state"] == "CANCELLED", "the end of the successor")
    run.end_allocation(attempt)
    second = run.running(2)
    assert [job["id"] for job in run.cluster.jobs(f"anneal-{second['id']}")] == [second["external_id"]]
    assert run.end()["state"] == "succeeded"


@pytest.mark.parametrize("way", ["pause", "scancel"])
def test_nothing_waits_behind_a_job_that_does_not_go_on(chain, way):
    run = chain()
    attempt = run.running(1)
    run.behind(attempt)
    if way == "scancel":
        run.cluster.run("scancel", attempt["external_id"])
    else:
        run.daemon.post(f"/v1/jobs/{run.job}/{way}")
    run.daemon.wait_for(run.job, "paused" if way == "pause" else "cancelled")
    run.is_gone(attempt)
    assert len(run.daemon.job(run.job)["attempts"]) == 1
    if way == "pause":
        run.daemon.post(f"/v1/jobs/{run.job}/resume")
        run.running(2)
        assert run.end()["state"] == "succeeded"


def test_a_successor_that_starts_after_the_end_of_the_job_ends_at_once(chain):
    run = chain()
    attempt = run.running(1)
    waiting = run.behind(attempt)
    # Nobody is there to take it out of the queue.
    run.daemon.kill()
    (run.folder / "done").touch()
    wait_until(lambda: run.behind(attempt)["state"] == "COMPLETED", "the end of the successor")
    run.daemon.start()
    ended = run.end()
    assert ended["state"] == "succeeded" and len(ended["attempts"]) == 1 and waiting["id"] != ended["attempts"][0]["external_id"]
