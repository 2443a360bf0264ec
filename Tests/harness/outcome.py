"""What comes of a suite of tests, and how its program is run."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOGS = ROOT / ".build" / "test-logs"
#: The Python that has the trainer's packages and those of the tests.
PYTHON = ROOT / ".venv" / "bin" / "python"
SUITE_SECONDS_MAX = 1500
#: So many failed tests of a suite may be run once more by themselves; of more failures, something is wrong that no second run explains.
RERUN_MAX = 5


@dataclass
class Outcome:
    """What came of a suite."""

    passed: int = 0
    failed: int = 0
    #: Test and what it lacked.
    skipped: list[tuple[str, str]] = field(default_factory=list)
    #: Names of the tests that failed, where the suite tells them.
    failures: list[str] = field(default_factory=list)
    #: Names of the tests that failed among the others and passed by themselves; they count as passed.
    passed_alone: list[str] = field(default_factory=list)


def command(name: str, arguments: list[str], environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Runs a command in a session of its own, which ends with it; its output goes to the suite's log.

    `environment` is added to that of this process. Returns the exit code, 124 where the time was up, and the output.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        try:
            code = process.wait(SUITE_SECONDS_MAX)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as reason:
            # The id of the session is that of the process, which was not waited for, so no other can have it.
            subprocess.run(["kill", f"-{int(signal.SIGKILL)}", f"-{process.pid}"], check=False)
            process.wait()
            if isinstance(reason, KeyboardInterrupt):
                raise
            output.write(f"\nended: it took more than {SUITE_SECONDS_MAX} seconds\n")
            code = 124
    return code, log.read_text(errors="replace")
