import JSON
import Testing

@testable import Specification

@Suite struct EveryCheckpointTests {
    private let fixture = PlanFixture()

    /// A training and an evaluation with these lines beside `kind`, server and benchmarks.
    private func spec(_ lines: String, others: String = "") -> String {
        """
        name: one
        jobs:
          sft: {kind: train, method: sft, model: models/base, dataset: data.jsonl}
          watch:
            kind: evaluate
            server: {engine: transformers}
            benchmarks: [{dataset: data.jsonl}]
        \(lines.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
        \(others)
        """
    }

    @Test func everyCheckpointOfATrainingIsAModel() throws {
        let plan = try fixture.plan(spec("on: checkpoint\nmodel: ${sft.checkpoint}\nevery: 20\nsteps: [20, 40, 50]"))
        let job = plan.jobs[1]
        #expect(job.needs == [0] && job.outputs == ["evaluation", "best"])
        let rule = try #require(EveryCheckpoint(spec: job.spec))
        #expect(rule.training == "sft")
        #expect([10, 20, 40, 50, 60].filter(rule.includes) == [20, 40])
        let body = EveryCheckpoint.body(of: job.spec, checkpointID: "ckpt_1")
        #expect(body["model"] == "checkpoint:ckpt_1" && body["on"] == nil && body["every"] == nil && body["steps"] == nil)
        #expect(body["benchmarks"] == job.spec["benchmarks"])
        #expect(EveryCheckpoint(spec: body) == nil)
    }

    @Test func itsResultsAreOutputs() throws {
        let next = "  next: {kind: command, command: [cat, '${watch.evaluation}', '${watch.best}']}"
        #expect(try fixture.plan(spec("on: checkpoint\nmodel: ${sft.checkpoint}", others: next)).jobs[2].needs == [1])
        expectProblem(fixture.problems(spec("model: ${sft.checkpoint.best}", others: next)), "/jobs/next/command/2", "no output 'best'")
    }

    @Test(
        arguments: [
            ("model: ${sft.checkpoint}", "/jobs/watch/model", "stands for each checkpoint"),
            ("on: checkpoint\nmodel: ${sft.checkpoint.best}", "/jobs/watch/model", "needs 'model: ${job.checkpoint}'"),
            ("on: checkpoint\nmodel: models/base", "/jobs/watch/model", "needs 'model: ${job.checkpoint}'"),
            ("on: checkpoint", "/jobs/watch/on", "needs 'model: ${job.checkpoint}'"),
            ("on: start\nmodel: ${sft.checkpoint}", "/jobs/watch/on", "'checkpoint'"),
            ("on: checkpoint\nmodel: ${sft.checkpoint}\nif: always()", "/jobs/watch/if", "cannot stand beside"),
            ("every: 10\nmodel: models/base", "/jobs/watch/every", "only with 'on: checkpoint'"),
            ("steps: [10]\nmodel: models/base", "/jobs/watch/steps", "only with 'on: checkpoint'"),
            ("on: checkpoint\nmodel: ${sft.checkpoint}\nevery: 0", "/jobs/watch/every", "from 1"),
            ("on: checkpoint\nmodel: ${stf.checkpoint}", "/jobs/watch/model", "did you mean 'sft'"),
        ])
    func whatDoesNotFitIsRefused(_ lines: String, _ pointer: String, _ words: String) {
        expectProblem(fixture.problems(spec(lines)), pointer, words)
    }

    @Test func itStandsNowhereElse() {
        let job = "  next: {kind: command, command: [ls, '${sft.checkpoint}']}"
        expectProblem(
            fixture.problems(spec("on: checkpoint\nmodel: ${sft.checkpoint}", others: job)), "/jobs/next/command/1",
            "write '${sft.checkpoint.best}' or '${sft.checkpoint.last}'")
    }

    @Test func namesOfItsEvaluationsAreTaken() {
        let job = "  watch-step-10: {kind: command, command: [ls]}\n  watch-steps-10: {kind: command, command: [ls]}"
        let problems = fixture.problems(spec("on: checkpoint\nmodel: ${sft.checkpoint}", others: job))
        #expect(problems.count == 1)
        expectProblem(problems, "/jobs/watch-step-10", "the name of an evaluation of one checkpoint that 'watch' makes")
    }

    @Test func aServerThatRunsHasNoNewCheckpoint() {
        let text = spec("on: checkpoint\nmodel: ${sft.checkpoint}").replacing("{engine: transformers}", with: "{url: 'http://127.0.0.1:1'}")
        expectProblem(fixture.problems(text), "/jobs/watch/server/url", "give an 'engine'")
    }
}
