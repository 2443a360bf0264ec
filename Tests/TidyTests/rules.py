"""The rules. Each takes the tree and yields findings; its docstring is what the report calls it."""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator

from tree import Finding, Tree

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
#: The formatter breaks at 140; what it cannot break is a text for people that would not read better in pieces.
LINE_COLUMNS_MAX = 170
DOCUMENTED_SHARE_MIN = 0.9

#: What must not stand in Swift code, where, and what to write instead. The place is a prefix of the path.
BANNED = [
    (r"\btry!", "Sources", "'try!': handle the error, or throw it on"),
    (r"\bas!", "Sources", "'as!': use 'as?' and handle nil"),
    (r"(?<![\w.])fatalError\(", "Sources", "'fatalError(': throw an error, or use 'preconditionFailure(' for a broken invariant"),
    (r"\bTask\.detached\b", "Sources", "'Task.detached': use a structured task or BlockingThread"),
    (r"@MainActor\b", "Sources", "'@MainActor': the main thread serves nothing here; use @LoopActor"),
    (r"\bDispatchQueue\b", "Sources", "'DispatchQueue': use BlockingThread or the loop"),
    (r"\bDispatchSemaphore\b", "Sources", "'DispatchSemaphore': await instead"),
    (r"\bThread\.sleep\b", "", "'Thread.sleep': use LoopTimer, or wait for the event"),
    (r"(?<![\w.])usleep\(", "", "'usleep(': use LoopTimer, or wait for the event"),
    (r"(?<![\w.])(?<!func )system\(", "", "'system(': start programs by an argument list"),
    (r"(?<![\w.])(?:Task\.)?sleep\(", "Tests", "'sleep(' in a test: wait for the event itself, with a deadline"),
]

#: Modules that only these targets (and their tests) may import.
IMPORTERS = {
    "CUV": {"EventLoop", "HTTPServer", "HTTPClient"},
    "CLLHTTP": {"HTTPServer"},
    "CCurl": {"HTTPClient"},
    "GRDB": {"Store"},
    "CSQLite": {"WebDataset"},
}

TOP_LEVEL = {
    "Package.swift", "Sources", "Tests", "migrations", "deploy", "openapi.yaml", "README.md", "Makefile", "LICENSE", "CHANGELOG.md",
}  # fmt: skip


def banned_words(tree: Tree) -> Iterator[Finding]:
    """banned words"""
    rules = [(re.compile(pattern), place, advice) for pattern, place, advice in BANNED]
    for path, source in tree.swift():
        for number, line in enumerate(source.code_lines, 1):
            for pattern, place, advice in rules:
                if path.startswith(place) and pattern.search(line):
                    yield Finding(path, number, advice)


def output_only_from_the_command_line_tool(tree: Tree) -> Iterator[Finding]:
    """print( only in programs for a terminal"""
    for path, source in tree.swift("Sources"):
        if path.startswith(("Sources/anneal/", "Sources/anneal-simulator/")):
            continue
        for number, line in enumerate(source.code_lines, 1):
            if re.search(r"(?<![\w.])(?<!func )(?:print|debugPrint|dump)\(", line):
                yield Finding(path, number, "'print(': libraries and daemons write to the log")


def no_sleeping_python_tests(tree: Tree) -> Iterator[Finding]:
    """no sleep( in Python tests"""
    for path, text in tree.texts(".py", under="Tests"):
        if path.startswith("Tests/TidyTests/"):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"(?<!\w)sleep\(", line.split("#")[0]):
                yield Finding(path, number, "'sleep(' in a test: wait for the event itself, with a deadline")


def reasons_for_exceptions(tree: Tree) -> Iterator[Finding]:
    """unsafe words only with a reason"""
    words = [
        (r"@unchecked\s+Sendable\b", "'@unchecked Sendable': say in a comment why it is safe"),
        (r"\bnonisolated\(unsafe\)", "'nonisolated(unsafe)': say in a comment why it is safe"),
        (r"\btry\?", "'try?': say in a comment why the error does not matter"),
        (r"(?<![\w.])waitpid\(\s*-1\b", "'waitpid(-1': wait for one process, by its pidfd, or say in a comment why any child is meant"),
    ]
    for path, source in tree.swift("Sources"):
        for number, line in enumerate(source.code_lines, 1):
            for pattern, advice in words:
                if re.search(pattern, line) and not source.has_comment(number):
                    yield Finding(path, number, advice)


def reasons_for_foundation(tree: Tree) -> Iterator[Finding]:
    """Foundation only with a reason"""
    for path, source in tree.swift("Sources"):
        for number, line in enumerate(source.code_lines, 1):
            if re.match(r"\s*(?:\w+\s+)?import\s+Foundation\b", line) and not source.has_comment(number):
                yield Finding(path, number, "'import Foundation': prefer FoundationEssentials, or say in a comment what needs it")


def imports_in_their_layer(tree: Tree) -> Iterator[Finding]:
    """C and SQL modules only in their targets"""
    for path, source in tree.swift():
        target = path.split("/")[1].removesuffix("Tests") if "/" in path else ""
        for number, line in enumerate(source.code_lines, 1):
            match = re.match(r"\s*(?:@\w+\s+|\w+\s+)*import\s+(?:\w+\s+)?(\w+)", line)
            allowed = IMPORTERS.get(match[1]) if match else None
            if match and allowed is not None and target not in allowed:
                yield Finding(path, number, f"'import {match[1]}': only {', '.join(sorted(allowed))} may; use what they offer")


def unfinished_work(tree: Tree) -> Iterator[Finding]:
    """no unfinished work"""
    for path, text in tree.texts():
        if path.startswith("Tests/TidyTests/"):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if match := re.search(r"\b(FIXME|TODO|XXX)\b", line):
                yield Finding(path, number, f"'{match[1]}': finish it, or take it out")


def lengths(tree: Tree) -> Iterator[Finding]:
    """lengths of files, functions and lines"""
    for path, text in tree.texts(".swift", ".py", ".c", ".h", ".sh"):
        lines = text.removesuffix("\n").split("\n")
        if len(lines) > FILE_LINES_MAX:
            yield Finding(path, len(lines), f"{len(lines)} lines; at most {FILE_LINES_MAX}: one file, one idea")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_COLUMNS_MAX:
                yield Finding(path, number, f"{len(line)} columns; at most {LINE_COLUMNS_MAX}")
    for path, source in tree.swift():
        for function in source.functions():
            if function.lines > FUNCTION_LINES_MAX:
                yield Finding(path, function.line, f"'{function.name}' has {function.lines} lines; at most {FUNCTION_LINES_MAX}")
    for path, text in tree.texts(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                if count > FUNCTION_LINES_MAX:
                    yield Finding(path, node.lineno, f"'{node.name}' has {count} lines; at most {FUNCTION_LINES_MAX}")


#: What the standard library's protocols ask for explains itself.
_SELF_EXPLANATORY = {"hash", "encode", "==", "<", "+", "-", "run", "enqueue", "makeIterator", "next"}
#: Kinds of declarations that are judged. Members that hold a value are not: where name and type of one do not say it all, its unit or
#: its range, a comment is asked for in review; on every `id` and `name` it would be noise.
_JUDGED = {"func", "subscript", "struct", "class", "enum", "actor", "protocol", "typealias", "macro"}


def documented(tree: Tree) -> Iterator[Finding]:
    """public types and functions are documented"""
    missing: dict[str, list[tuple[str, int, str]]] = {}
    counts: dict[str, int] = {}
    for path, source in tree.swift("Sources"):
        target = path.split("/")[1]
        for declaration in source.publics():
            if declaration.kind not in _JUDGED or not declaration.name or declaration.name in _SELF_EXPLANATORY:
                continue
            counts[target] = counts.get(target, 0) + 1
            if not declaration.documented:
                missing.setdefault(target, []).append((path, declaration.line, declaration.name))
    for target, gaps in sorted(missing.items()):
        share = 1 - len(gaps) / counts[target]
        if share < DOCUMENTED_SHARE_MIN:
            path, line, _ = gaps[0]
            names = ", ".join(f"{name} ({pathlib.PurePath(path).name}:{line})" for path, line, name in gaps[:20])
            yield Finding(path, line, f"{target}: {share:.0%} of {counts[target]} public types and functions documented; missing: {names}")


def contract_and_routes_agree(tree: Tree) -> Iterator[Finding]:
    """the contract and the route table agree"""
    contract, table = tree.read("openapi.yaml"), tree.read("Sources/HTTPAPI/RouteTable.swift")
    if contract is None or table is None:
        missing = "openapi.yaml" if contract is None else "Sources/HTTPAPI/RouteTable.swift"
        yield Finding(missing, 1, "is missing")
        return
    declared: dict[str, tuple[str, str]] = {}
    path = method = ""
    for line in contract.split("\n"):
        if match := re.match(r"  (/\S*):$", line):
            path = match[1]
        elif match := re.match(r"    (get|post|put|patch|delete):$", line):
            method = match[1]
        elif match := re.match(r"      operationId: (\w+)$", line):
            declared[match[1]] = (method, path)
    routes = {match[3]: (match[1], match[2]) for match in re.finditer(r'Route\(\s*\.(\w+),\s*"([^"]+)",\s*"(\w+)"', table)}
    for name in sorted(declared.keys() - routes.keys()):
        yield Finding("openapi.yaml", 1, f"the operation '{name}' has no route in RouteTable.swift")
    for name in sorted(routes.keys() - declared.keys()):
        yield Finding("Sources/HTTPAPI/RouteTable.swift", 1, f"the route '{name}' is not in openapi.yaml")
    for name in sorted(declared.keys() & routes.keys()):
        if declared[name] != routes[name]:
            here, there = " ".join(declared[name]), " ".join(routes[name])
            yield Finding("openapi.yaml", 1, f"'{name}' is {here} in the contract, {there} in the table")


def limits_are_tested(tree: Tree) -> Iterator[Finding]:
    """every limit is named in a test"""
    tests = "\n".join(text for _, text in tree.texts(".swift", ".py", under="Tests"))
    words = set(re.findall(r"\w+", tests))
    for path, source in tree.swift("Sources"):
        if not path.endswith("Limits.swift"):
            continue
        for number, line in enumerate(source.code_lines, 1):
            match = re.match(r"    (?:public |package )?(?:static let|static var|var|let) (\w+)", line)
            if match and match[1] not in words and match[1] != "standard":
                yield Finding(path, number, f"the limit '{match[1]}' is named in no test; test it at the limit and one past it")


def no_home_folders(tree: Tree) -> Iterator[Finding]:
    """no paths of one person's machine"""
    for path, text in tree.texts():
        if path.startswith("Tests/TidyTests/"):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if match := re.search(r"(?<![\w.$}/])/(?:home|Users|root)/\w[\w./-]*", line):
                yield Finding(path, number, f"'{match[0]}' exists on one machine only")


def top_level(tree: Tree) -> Iterator[Finding]:
    """the top level holds what the layout says"""
    for name in sorted({path.split("/")[0] for path in tree.paths}):
        if name not in TOP_LEVEL and not name.startswith("."):
            yield Finding(name, 1, f"the top level holds only {', '.join(sorted(TOP_LEVEL))} and dot files")


ALL = [
    banned_words, output_only_from_the_command_line_tool, no_sleeping_python_tests, reasons_for_exceptions, reasons_for_foundation,
    imports_in_their_layer, unfinished_work, lengths, documented, contract_and_routes_agree, limits_are_tested, no_home_folders, top_level,
]  # fmt: skip
