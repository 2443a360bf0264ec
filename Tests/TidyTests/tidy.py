#!/usr/bin/env python3
"""Style as a test: checks what review by eye forgets. Needs nothing beyond Python.

Prints one line for each finding, `path:line: message`, and at the end how many rules hold. Exits 1 where one does not.
"""

from __future__ import annotations

import pathlib
import sys

import rules
from tree import Tree

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main() -> int:
    tree = Tree.of(ROOT)
    broken = 0
    for rule in rules.ALL:
        findings = list(rule(tree))
        broken += bool(findings)
        for finding in findings:
            print(finding)
        if findings:
            print(f"FAILED {rule.__doc__}: {len(findings)}\n")
    print(f"{len(rules.ALL) - broken} passed, {broken} failed, 0 skipped ({len(tree.paths)} files)")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
