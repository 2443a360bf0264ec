"""Suites of pytest: in one process or in two side by side, with a second chance for a few failures."""

from __future__ import annotations

import os
import xml.etree.ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.outcome import LOGS, PYTHON, RERUN_MAX, ROOT, Outcome, command

#: Two processes that each take whole files, so that what the tests of a file share is made once.
SHARDS = ["-n", str(min(2, os.cpu_count() or 1)), "--dist", "loadfile", "--no-loadscope-reorder"]


@dataclass
class PytestRun:
    """What pytest's report told of one run; tests by their node ids, `Tests/folder/test_file.py::test_name`."""

    code: int
    #: False where pytest ended without a report.
    has_report: bool = True
    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    #: Test and reason.
    skipped: list[tuple[str, str]] = field(default_factory=list)


def node_id(case: xml.etree.ElementTree.Element) -> str:
    """The id by which pytest runs a test of its report again: the file, the class if there is one, and the name."""
    if not case.get("classname"):
        # A file that could not be loaded.
        return case.get("name") or "a test without a name"
    parts = case.get("classname", "").split(".")
    # The module's name is as much of the dotted name as is a file.
    count = next((n for n in range(len(parts), 0, -1) if (ROOT / "/".join(parts[:n])).with_suffix(".py").is_file()), len(parts))
    return "::".join(["/".join(parts[:count]) + ".py", *parts[count:], case.get("name") or ""])


def run(name: str, *arguments: str) -> PytestRun:
    """Runs pytest with a report, and reads it."""
    report = LOGS / f"{name}.xml"
    report.unlink(missing_ok=True)
    code, _ = command(name, [str(PYTHON), "-B", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments])
    if not report.exists():
        return PytestRun(code, has_report=False)
    tests = PytestRun(code)
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        identity = node_id(case)
        if case.find("failure") is not None or case.find("error") is not None:
            tests.failed.add(identity)
        elif (skip := case.find("skipped")) is not None:
            tests.skipped.append((identity, skip.get("message") or "no reason given"))
        else:
            tests.passed.add(identity)
    # A test whose clean-up failed is told of twice.
    tests.passed -= tests.failed
    return tests


def pytest(name: str, folder: str, *, sharded: bool = False) -> Callable[[], Outcome]:
    """A suite of the tests below `folder`."""

    def suite() -> Outcome:
        tests = run(name, *(SHARDS if sharded else []), folder)
        if not tests.has_report:
            return Outcome(failed=1, failures=[f"pytest ended with {tests.code}"])
        outcome = Outcome(passed=len(tests.passed), skipped=tests.skipped)
        failures = sorted(tests.failed)
        if 0 < len(failures) <= RERUN_MAX:
            # What waits for other processes may wait too long on a machine that others load. By itself it has no excuse.
            again = run(f"{name}-again", *failures)
            outcome.passed_alone = [test for test in failures if test in again.passed]
            outcome.passed += len(outcome.passed_alone)
            failures = [test for test in failures if test not in again.passed]
        outcome.failures = failures
        if tests.code not in (0, 1) and not tests.failed:
            outcome.failures.append(f"pytest ended with {tests.code}")
        outcome.failed = len(outcome.failures)
        return outcome

    return suite
