import Domain
import JSON
import Testing

@testable import Specification

@Suite struct JobGraphTests {
    private let fixture = PlanFixture()

    private func command(_ name: String, _ rest: String = "") -> String {
        "  \(name): {kind: command, command: [x], outputs: [o]\(rest.isEmpty ? "" : ", \(rest)")}\n"
    }

    private func spec(_ jobs: String...) -> String { "name: graph\njobs:\n" + jobs.joined() }

    @Test func needsReferencesAndConditionsAllMakeDependencies() throws {
        let plan = try fixture.plan(
            spec(command("a", "if: \"d.o > 1\""), command("b", "needs: [c]"), command("c", "env: {X: \"${d.o}\"}"), command("d")))
        #expect(plan.jobs.map(\.needs) == [[3], [2], [3], []])
        #expect(plan.topologicalOrder == [3, 0, 2, 1])
    }

    @Test func circlesAreNamed() {
        let problems = fixture.problems(
            spec(
                command("a", "needs: [b]"), command("b", "env: {X: \"${c.o}\"}"), command("c", "if: \"a.o > 1\""),
                command("x", "needs: [y]"), command("y", "needs: [x]"), command("z", "needs: [a]")))
        expectProblem(problems, "/jobs/a cycle", "a → b → c → a")
        expectProblem(problems, "/jobs/x cycle", "x → y → x")
        #expect(problems.count == 2)
    }

    @Test func aJobCannotNeedItself() {
        expectProblem(fixture.problems(spec(command("a", "needs: [a]"))), "/jobs/a/needs/0 cycle")
        expectProblem(fixture.problems(spec(command("a", "env: {X: \"${a.o}\"}"))), "/jobs/a/env/X cycle", "refers to the job itself")
    }

    @Test(
        arguments: [
            ("${dat.o}", "there is no job 'dat'", "did you mean 'data'?"), ("${data.x}", "has no output 'x'", "its outputs: o"),
            ("${nobody.o}", "no job 'nobody'", ""), ("${data}", "is no reference", "$${data}"),
            ("${data.o", "without its '}'", ""), ("${matrix.lr}", "in a job without a matrix", ""),
        ] as [(String, String, String)])
    func badReferencesAreRefused(_ text: String, _ words: String, _ more: String) {
        expectProblem(fixture.problems(spec(command("data"), command("b", "env: {X: \"a \(text) b\"}"))), "/jobs/b/env/X", words, more)
    }

    @Test func anOutputOfTheWrongTypeIsRefused() {
        let text = """
            name: types
            jobs:
              data: {kind: prepare, source: {file: data.jsonl}}
              sft: {kind: train, method: sft, model: "${data.dataset}", dataset: "${base.model}", validation: "${cmd.o}"}
              base:
                kind: convert
                create: {architecture: llama, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2, num_attention_heads: 4}
                tokenizer: {type: byte_bpe, train_on: "${data.train}"}
              cmd: {kind: command, command: [x], outputs: [o]}
            """
        let problems = fixture.problems(text)
        expectProblem(problems, "/jobs/sft/model wrong_type", "is a dataset; a checkpoint is needed here")
        expectProblem(problems, "/jobs/sft/dataset wrong_type", "is a checkpoint; a dataset is needed here")
        expectProblem(problems, "/jobs/base/tokenizer/train_on unknown_reference", "its outputs: dataset")
        #expect(problems.count == 3)
    }

    @Test(
        arguments: [
            ("steps: [{split: {train: 5, validation: 5}}]", "train, validation"),
            ("steps: [{split: {train: 5, validation: 5, test: 5}}]", "train, validation, test"), ("format: auto", "dataset"),
        ] as [(String, String)])
    func theOutputsOfAPreparationDependOnItsSplit(_ line: String, _ outputs: String) {
        expectProblem(
            fixture.problems(
                spec("  data: {kind: prepare, source: {file: data.jsonl}, \(line)}\n", command("b", "env: {X: \"${data.x}\"}"))),
            "its outputs: \(outputs)")
    }

    @Test func needsAreChecked() {
        expectProblem(fixture.problems(spec(command("a"), command("b", "needs: [a, a]"))), "/jobs/b/needs/1 conflict", "twice")
        expectProblem(fixture.problems(spec(command("alpha"), command("b", "needs: [alhpa]"))), "did you mean 'alpha'?")
    }

    @Test func referencesInTheEnvironmentOfAllJobsAreRefused() {
        expectProblem(fixture.problems("env: {X: \"${a.o}\"}\n" + spec(command("a"))), "/env/X bad_value")
        #expect(fixture.problems("env: {X: \"$${a.o}\"}\n" + spec(command("a"))) == [])
    }

    @Test func aJobMayNotBeNamedMatrix() {
        expectProblem(fixture.problems(spec(command("matrix"))), "/jobs/matrix bad_value")
    }

    @Test func jobsMayStandInAnyOrder() throws {
        var random = SplitMix64(seed: 3)
        for _ in 0..<20 {
            let order = Array(0..<30).shuffled(using: &random)
            let jobs = order.map { index in command("j\(index)", index == 0 ? "" : "needs: [j\(Int.random(in: 0..<index, using: &random))]")
            }
            let plan = try fixture.plan("name: x\njobs:\n" + jobs.joined())
            var done: Set<Int> = []
            for index in plan.topologicalOrder {
                #expect(done.isSuperset(of: plan.jobs[index].needs))
                done.insert(index)
            }
            #expect(done.count == 30)
        }
    }

    @Test func theNumberOfNeedsIsBounded() {
        func group(_ name: String, _ members: Int, _ rest: String) -> String {
            "  \(name): {kind: command, command: [x], \(rest)matrix: {i: [\((0..<members).map(String.init).joined(separator: ", "))]}}\n"
        }
        let users = group("u", 1000, "needs: [w], ")
        let most = SpecLimits.needsMax / 1000
        #expect(fixture.problems(spec(group("w", most, ""), users)) == [])
        expectProblem(
            fixture.problems(spec(group("w", most + 1, ""), users)), "/jobs too_large", "more than \(SpecLimits.needsMax) needs in all")
    }
}

@Suite struct MatrixTests {
    private let fixture = PlanFixture()

    private func spec(_ matrix: String, _ rest: String = "command: [run, \"${matrix.lr}\"]") -> String {
        "name: m\njobs:\n  a:\n    kind: command\n    outputs: [o]\n    \(rest)\n    matrix: \(matrix)\n"
    }

    private func combinations(_ matrix: String) throws -> [JSONValue] {
        try fixture.plan(spec(matrix, "command: [x]")).jobs.map { .object($0.matrix ?? [:]) }
    }

    @Test func aMatrixMakesAGroupOfJobs() throws {
        let plan = try fixture.plan(spec("{lr: [1e-5, 0.1, x], seed: [1, 2]}"))
        #expect(plan.jobs.map(\.name) == ["a-1", "a-2", "a-3", "a-4", "a-5", "a-6"])
        #expect(plan.jobs.allSatisfy { $0.group == "a" && $0.spec["matrix"] == nil })
        #expect(plan.jobs[1].matrix == ["lr": 1e-5, "seed": 2])
        #expect(plan.jobs.map { $0.spec["command"]?[1] } == ["1e-05", "1e-05", "0.1", "0.1", "x", "x"])
    }

    @Test func excludeAndIncludeFollowTheKnownRules() throws {
        #expect(
            try combinations("{a: [1, 2], b: [x, y], exclude: [{a: 1, b: x}]}") == [
                ["a": 1, "b": "y"], ["a": 2, "b": "x"], ["a": 2, "b": "y"],
            ])
        #expect(try combinations("{a: [1, 2], include: [{a: 2, c: z}]}") == [["a": 1], ["a": 2, "c": "z"]])
        #expect(try combinations("{a: [1, 2], include: [{a: 3, c: z}]}") == [["a": 1], ["a": 2], ["a": 3, "c": "z"]])
        #expect(try combinations("{a: [1, 2], include: [{c: z}]}") == [["a": 1, "c": "z"], ["a": 2, "c": "z"]])
        #expect(try combinations("{include: [{a: 1}, {a: 2}]}") == [["a": 1], ["a": 2]])
    }

    @Test(
        arguments: [
            ("{}", "leaves no combination"), ("[1]", "/matrix wrong_type"), ("{lr: 5}", "/matrix/lr wrong_type"),
            ("{lr: []}", "must not be empty"), ("{lr: [1, 1]}", "lists a value twice"),
            ("{l-r: [1]}", "/matrix/l-r bad_value"), ("{lr: [1], exclude: [{x: 1}]}", "no key 'x'"),
            ("{lr: [1], exclude: [{lr: 2}]}", "excludes no combination"), ("{lr: [1], exclude: [{lr: 1}]}", "leaves no combination"),
            ("{lr: [1], include: {lr: 2}}", "/matrix/include wrong_type"), ("{lr: [1], include: [5]}", "/matrix/include/0 wrong_type"),
            ("{x: [1]}", "no key 'lr'"), ("{lr: [[1]]}", "only a text, a number or a boolean"),
        ] as [(String, String)])
    func badMatricesAreRefused(_ matrix: String, _ words: String) {
        expectProblem(fixture.problems(spec(matrix)), words)
    }

    @Test func theNumberOfCombinationsIsBounded() throws {
        let hundred = "[" + (0..<100).map(String.init).joined(separator: ", ") + "]"
        #expect(try fixture.plan(spec("{lr: \(hundred), b: \(hundred)}")).jobs.count == 10_000)
        expectProblem(fixture.problems(spec("{lr: \(hundred), b: \(hundred), c: [1, 2]}")), "/matrix too_large", "20000 combinations")
        let keys = (0..<32).map { "k\($0): \(hundred)" }.joined(separator: ", ")
        expectProblem(fixture.problems(spec("{\(keys)}")), "/matrix too_large")
        expectProblem(fixture.problems(spec("{\(keys), lr: [1]}")), "/matrix too_large", "33 keys")
    }

    @Test func aWholeReferenceKeepsItsType() throws {
        let text = """
            name: m
            jobs:
              data: {kind: prepare, source: {file: data.jsonl}}
              sft:
                kind: train
                method: sft
                model: ${matrix.model}
                dataset: ${data.dataset}
                matrix: {rate: [1e-5, 2e-5], model: [models/base, "checkpoint:ckpt_1"], lora: [{rank: 4}]}
                params: {learning_rate: "${matrix.rate}", lora: "${matrix.lora}"}
                env: {RATE: "${matrix.rate}", NAME: "run-${matrix.rate}"}
                description: rate ${matrix.rate}
            """
        let plan = try fixture.plan(text)
        #expect(plan.jobs.count == 5)
        #expect(plan.jobs[4].spec["params"] == ["learning_rate": 2e-5, "lora": ["rank": 4]])
        #expect(plan.jobs[1].spec["model"] == "/srv/models/base" && plan.jobs[2].spec["model"] == "checkpoint:ckpt_1")
        #expect(plan.jobs[4].environment == ["RATE": "2e-05", "NAME": "run-2e-05"])
        #expect(plan.jobs[4].references.map(\.raw) == ["data.dataset"])
    }

    @Test func aMistakeThatAllMembersShareIsReportedOnce() {
        let problems = fixture.problems(spec("{lr: [1, 2, 3]}", "priority: 500\n    command: [x]"))
        #expect(problems.count == 1)
        let each = fixture.problems(spec("{lr: [101, 102, 3]}", "priority: ${matrix.lr}\n    command: [x]"))
        #expect(each.count == 2)
    }

    @Test func aReferenceToAGroupMeansTheMemberWithEqualValues() throws {
        let text = """
            name: m
            jobs:
              a: {kind: command, command: [x], outputs: [o], matrix: {lr: [1, 2], seed: [7, 8]}}
              b: {kind: command, command: [x, "${a.o}"], if: a.score > 1, outputs: [o], matrix: {seed: [8, 7], lr: [2, 1], extra: [q]}}
              c: {kind: command, command: [x, "${a-3.o}", "${b-1.o}"], needs: [b]}
            """
        let plan = try fixture.plan(text)
        #expect(plan.jobs[4].matrix == ["seed": 8, "lr": 2, "extra": "q"])
        #expect(plan.jobs[4].spec["command"] == ["x", "${a-4.o}"])
        #expect(plan.jobs[4].needs == [3])
        #expect(plan.jobs[4].condition?.description == "a-4.score > 1")
        #expect(plan.jobs[7].spec["command"] == ["x", "${a-1.o}"])
        #expect(plan.jobs[8].needs == [2, 4, 5, 6, 7])
    }

    @Test func anUnclearReferenceToAGroupListsItsMembers() {
        let text = """
            name: m
            jobs:
              a: {kind: command, command: [x], outputs: [o], matrix: {lr: [1, 2]}}
              b: {kind: command, command: [x, "${a.o}"]}
              c: {kind: command, command: [x, "${a.o}"], matrix: {lr: [1, 3]}}
              d: {kind: command, command: [x], if: a.score > 1}
            """
        let problems = fixture.problems(text)
        expectProblem(problems, "/jobs/b/command/1 unknown_reference", "a group of 2 jobs", "not clear", "a-1, a-2")
        expectProblem(problems, "/jobs/c/command/1 unknown_reference", "none of them has the matrix values")
        expectProblem(problems, "/jobs/d/if unknown_name", "is a group", "a-1, a-2")
        #expect(problems.count == 3)
    }

    @Test func aMemberCannotReferToItsOwnGroup() {
        expectProblem(fixture.problems(spec("{lr: [1, 2]}", "command: [x, \"${a.o}\"]")), "/jobs/a/command/1 cycle")
        expectProblem(fixture.problems(spec("{lr: [1, 2]}", "command: [x]\n    needs: [a]")), "/jobs/a/needs/0 cycle")
    }

    @Test func aMembersNameMayNotBeTaken() {
        let text = spec("{lr: [1, 2]}") + "  a-2: {kind: command, command: [x]}\n"
        expectProblem(fixture.problems(text), "conflict", "'a-2' is taken twice")
    }

    @Test func usesOfABrokenMatrixAreNotReportedAsUnknown() {
        let text = spec("{lr: []}") + "  b: {kind: command, command: [\"${a.o}\"], needs: [a], if: a.x > 1}\n"
        let problems = fixture.problems(text)
        #expect(problems.count == 1)
    }
}
