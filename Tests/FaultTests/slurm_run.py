#!/usr/bin/env python3
"""Faults of a Slurm cluster at random moments, and what must hold after them.

    python3 Tests/FaultTests/slurm_run.py --rounds 30 --seed 7 --programs .build/debug
    python3 Tests/FaultTests/slurm_run.py --seconds 60          as many rounds as begin within a minute

Each round starts a real daemon whose jobs run on a real Slurm of this machine, and lets faults happen: kill -9 of daemon, slurmctld,
slurmd and shim, processes that stand still, jobs that are cancelled or put back into the queue behind the daemon's back, a full shared
disk. Then everything is let come to its end: no job may be lost, doubled or wrongly failed. A round is repeated by its seed. The last
line is `N passed, N failed, N skipped`.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import slurm  # noqa: E402
from run import PROGRAMS, TERMINAL, check_database, check_log, ended, jobs, settle, small_disk  # noqa: E402
from world import HERE, Violation, World  # noqa: E402

MODES = ["plain", "plain", "plain", "one", "last", "segfault", "unended", "binary", "silent", "long", "stubborn"]
#: How a job of a mode ends where nobody interferes: its state, and its exit code or signal.
ENDS = {"one": ("failed", 1), "last": ("failed", 255), "segfault": ("failed", signal.SIGSEGV), "long": ("cancelled", None),
        "stubborn": ("cancelled", None)}
TERMS = {"executor": "slurm", "partition": "main", "lag": "1s", "margin": "20s", "poll": {"least": "1s", "most": "2s"}}
#: Interruptions without progress after which a job may rightly be given up (RetryPolicy).
INTERRUPTIONS = 20


class SlurmWorld(World):
    """One round: a daemon whose jobs run on `cluster`, which outlives it."""

    def __init__(self, folder, programs, chance, cluster):
        super().__init__(folder, programs, chance)
        self.cluster = cluster
        #: Jobs that were cancelled behind the daemon's back, or by the daemon.
        self.cancelled = set()
        self.was_full = False
        self.told = []

    def start(self):
        """Starts the daemon with the cluster in its configuration."""
        terms = {**TERMS, "slurm_conf": str(self.cluster.configuration)}
        (self.folder / "anneal.yaml").write_text(json.dumps({"clusters": {"hpc": terms}}))
        super().start()

    @property
    def arguments(self):
        return ["--gpus", "none", "--cpus", "4", "--config", self.folder / "anneal.yaml"]

    def job(self, mode, number):
        # What a worker does by itself is its end; what befalls it on a cluster is not.
        retry = {"delay": "100ms", "limit": INTERRUPTIONS, "on": dict.fromkeys(("crashed", "killed", "unknown"), 0)}
        return {**super().job(mode, number), "cluster": "hpc", "resources": {"cpus": 1 + number % 2}, "retry": retry}

    def tell(self, text):
        self.told.append(text)

    # The faults.

    def kill_controller(self):
        """slurmctld is gone for a while."""
        self.tell("kill slurmctld")
        self.cluster.stop_controller(signal.SIGKILL)
        self.settled.wait(self.random.uniform(0, 2))
        self.cluster.start_controller()

    def kill_node(self):
        """A slurmd is gone for a while; the steps that it has started run on."""
        node = self.random.choice(slurm.NODES)
        self.tell(f"kill slurmd of {node}")
        self.cluster.stop_node(node)
        self.settled.wait(self.random.uniform(0, 2))
        self.cluster.start_node(node)

    def kill_shim(self):
        self.tell("kill a shim")
        super().kill_shim()

    def freeze(self):
        self.tell("freeze a process")
        super().freeze()

    @contextlib.contextmanager
    def administrator(self):
        """Puts nodes back into use meanwhile: Slurm drains one where it meets an id that a controller without memory gave twice. And has
        them tell what runs there: such a controller may hold jobs for running that have ended, and their processors for taken."""
        is_done = threading.Event()

        def work():
            seconds = 0
            while not is_done.wait(1):
                seconds += 1
                with contextlib.suppress(slurm.SlurmFailed, subprocess.TimeoutExpired):
                    self.cluster.resume_nodes()
                    if seconds % 10 == 0:
                        self.cluster.register_nodes()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            is_done.set()
            thread.join()

    def ours(self):
        """The jobs of this round that Slurm has not ended, with the daemon's name of each."""
        with contextlib.suppress(slurm.SlurmFailed, subprocess.TimeoutExpired):
            living = [job for job in self.cluster.jobs() if job["state"] in ("PENDING", "RUNNING") and job["comment"].startswith("anneal:")]
            return [(job["id"], job["comment"].split(":")[1]) for job in living]
        return []

    def scancel_one(self):
        """Somebody cancels a job in Slurm."""
        if found := self.ours():
            number, name = self.random.choice(found)
            self.tell(f"scancel {number} of {name}")
            self.cancelled.add(name)
            with contextlib.suppress(slurm.SlurmFailed, subprocess.TimeoutExpired):
                self.cluster.run("scancel", number)

    def requeue_one(self):
        """Somebody puts a job back into Slurm's queue."""
        if found := self.ours():
            number, name = self.random.choice(found)
            self.tell(f"requeue {number} of {name}")
            # Ours refuse it unless a site forces it.
            with contextlib.suppress(slurm.SlurmFailed, subprocess.TimeoutExpired):
                self.cluster.run("scontrol", "update", f"JobId={number}", "Requeue=1")
                self.cluster.run("scontrol", "requeue", number)

    def cancel_one(self):
        """Somebody cancels a job by the API."""
        if self.accepted:
            name = self.random.choice(sorted(self.accepted))
            self.tell(f"cancel {name}")
            self.cancelled.add(name)
            with contextlib.suppress(OSError):
                self.request("POST", f"/v1/jobs/{name}/cancel", b"{}")

    def fill_disk(self, folder=None):
        """The disk of the daemon is full, or that which it shares with the nodes."""
        folder = self.random.choice([self.data, self.data / "attempts"])
        self.tell(f"fill the disk of {folder.name}")
        self.was_full = True
        super().fill_disk(folder)


def play(world, number, has_disk, is_gentle):
    """One round; raises `Violation`. A gentle one kills no slurmd and fills no disk."""
    chance = world.random
    world.start()
    client = threading.Thread(target=world.follow, daemon=True)
    client.start()
    world.submit("main", chance.choices(MODES, k=10))
    if not world.accepted:
        raise Violation("no jobs were accepted")
    faults = [
        world.kill_daemon, world.kill_daemon, world.kill_controller, world.kill_shim, world.freeze, world.scancel_one, world.requeue_one,
        world.cancel_one,
    ]
    if not is_gentle:
        faults.append(world.kill_node)
        if has_disk and number % 3 == 2:
            faults += [world.fill_disk] * 3
    for _ in range(chance.randint(3, 6)):
        world.settled.wait(chance.uniform(0.05, 2))
        chance.choice(faults)()
        if world.process.poll() is not None:
            world.tell("the daemon was killed")
            world.settled.wait(chance.uniform(0, 1))
            world.start()
    with world.administrator():
        settle(world)
        check(world)
    world.following = False
    world.kill_daemon()
    check_database(world, has_lost_writes=False)


def check(world):
    """What must hold once all has come to its end."""
    known = jobs(world)
    if missing := set(world.accepted) - set(known):
        raise Violation(f"accepted jobs are gone: {missing}")
    for identifier, job in known.items():
        if job["state"] not in TERMINAL:
            raise Violation(f"{identifier} is {job['state']}")
        for attempt in job["attempts"]:
            if not attempt["finished_at"]:
                raise Violation(f"{attempt['id']} of an ended job is {attempt['state']}")
            folder = world.data / "attempts" / attempt["id"]
            world.wait(lambda folder=folder: not world.processes_of(folder), f"the end of the processes of {attempt['id']}", 20)
            # On a full disk a log has holes where the worker could not write.
            if not world.was_full:
                check_log(world, job, attempt, folder)
        check_end(world, job)
    check_ledger(world)
    world.wait(lambda: is_over_in_slurm(world), "the end of all jobs in Slurm", 120)


def is_over_in_slurm(world):
    """Whether no job is left there; a slurmctld that was killed learns of ends that it has missed when the nodes register anew."""
    if not world.ours():
        return True
    with contextlib.suppress(slurm.SlurmFailed, subprocess.TimeoutExpired):
        world.cluster.register_nodes()
    world.settled.wait(2)
    return False


def check_end(world, job):
    """A job ended as its worker did, or as it was asked to."""
    mode = job["name"].split("-")[-1]
    state, status = ENDS.get(mode, ("succeeded", 0))
    if job["state"] == "cancelled" and job["id"] in world.cancelled:
        return
    # A worker that cannot write what it has to say may fail for it; one that has not begun may not.
    if world.was_full and job["state"] == "failed" and job["reason"] != "start_failed":
        return
    if job["state"] != state:
        raise Violation(f"{job['id']} ({mode}) is {job['state']}, {job['reason']}: {job['message']}; not {state}")
    last = job["attempts"][-1]
    if status is not None and status not in (last["exit_code"], last["signal"]):
        raise Violation(f"{last['id']} ({mode}) ended with {last['exit_code']} or signal {last['signal']}, not {status}")


def check_ledger(world):
    """No attempt was started twice, and none while another of its job ran."""
    if not world.ledger.exists():
        return
    started = collections.Counter()
    for line in world.ledger.read_text().splitlines():
        word, job, attempt, _ = line.split()
        if word == "overlap":
            raise Violation(f"{attempt} of {job} was started while an earlier attempt ran")
        started[attempt] += word == "start"
    if twice := [attempt for attempt, count in started.items() if count > 1]:
        raise Violation(f"{twice} were started twice")


def tidy_up(cluster):
    """Makes the cluster fit for the next round."""
    with contextlib.suppress(slurm.SlurmFailed, subprocess.TimeoutExpired):
        cluster.run("scancel", "--user=root")
    cluster.await_idle()


def one_round(folder, copies, seed, cluster, is_gentle):
    """Plays a round in a folder of its own; returns whether everything held."""
    world = SlurmWorld(folder, copies, random.Random(seed), cluster)
    try:
        with small_disk(folder) as has_disk, small_disk(folder, "data/attempts") as has_shared_disk:
            try:
                play(world, seed, has_disk and has_shared_disk, is_gentle)
                print(f"  {'; '.join(world.told)}: {len(world.attempts())} attempts", flush=True)
            finally:
                world.close()
        tidy_up(cluster)
        world.remove()
        return True
    except (Violation, OSError, AssertionError, slurm.SlurmFailed, subprocess.TimeoutExpired) as error:
        print(f"  VIOLATED: {type(error).__name__}: {error}\n  faults: {'; '.join(world.told)}\n  kept: {folder}", flush=True)
        shutil.copytree(cluster.folder / "log", folder / "slurm-log", dirs_exist_ok=True)
        print("".join((folder / "daemon.log").read_text(errors="replace").splitlines(keepends=True)[-15:]), flush=True)
        with contextlib.suppress(slurm.SlurmFailed, subprocess.TimeoutExpired):
            tidy_up(cluster)
        return False


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=1000, help="the most rounds")
    arguments.add_argument("--seconds", type=float, default=float("inf"), help="no round begins after so long")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--gentle", action="store_true", help="kill no slurmd and fill no disk")
    arguments.add_argument("--programs", default=str(pathlib.Path(__file__).resolve().parents[2] / ".build" / "debug"))
    options = arguments.parse_args()
    if reason := slurm.missing():
        print(f"skipped: {reason}\n0 passed, 0 failed, 1 skipped")
        return 0
    passed = failed = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="anneal-programs-") as copies, tempfile.TemporaryDirectory(prefix="anneal-slurm-") as place:
        for name in PROGRAMS:
            # What is tested must not change while it is.
            shutil.copy(pathlib.Path(options.programs) / name, copies)
        with slurm.running(pathlib.Path(place) / "cluster") as cluster:
            for number in range(options.rounds):
                if time.monotonic() - began > options.seconds:
                    break
                seed = options.seed + number
                print(f"round {number + 1}, --rounds 1 --seed {seed}", flush=True)
                started = time.monotonic()
                if one_round(pathlib.Path(tempfile.mkdtemp(prefix="anneal-fault-")), copies, seed, cluster, options.gentle):
                    passed += 1
                else:
                    failed += 1
                print(f"  {time.monotonic() - started:.1f} s", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
