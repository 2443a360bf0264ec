"""The Swift tests, told apart by their events, with a second chance for a few failures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.outcome import LOGS, PYTHON, RERUN_MAX, Outcome, command


@dataclass
class SwiftTests:
    """What Swift Testing's event stream told of one run; tests by id, `Module.Suite/function()/File.swift:line:column`."""

    code: int
    ended: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    #: Name and reason, by id.
    skipped: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Source file and line of what was recorded outside any test, as on a thread of its own.
    stray: list[tuple[str, int]] = field(default_factory=list)


def _swift_tests(name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> SwiftTests:
    """Runs Swift tests and reads their events: of two tests with one name the text does not tell which failed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    events = LOGS / f"{name}.jsonl"
    events.unlink(missing_ok=True)
    test = ["swift", "test", "--skip-build", "--disable-xctest", f"--event-stream-output-path={events}", *arguments]
    code, _ = command(name, test, environment)
    tests = SwiftTests(code)
    functions: dict[str, str] = {}
    # Not by splitlines: the events quote texts with line separators of Unicode in them.
    for line in events.read_text().split("\n")[:-1] if events.exists() else []:
        payload = json.loads(line)["payload"]
        identity = payload.get("testID", payload.get("id"))
        match payload["kind"]:
            case "function":
                functions[identity] = payload["name"]
            case "testEnded" if identity in functions:
                tests.ended.add(identity)
            case "testSkipped" if identity in functions:
                reason = re.search(r'skipped: "(.*)"$', payload["messages"][0]["text"])
                tests.skipped[identity] = (functions[identity], reason[1] if reason else "no reason given")
            case "issueRecorded" if payload["issue"].get("isFailure", True):
                if identity in functions:
                    tests.failed.add(identity)
                else:
                    place = payload["issue"].get("sourceLocation", {})
                    tests.stray.append((place.get("fileID", "an unknown file"), place.get("line", 0)))
    return tests


def _alone(name: str, identities: Iterable[str]) -> SwiftTests:
    """Runs these tests one after the other, with the Python of the tests where there is one."""
    names = "|".join(re.escape(identity.rsplit("/", 1)[0]) for identity in identities)
    return _swift_tests(name, "--no-parallel", "--filter", names, environment={"ANNEAL_PYTHON": str(PYTHON)} if PYTHON.exists() else {})


def _with_python(tests: SwiftTests) -> None:
    """Runs the tests that were skipped for want of Python packages, whose import keeps the machine busy, when the others are done."""
    lacking = [identity for identity, (_, reason) in tests.skipped.items() if reason.startswith("needs ANNEAL_PYTHON")]
    if not lacking or not PYTHON.exists():
        return
    more = _alone("swift-python", lacking)
    for identity in lacking:
        if identity in more.ended and identity not in more.skipped:
            del tests.skipped[identity]
    tests.ended |= more.ended
    tests.failed |= more.failed
    tests.skipped |= more.skipped
    tests.stray += more.stray
    tests.code = tests.code or more.code


def swift() -> Outcome:
    """Runs all Swift tests, and the few that failed once more by themselves."""
    passed_alone: list[str] = []
    tests = _swift_tests("swift")
    _with_python(tests)
    passed = len(tests.ended - tests.failed)
    failures = {identity: identity for identity in tests.failed}
    # What a thread recorded belongs to some test of its file.
    for file, line in tests.stray:
        folder, _, source = file.partition("/")
        of_file = [identity for identity in tests.ended if identity.startswith(f"{folder}.") and f"/{source}:" in identity]
        failures |= {identity: f"{identity} or another of {file}, at line {line}" for identity in of_file}
    if 0 < len(tests.failed) + len(tests.stray) <= RERUN_MAX and failures:
        # Many tests start real processes at once; on a machine that others load, one may wait too long. Alone it has no excuse.
        again = _alone("swift-again", failures)
        for identity in [identity for identity in failures if identity in again.ended - again.failed and not again.stray]:
            passed_alone.append(failures.pop(identity))
            passed += identity in tests.failed
    elif tests.stray and not failures:
        failures["stray"] = "recorded outside any test: " + ", ".join(f"{file}:{line}" for file, line in tests.stray)
    if passed == 0 or tests.code != 0 and not tests.failed and not tests.stray:
        failures["exit"] = f"swift test ended with {tests.code}"
    told = list(failures.values())
    return Outcome(passed=passed, failed=len(told), skipped=list(tests.skipped.values()), failures=told, passed_alone=passed_alone)
