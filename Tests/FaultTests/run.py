#!/usr/bin/env python3
"""Faults at random moments, and what must hold after them.

    python3 Tests/FaultTests/run.py --rounds 20 --seed 7 --programs .build/debug

Each round starts a real daemon, gives it workers that end in many ways, and lets faults happen: kill -9 of daemon, shim or worker,
processes that stand still, a full disk, a clock that jumps, a journal that was cut. Then everything is let come to its end and looked
at. A round is repeated by its seed. The last line is `N passed, N failed, N skipped`.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading

import worker
from world import Violation, World

MODES = ["plain", "plain", "one", "last", "segfault", "forks", "stubborn", "unended", "binary", "silent", "long"]
TERMINAL = {"succeeded", "failed", "cancelled", "skipped", "lost"}
PROGRAMS = ["anneald", "anneal", "anneal-shim", "anneal-worker"]


@contextlib.contextmanager
def small_disk(folder, name="data"):
    """A file system of 160 MiB for the data folder, or another; yields whether there is one."""
    data = folder / name
    data.mkdir(parents=True)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", data], capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", data], check=False)


def play(world, number, has_disk):
    """One round; raises `Violation`."""
    chance = world.random
    if number % 4 == 3:
        world.shift_clocks()
    world.start()
    client = threading.Thread(target=world.follow, daemon=True)
    client.start()
    world.submit("warm", ["plain"])
    world.wait(lambda: ended(world), "the first job")
    descriptors = len(os.listdir(f"/proc/{world.process.pid}/fd"))
    modes = chance.choices(MODES, k=8) + (["big"] if number % 5 == 4 else [])
    world.submit("main", modes)
    faults = [world.kill_daemon, world.kill_daemon, world.kill_shim, world.kill_worker, world.freeze, world.cancel_one, world.jump]
    if has_disk and number % 5 != 4:
        faults.append(world.fill_disk)
    for _ in range(chance.randint(4, 8)):
        world.settled.wait(chance.uniform(0.05, 0.7))
        chance.choice(faults)()
        if world.process.poll() is not None:
            world.settled.wait(chance.uniform(0, 0.5))
            world.start()
    has_lost_writes = number % 5 == 2
    if has_lost_writes:
        world.cut_wal()
    settle(world)
    check(world, has_lost_writes)
    if not has_lost_writes:
        world.wait(lambda: len(os.listdir(f"/proc/{world.process.pid}/fd")) <= descriptors + 4, "descriptors back at the baseline", 20)
    world.following = False
    world.kill_daemon()
    check_database(world, has_lost_writes)


def jobs(world):
    """All jobs that the daemon knows, by id."""
    found, after = {}, ""
    while True:
        page = world.get(f"/v1/jobs?limit=100{after}")
        found |= {job["id"]: job for job in page["data"]}
        if not page["has_more"]:
            return found
        after = f"&after={page['next']}"


def ended(world):
    known = world.get("/v1/jobs?limit=100", quiet=True)
    return known and all(job["state"] in TERMINAL for job in known["data"])


def settle(world):
    """Asks those that would run for ever to end, until all have."""
    def look():
        for job in jobs(world).values():
            if job["state"] not in TERMINAL and job["name"].split("-")[-1] in ("long", "stubborn"):
                with contextlib.suppress(OSError):
                    world.request("POST", f"/v1/jobs/{job['id']}/cancel", b"{}")
        # A worker without a shim has nobody who could stop it: the operator does.
        for folder, who in world.live():
            if not world.is_alive(who.get("shim_pid", 0)):
                for pid in world.processes_of(folder):
                    with contextlib.suppress(OSError):
                        os.kill(pid, 9)
        return ended(world)

    world.wait(look, "the end of all jobs")


def check(world, has_lost_writes):
    known = jobs(world)
    if not has_lost_writes and (missing := set(world.accepted) - set(known)):
        raise Violation(f"accepted jobs are gone: {missing}")
    for identifier, job in known.items():
        if job["state"] not in TERMINAL:
            raise Violation(f"{identifier} is {job['state']}")
        for attempt in job["attempts"]:
            if not attempt["finished_at"]:
                raise Violation(f"{attempt['id']} of an ended job is {attempt['state']}")
            folder = world.data / "attempts" / attempt["id"]
            world.wait(lambda folder=folder: not world.processes_of(folder), f"the end of the processes of {attempt['id']}", 20)
            check_log(world, job, attempt, folder)
    check_ledger(world, has_lost_writes)


def check_log(world, job, attempt, folder):
    """What is served is what is on disk, and that is what the worker wrote, from its beginning on."""
    path = folder / "stdout.log"
    written = path.read_bytes() if path.exists() else b""
    served = world.request("GET", f"/v1/jobs/{job['id']}/logs?stream=stdout&attempt={attempt['number']}")
    if served != written:
        raise Violation(f"{attempt['id']}: {len(served)} bytes of log are served, {len(written)} were written")
    mode = job["name"].split("-")[-1]
    if mode == "silent":
        return
    expected = b""
    for number in range(worker.lines(mode)):
        if len(expected) >= len(written):
            break
        expected += worker.text(mode, attempt["id"], number) if mode != "big" else b""
        if mode == "big":
            expected = b"".join(worker.text(mode, attempt["id"], index) for index in range(len(written) // 80 + 2))
            break
    if not expected.startswith(written):
        raise Violation(f"{attempt['id']}: the log is not what the worker wrote")
    if attempt["state"] == "succeeded" and mode != "big" and len(written) < len(b"".join(worker.text(mode, attempt["id"], n) for n in range(400))):
        raise Violation(f"{attempt['id']}: succeeded, and the end of its log is missing")


def check_ledger(world, has_lost_writes):
    """No job ran twice at once: a second attempt starts only after the first one's process is gone or has said its end."""
    open_attempts = collections.defaultdict(list)
    if not world.ledger.exists():
        return
    for line in world.ledger.read_text().splitlines():
        word, job, attempt, _ = line.split()
        if word == "start":
            if attempt in open_attempts[job]:
                raise Violation(f"{attempt} was started twice")
            open_attempts[job].append(attempt)
    for job, attempts in open_attempts.items():
        # Of an attempt whose row was cut away the daemon knows nothing, so it may start its job again.
        if len(attempts) > 1 and not has_lost_writes:
            raise Violation(f"{job} without retries ran as {attempts}")


def check_database(world, has_lost_writes):
    with contextlib.closing(sqlite3.connect(world.data / "anneal.db")) as database:
        if (answer := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise Violation(f"integrity_check: {answer}")
        numbers = lambda query: [row[0] for row in database.execute(query)]  # noqa: E731
        events = numbers("SELECT seq FROM event")
        sequence = sorted(events + numbers("SELECT seq FROM metric_batch"))
        told = sorted(events + numbers("SELECT seq FROM metric_batch WHERE is_told"))
        # Batches of points up to here may be in chunks alone.
        packed = max(numbers("SELECT dropped_seq FROM metric_attempt"), default=0)
    if has_lost_writes:
        return
    gaps = set(range(1, max(sequence, default=0) + 1)) - set(sequence)
    if any(number > packed for number in gaps):
        raise Violation(f"the sequence of events has gaps: {sorted(gaps)[:10]}")
    if world.seen != sorted(set(world.seen)):
        raise Violation("the client saw an event twice or out of order")
    missing = set(told) - set(world.seen)
    # The last events may have come after the client was told to stop.
    if missing and min(missing) <= (max(world.seen) if world.seen else 0):
        raise Violation(f"the client missed events: {sorted(missing)[:10]}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--programs", default=str(pathlib.Path(__file__).resolve().parents[2] / ".build" / "debug"))
    options = arguments.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="anneal-programs-") as copies:
        for name in PROGRAMS:
            # What is tested must not change while it is.
            shutil.copy(pathlib.Path(options.programs) / name, copies)
        for number in range(options.rounds):
            seed = options.seed + number
            print(f"round {number + 1} of {options.rounds}, --rounds 1 --seed {seed}", flush=True)
            folder = pathlib.Path(tempfile.mkdtemp(prefix="anneal-fault-"))
            world = World(folder, copies, random.Random(seed))
            try:
                with small_disk(folder) as has_disk:
                    try:
                        # The sort of round follows from its seed, so that it is the same when it is repeated.
                        play(world, seed % 20, has_disk)
                        passed += 1
                    finally:
                        world.close()
                world.remove()
            except (Violation, OSError, AssertionError) as error:
                failed += 1
                print(f"  VIOLATED: {type(error).__name__}: {error}\n  kept: {folder}", flush=True)
                print("".join((folder / "daemon.log").read_text(errors="replace").splitlines(keepends=True)[-15:]), flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
