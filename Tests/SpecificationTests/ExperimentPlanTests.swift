import Domain
import JSON
import Testing

@testable import Specification

@Suite struct ExperimentPlanTests {
    private let fixture = PlanFixture()

    private let whole = """
        name: jcqa-sft
        project: team-a
        description: Two epochs.
        tags: {owner: ann, run: 7}
        env: {HF_HUB_OFFLINE: "1", SHARED: top}
        jobs:
          data:
            kind: prepare
            source: {file: ./data.jsonl}
            steps:
              - jcqa_rebalance: {seed: 42}
              - jcqa_messages:
              - split: {train: 0.9, validation: 0.1, seed: 7}
          baseline:
            kind: evaluate
            model: ./models/base
            server: {engine: transformers}
            benchmarks: [{dataset: "${data.validation}", samples: 8, grader: exact}]
          sft:
            kind: train
            method: sft
            model: ./models/base
            dataset: ${data.train}
            validation: ${data.validation}
            params: {epochs: 2, global_batch_size: 256, micro_batch_size: 1, max_length: 2048, learning_rate: 3.0e-6, validate_every: 10}
            checkpoint: {every: 55, keep_top_k: 3, metric: val_loss, mode: min}
            resources: {gpus: 8, cpus: 16, memory: 64GiB}
            timeout: 4h
            retry: {limit: 5, delay: 10s}
            env: {SHARED: own, DATA: "${data.train}"}
          after:
            kind: evaluate
            model: ${sft.checkpoint.best}
            compare_to: ${baseline.evaluation}
            server: {engine: vllm, args: {max-num-seqs: 16}}
            resources: {gpus: 1}
            benchmarks: [{dataset: "${data.validation}", samples: 8, grader: exact}]
            gate: {"accuracy": ">= baseline + 0.02"}
          report:
            kind: command
            command: [python3, report.py, 5, "${after.evaluation}", "$${HOME}"]
            outputs: [table]
            if: after.accuracy > 0.5
            needs: sft
            priority: 80
            cache: false
            grace: 5s
        """

    @Test func aWholeSpecIsPlanned() throws {
        let plan = try fixture.plan(whole)
        #expect(plan.name == "jcqa-sft" && plan.project == "team-a" && plan.description == "Two epochs.")
        #expect(plan.tags == ["owner": "ann", "run": "7"])
        #expect(plan.environment == ["HF_HUB_OFFLINE": "1", "SHARED": "top"])
        #expect(plan.jobs.map(\.name) == ["data", "baseline", "sft", "after", "report"])
        #expect(plan.jobs.map(\.needs) == [[], [0], [0], [0, 1, 2], [2, 3]])
        #expect(plan.jobs.map(\.engine) == ["anneal", "anneal", "trl", "anneal", "shell"])
        #expect(plan.topologicalOrder == [0, 1, 2, 3, 4])
    }

    @Test func aJobsSettingsAreRead() throws {
        let jobs = try fixture.plan(whole).jobs
        let sft = jobs[2]
        #expect(sft.resources == ResourceRequest(gpus: 8, cpus: 16, memoryBytes: 64 << 30))
        #expect(sft.timeout == .seconds(14_400))
        #expect(sft.retry == RetryPolicy(limit: 5, delay: .seconds(10), backoff: 2))
        #expect(sft.grace == .seconds(300) && sft.priority == 50 && sft.cache)
        #expect(sft.environment == ["HF_HUB_OFFLINE": "1", "SHARED": "own", "DATA": "${data.train}"])
        #expect(sft.workingDirectory == nil && sft.condition == nil)
        #expect(sft.outputs == ["checkpoint.best", "checkpoint.last", "model"])
        #expect(sft.references.contains(Reference(pointer: JSONPointer(["dataset"]), job: "data", output: "train", expected: .dataset)))
        #expect(sft.inputs == [ExternalInput(pointer: JSONPointer(["model"]), type: .checkpoint, source: .path("/srv/models/base"))])
        let report = jobs[4]
        #expect(report.priority == 80 && !report.cache && report.grace == .seconds(5) && report.workingDirectory == "/srv")
        #expect(report.condition?.description == "after.accuracy > 0.5")
        #expect(report.outputs == ["table"] && report.retry == RetryPolicy())
    }

    @Test func bodiesReachTheWorkerWithAbsolutePathsAndNothingElseChanged() throws {
        let jobs = try fixture.plan(whole).jobs
        #expect(jobs[0].spec["source"]?["file"] == "/srv/data.jsonl")
        #expect(jobs[0].spec["steps"]?[1] == ["jcqa_messages": [:]])
        #expect(jobs[2].spec["model"] == "/srv/models/base")
        #expect(jobs[2].spec["dataset"] == "${data.train}")
        #expect(jobs[2].spec["params"]?.object?.count == 6)
        #expect(jobs[4].spec["command"] == ["python3", "report.py", "5", "${after.evaluation}", "$${HOME}"])
    }

    @Test func referencesAreResolvedAtTheEnd() throws {
        let jobs = try fixture.plan(whole).jobs
        let report = jobs[4].resolvedSpec { "/out/\($0.job)/\($0.output)" }
        #expect(report["command"] == ["python3", "report.py", "5", "/out/after/evaluation", "${HOME}"])
        #expect(report["if"] == "after.accuracy > 0.5")
        let sft = jobs[2]
        #expect(sft.resolvedSpec { $0.pointer.description }["dataset"] == "/dataset")
        #expect(sft.resolvedEnvironment { "\($0.pointer)" }["DATA"] == "/env/DATA")
    }

    @Test func planningIsDeterministic() throws {
        let first = try fixture.plan(whole)
        let second = try fixture.plan(whole)
        #expect(
            first.jobs.map { $0.cacheForm(inputs: [:], references: [:]) } == second.jobs.map { $0.cacheForm(inputs: [:], references: [:]) })
        #expect(first.jobs.map(\.references) == second.jobs.map(\.references))
    }

    @Test func everyMistakeIsReportedAtOnceInTheOrderOfTheDocument() {
        let text = """
            name: "bad name!"
            projekt: x
            env: {1X: a, ANNEAL_URL: b}
            jobs:
              a:
                kind: trian
                needs: [nobody]
              b:
                kind: train
                method: sft
                model: ./nothing
                dataset: ${a.nothing}
                params: {epoch: 2, learning_rate: fast, beta1: 1}
                timeout: soon
              c:
                kind: command
                needs: [d]
              d:
                kind: command
                command: [x]
                needs: [c]
                if: c.state == 'failled'
              9x: {}
              e: [1]
            """
        let errors = fixture.errors(text)
        #expect(errors.map(\.line) == errors.map(\.line).sorted { ($0 ?? .max) < ($1 ?? .max) })
        let problems = errors.map { "\($0.line ?? 0) \($0.pointer) \($0.code.rawValue) \($0.detail)" }
        expectProblem(problems, "1 /name bad_value", "bad name!")
        expectProblem(problems, "2 /projekt unknown_key", "did you mean 'project'?")
        expectProblem(problems, "3 /env/1X bad_value")
        expectProblem(problems, "3 /env/ANNEAL_URL bad_value", "set by Anneal itself")
        expectProblem(problems, "6 /jobs/a/kind bad_value", "did you mean 'train'?")
        expectProblem(problems, "7 /jobs/a/needs/0 unknown_name", "no job 'nobody'")
        expectProblem(problems, "11 /jobs/b/model missing_file", "/srv/nothing")
        expectProblem(problems, "13 /jobs/b/params/epoch unknown_key", "did you mean 'epochs'?")
        expectProblem(problems, "13 /jobs/b/params/learning_rate wrong_type", "greater than 0", "a string")
        expectProblem(problems, "13 /jobs/b/params/beta1 out_of_range", "less than 1")
        expectProblem(problems, "14 /jobs/b/timeout bad_value", "soon")
        expectProblem(problems, "15 /jobs/c required", "'command' is missing")
        expectProblem(problems, "15 /jobs/c cycle", "c → d → c")
        expectProblem(problems, "22 /jobs/d/if bad_value", "did you mean 'failed'?")
        expectProblem(problems, "23 /jobs/9x bad_value", "no name for a job")
        expectProblem(problems, "23 /jobs/9x required", "'kind' is missing")
        expectProblem(problems, "24 /jobs/e wrong_type", "a list")
    }

    @Test func anErrorReadsWell() {
        let error = fixture.errors("name: x\njobs:\n  a: {kind: command, comand: [x]}\n").first { $0.code == .unknownKey }
        #expect(error?.description == "line 3, column 22: /jobs/a/comand: unknown key 'comand' (did you mean 'command'?)")
    }

    @Test func missingTopLevelKeysAreReported() {
        let problems = fixture.problems("project: x\n")
        expectProblem(problems, "required", "'name' is missing")
        expectProblem(problems, "required", "'jobs' is missing")
        expectProblem(fixture.problems("name: x\njobs: {}\n"), "/jobs bad_value", "at least one job")
        expectProblem(fixture.problems("name: x\njobs: [a]\n"), "/jobs wrong_type")
        expectProblem(fixture.problems("name: x\njobs:\n"), "/jobs wrong_type", "null")
    }

    @Test func theNumberOfReportedErrorsIsBounded() {
        let jobs = (0..<SpecLimits.errorsMax + 5).map { "  j\($0): {kind: command, command: [x], nonsense\($0): 1}" }.joined(
            separator: "\n")
        guard
            case .failure(let errors) = SpecDocument.parse(Array("name: x\njobs:\n\(jobs)\n".utf8)).flatMap({
                ExperimentPlan.make(from: $0, context: fixture.context)
            })
        else { Issue.record("accepted"); return }
        #expect(errors.errors.count == SpecLimits.errorsMax)
        #expect(errors.leftOut == 5)
        #expect(errors.description.hasSuffix("… and 5 more"))
    }

    @Test func tenThousandJobsArePlannedAndOneMoreIsRefused() throws {
        func spec(_ count: Int) -> String {
            var text = "name: many\njobs:\n  j0: {kind: command, command: [echo, '0']}\n"
            for index in 1..<count { text += "  j\(index): {kind: command, command: [echo, '\(index)'], needs: [j\(index - 1)]}\n" }
            return text
        }
        let plan = try fixture.plan(spec(SpecLimits.jobsMax))
        #expect(plan.jobs.count == SpecLimits.jobsMax)
        #expect(plan.topologicalOrder == Array(0..<SpecLimits.jobsMax))
        expectProblem(fixture.problems(spec(SpecLimits.jobsMax + 1)), "too_large", "10000 jobs")
    }

    @Test func aSpecReadBackFromTheStoreIsPlannedWithoutText() throws {
        let value = try SpecDocument.parse(Array(whole.utf8)).get().value
        let again = try JSONParser.parse(value.description)
        let plan = try ExperimentPlan.make(from: SpecDocument(value: again), context: fixture.context).get()
        #expect(plan.jobs.count == 5)
        guard case .failure(let errors) = ExperimentPlan.make(from: SpecDocument(value: ["name": 5]), context: fixture.context) else {
            return
        }
        #expect(errors.errors.allSatisfy { $0.line == nil })
    }
}
