"""Each rule on the smallest file that breaks it, and on one that does not."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import rules  # noqa: E402
from swift_source import SwiftSource  # noqa: E402
from tree import Tree  # noqa: E402


def findings(rule, **files: str) -> list[str]:
    """Findings of a rule; in file names `__` stands for `/` and `_dot_` for `.`."""
    tree = Tree({name.replace("__", "/").replace("_dot_", "."): text for name, text in files.items()})
    return [str(finding) for finding in rule(tree)]


class TestSwiftSource:
    def test_comments_and_strings_are_no_code(self):
        source = SwiftSource('let a = "try! \\(b(")"))" // as!\nlet c = #"\\(x)"# /* try! /* nested */ */ + d\n')
        assert "try!" not in source.code and "as!" not in source.code
        assert "b(" in source.code and "+ d" in source.code
        assert "x" not in source.code.split("\n")[1].split("=")[1].split("+")[0]
        assert source.comments[1] == "as!"

    def test_a_string_over_several_lines_keeps_the_lines(self):
        source = SwiftSource('let a = """\n  try! "quoted"\n  """\nlet b = 1\n')
        assert source.code.count("\n") == 4 and "try!" not in source.code and "let b = 1" in source.code

    def test_functions_are_measured_with_their_inner_ones(self):
        source = SwiftSource("func a(b: () -> Void = { }) -> Int\nwhere C: D {\n  func e() {\n  }\n}\n")
        assert [(f.name, f.line, f.lines) for f in source.functions()] == [("a", 1, 5), ("e", 3, 2)]

    def test_requirements_of_a_protocol_have_no_body(self):
        source = SwiftSource("protocol P {\n  func a()\n  func b() -> Int\n  init(c: Int)\n  var d: Int { get }\n}\n")
        assert source.functions() == []

    def test_attributes_may_stand_between_a_comment_and_its_declaration(self):
        source = SwiftSource("/// Says.\n@inlinable\npublic func a() {}\npublic var b = 1\n@Nullable public var c: Int?\n")
        assert [(p.name, p.documented) for p in source.publics()] == [("a", True), ("b", False), ("c", False)]


@pytest.mark.parametrize(
    "line", ["try! a()", "b as! C", 'fatalError("x")', "Task.detached { }", "@MainActor class A {}", "DispatchQueue.main", "usleep(1)"]
)
def test_banned_words_are_found_in_code_alone(line):
    assert len(findings(rules.banned_words, Sources__A__a_dot_swift=line)) == 1
    assert findings(rules.banned_words, Sources__A__a_dot_swift=f"// {line}\n") == []


def test_sleeping_is_banned_in_tests_alone():
    assert findings(rules.banned_words, Sources__A__a_dot_swift="try await Task.sleep(for: x)") == []
    assert findings(rules.banned_words, Tests__ATests__a_dot_swift="try await Task.sleep(for: x)")
    assert findings(rules.no_sleeping_python_tests, Tests__trainer__a_dot_py="time.sleep(1)\n")


def test_only_the_command_line_tool_prints():
    assert findings(rules.output_only_from_the_command_line_tool, Sources__anneal__a_dot_swift="print(1)") == []
    assert findings(rules.output_only_from_the_command_line_tool, Sources__Store__a_dot_swift="print(1)")
    assert findings(rules.output_only_from_the_command_line_tool, Sources__Store__a_dot_swift="a.print(1); fingerprint(2)") == []


def test_an_exception_needs_its_reason_beside_it():
    assert findings(rules.reasons_for_exceptions, Sources__A__a_dot_swift="let a = try? b()")
    assert findings(rules.reasons_for_exceptions, Sources__A__a_dot_swift="// It may be gone.\nlet a = try? b()") == []
    assert findings(rules.reasons_for_exceptions, Sources__A__a_dot_swift="final class A: @unchecked Sendable {}  // Locked.") == []


def test_foundation_needs_a_reason():
    assert findings(rules.reasons_for_foundation, Sources__A__a_dot_swift="import Foundation\n")
    assert findings(rules.reasons_for_foundation, Sources__A__a_dot_swift="import FoundationEssentials\n") == []
    assert findings(rules.reasons_for_foundation, Sources__A__a_dot_swift="import Foundation  // NumberFormatter\n") == []


def test_modules_stay_in_their_layer():
    assert findings(rules.imports_in_their_layer, Sources__Service__a_dot_swift="import GRDB")
    assert findings(rules.imports_in_their_layer, Sources__Store__a_dot_swift="public import GRDB") == []
    assert findings(rules.imports_in_their_layer, Tests__StoreTests__a_dot_swift="import GRDB") == []


def test_unfinished_work_is_found_in_any_file():
    assert findings(rules.unfinished_work, deploy__a_dot_yaml="# TODO: later")
    assert findings(rules.unfinished_work, Sources__A__a_dot_swift='mkdtemp("/tmp/a.XXXXXX")') == []


def test_lengths_at_the_limit_and_one_past_it():
    assert findings(rules.lengths, Sources__A__a_dot_swift="//\n" * rules.FILE_LINES_MAX) == []
    assert findings(rules.lengths, Sources__A__a_dot_swift="//\n" * (rules.FILE_LINES_MAX + 1))
    assert findings(rules.lengths, Sources__A__a_dot_swift="x" * rules.LINE_COLUMNS_MAX) == []
    assert findings(rules.lengths, Sources__A__a_dot_swift="x" * (rules.LINE_COLUMNS_MAX + 1))
    body = "a()\n" * (rules.FUNCTION_LINES_MAX - 2)
    assert findings(rules.lengths, Sources__A__a_dot_swift="func f() {\n" + body + "}\n") == []
    assert findings(rules.lengths, Sources__A__a_dot_swift="func f() {\n" + body + "a()\n}\n")
    assert findings(rules.lengths, Sources__a_dot_py="def f():\n" + "    a()\n" * rules.FUNCTION_LINES_MAX)


def test_nine_of_ten_public_declarations_are_documented():
    good = "/// Says.\npublic func a() {}\n"
    bad = "public func b() {}\n"
    assert findings(rules.documented, Sources__A__a_dot_swift=good * 9 + bad) == []
    assert findings(rules.documented, Sources__A__a_dot_swift=good * 8 + bad)


CONTRACT = "paths:\n  /a/{b}:\n    get:\n      operationId: getA\n"


def test_the_contract_and_the_routes_agree_both_ways():
    route = 'Route(.get, "/a/{b}", "getA", task: x)'
    files = {"openapi_dot_yaml": CONTRACT, "Sources__HTTPAPI__RouteTable_dot_swift": route}
    assert findings(rules.contract_and_routes_agree, **files) == []
    assert findings(rules.contract_and_routes_agree, **{**files, "Sources__HTTPAPI__RouteTable_dot_swift": ""})
    assert findings(rules.contract_and_routes_agree, **{**files, "openapi_dot_yaml": "paths:\n"})
    assert findings(rules.contract_and_routes_agree, **{**files, "Sources__HTTPAPI__RouteTable_dot_swift": route.replace(".get", ".post")})


def test_every_limit_is_named_in_a_test():
    limits = {"Sources__A__ALimits_dot_swift": "enum ALimits {\n    static let bytesMax = 1\n}\n"}
    assert findings(rules.limits_are_tested, **limits)
    assert findings(rules.limits_are_tested, **limits, Tests__ATests__a_dot_swift="#expect(ALimits.bytesMax)") == []


def test_paths_of_a_home_folder_are_found():
    assert findings(rules.no_home_folders, README_dot_md="cd /home/ada/anneal")
    assert findings(rules.no_home_folders, README_dot_md="cd ~/anneal; ls $HOME/x /srv/home/x") == []


def test_the_top_level_is_closed():
    assert findings(rules.top_level, README_dot_md="", Sources__a="", _dot_gitignore="") == []
    assert findings(rules.top_level, notes_dot_txt="")
