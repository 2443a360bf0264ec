import Foundation
import Testing

@testable import Specification

@Suite struct EvaluateRulesTests {
    private let fixture = PlanFixture()

    private func problems(_ benchmark: String, _ others: String = "") -> [String] {
        let job = """
            kind: evaluate
            server: {url: "http://127.0.0.1:8000"}
            benchmarks: [{dataset: data.jsonl, \(benchmark)}]
            """
        return fixture.problems(PlanFixture.job(job + "\n" + others))
    }

    @Test(arguments: [
        "grader: math", "grader: math, grading: {answer: hashes}", "grader: math, grading: {pattern: 'A: (.+)$', modulo: 1000}",
        "grader: regex", "grader: regex, grading: {pattern: '[0-9]+'}", "grader: json, grading: {path: /answer, compare: contains}",
        "grader: command, grading: {command: [python3, grade.py], timeout: 10s}", "grader: choice, grading: {pattern: '([A-J])'}",
        "grader: judge, grading: {judge: {url: 'http://judge:8000', model: m, api_key_env: KEY, mode: pair, prompt: '{problem}'}}",
        "grader: judge, grading: {judge: {engine: vllm, model: /models/judge, args: {max-model-len: 8192}, startup_timeout: 5m}}",
        "definition: first_k, samples: 8", "prompt: 'Solve {question}', expected: label, task: subject",
    ])
    func graderSettingsAreAccepted(_ benchmark: String) {
        #expect(problems(benchmark) == [])
    }

    @Test(
        arguments: [
            ("grader: maths", "did you mean 'math'?"), ("grading: {modulo: 7}", "only with the grader 'math'"),
            ("grader: math, grading: {path: /a}", "only with the grader 'json'"), ("grader: command", "needs 'grading: {command"),
            ("grader: judge", "needs 'grading: {judge"), ("grader: judge, grading: {judge: {url: 'http://j'}}", "'model' is missing"),
            ("grader: judge, grading: {judge: {model: m}}", "names neither 'engine'"),
            ("grader: judge, grading: {judge: {model: m, url: 'http://j', args: {a: 1}}}", "stands only with 'engine'"),
            ("grader: judge, grading: {judge: {model: m, engine: vllm, api_key_env: K}}", "stands only with 'url'"),
            ("grader: regex, grading: {pattern: '('}", "no regular expression"), ("grader: json, grading: {path: a}", "no JSON pointer"),
            ("grader: math, grading: {answer: boxed, pattern: x}", "only with 'answer: pattern'"),
            ("definition: biased", "one of unbiased"),
            ("samples: 2000", "/samples"),
        ] as [(String, String)])
    func graderSettingsThatDoNotFitAreRefused(_ benchmark: String, _ words: String) {
        expectProblem(problems(benchmark), words)
    }

    @Test(
        arguments: [
            ("{generations: data.jsonl}", ""),
            ("{generations: data.jsonl, samples: 4, response: answer, grader: math, max_seq_len: 9}", ""),
            ("{generations: [data.jsonl, more.jsonl]}", ""), ("{name: x}", "names neither 'dataset'"),
            ("{dataset: data.jsonl}", "'server' is missing"), ("{dataset: data.jsonl, generations: data.jsonl}", "/dataset conflict"),
            ("{generations: data.jsonl, prompt: x}", "'generations' asks none"), ("{generations: [data.jsonl], samples: 2}", "is a sample"),
            ("{generations: []}", "/generations"), ("{dataset: data.jsonl, response: x}", "only with 'generations'"),
            ("{generations: data.jsonl, max_seq_len: 0}", "/max_seq_len"),
        ])
    func generationsAreGradedWithoutAServer(_ benchmark: String, _ words: String) {
        let found = fixture.problems(PlanFixture.job("kind: evaluate\nbenchmarks: [\(benchmark)]"))
        if words.isEmpty { #expect(found == []) } else { expectProblem(found, words) }
    }

    @Test func gatesBySignificanceAreAccepted() {
        let gate = "compare_to: eval_1\ngate: {accuracy: 'not < baseline at 95%', truncated: '<= 0.1', no_answer: '> 0.5 at 90%'}"
        #expect(problems("samples: 2", gate) == [])
        expectProblem(problems("samples: 2", "gate: {accuracy: 'not < baseline at 95%'}"), "give 'compare_to'")
        expectProblem(problems("samples: 2", "gate: {accuracy: '> 0.5 at 5'}"), "is no condition")
    }

    @Test func conditionsBySignificanceAreRead() throws {
        let condition = try #require(GateCondition("not < baseline - 0.01 at 97.5%"))
        #expect(condition.isNegated && condition.confidence == 0.975 && condition.comparison == .below)
        #expect(condition.limit == .baseline(factor: 1, offset: -0.01))
        for text in ["== 1 at 95%", "> 1 at 100%", "> 1 at 10%", "> 1 95%", "not", "> at 95%", "not 5"] {
            #expect(GateCondition(text) == nil)
        }
    }

    @Test(arguments: ["evaluate-math", "evaluate-judge", "evaluate-formats", "evaluate-checkpoints", "evaluate-generations"])
    func theExamplesAreRight(name: String) throws {
        let path = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("../../deploy/examples/\(name).yaml").standardizedFileURL
        let context = PlanContext(
            baseDirectory: "/srv", pathExists: { $0.contains(".json") ? .file : .directory }, artifactExists: { _ in true })
        let result = SpecDocument.parse(Array(try Data(contentsOf: path))).flatMap { ExperimentPlan.make(from: $0, context: context) }
        guard case .failure(let errors) = result else { return }
        #expect(errors.errors.map { "\($0.pointer) \($0.detail)" } == [])
    }
}
