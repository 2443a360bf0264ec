import JSON
import Testing

@testable import Specification

@Suite struct VariablesTests {
    private let fixture = PlanFixture()

    private func spec(_ vars: String, _ job: String = "command: [run, \"${vars.lr}\"]", _ more: String = "") -> String {
        "name: v\nvars: \(vars)\n\(more)jobs:\n  a:\n    kind: command\n    \(job)\n"
    }

    @Test func aVariableStandsForAValueOfAnyType() throws {
        let plan = try fixture.plan(
            spec("{lr: 1e-5, limits: {cpus: 2}}", "command: [run, \"${vars.lr}\"]\n    resources: \"${vars.limits}\""))
        #expect(plan.jobs[0].spec["command"] == ["run", "1e-05"])
        #expect(plan.jobs[0].resources.cpus == 2)
    }

    @Test func aVariableStandsInsideATextAndInTheEnvironment() throws {
        let plan = try fixture.plan(
            spec("{size: 7}", "command: [run, \"model-${vars.size}b\"]", "env: {SIZE: \"${vars.size}\"}\n"))
        #expect(plan.jobs[0].spec["command"] == ["run", "model-7b"])
        #expect(plan.environment == ["SIZE": "7"])
    }

    @Test func aMatrixMayBeMadeOfVariables() throws {
        let plan = try fixture.plan(spec("{seeds: [1, 2, 3]}", "command: [run, \"${matrix.seed}\"]\n    matrix: {seed: \"${vars.seeds}\"}"))
        #expect(plan.jobs.count == 3)
    }

    @Test func anOverrideChangesAVariable() throws {
        let plan = try fixture.plan(spec("{lr: 1}"), overrides: ["vars.lr=2"])
        #expect(plan.jobs[0].spec["command"] == ["run", "2"])
    }

    @Test(
        arguments: [
            ("{lr: 1, l: 2}", "command: [x, \"${vars.lr}\"]", "/vars/l unknown_reference"),
            ("{lr: 1}", "command: [x, \"${vars.rl}\", \"${vars.lr}\"]", "/jobs/a/command/1 unknown_reference"),
            ("{lr: [1]}", "command: [x, \"lr=${vars.lr}\"]", "/jobs/a/command/1 bad_value"),
            ("{1x: 1}", "command: [x]", "/vars/1x bad_value"), ("[1]", "command: [x]", "/vars wrong_type"),
        ])
    func mistakesAreNamed(_ vars: String, _ job: String, _ expected: String) {
        expectProblem(fixture.problems(spec(vars, job)), expected)
    }

    @Test func aMisspeltVariableIsSuggested() {
        let problems = fixture.problems(spec("{student: x}", "command: [x, \"${vars.studnet}\"]"))
        #expect(problems.contains { $0.contains("student") && $0.contains("there is no variable 'studnet'") })
    }

    @Test func aJobCannotHaveTheName() {
        expectProblem(fixture.problems("name: v\njobs: {vars: {kind: command, command: [x]}}\n"), "/jobs/vars bad_value")
    }

    @Test func aSmallDocumentCannotStandForAHugeOne() {
        let list = "[" + Array(repeating: "0", count: 2000).joined(separator: ",") + "]"
        let uses = Array(repeating: "\"${vars.x}\"", count: 501).joined(separator: ",")
        expectProblem(fixture.problems(spec("{x: \(list)}", "outputs: [\(uses)]\n    command: [x]")), "too_large")
    }
}
