import JSON
import Testing

@testable import Specification

@Suite struct GenerateRulesTests {
    private let fixture = PlanFixture()

    private let least = """
        kind: generate
        server: {url: "http://127.0.0.1:8000"}
        dataset: data.jsonl
        """

    private func problems(_ others: String) -> [String] { fixture.problems(PlanFixture.job(least + "\n" + others)) }

    @Test(arguments: [
        "", "samples: 8", "seeds: [0, 3]", "seeds: 0..4", "seeds: 0,3", "seeds: 7", "chunks: 4", "chunks: 4\nchunk: 3",
        "prompt: generic/math",
        "prompt: {user: \"{problem} {{x}}\", system: be brief}", "api: completions\nstream: true\nparse_reasoning: true",
        "samples: 2\nstarting_seed: 5\ntemperature: 0.6\ntop_p: 0.9\ntop_k: -1\nmin_p: 0", "concurrency: 1024\nadaptive: false",
        "extra: {chat_template_kwargs: {enable_thinking: false}, logprobs: true}", "concurrency: {group: servers}",
    ])
    func whatIsRightPasses(others: String) {
        #expect(problems(others) == [])
    }

    @Test(arguments: [
        ("samples: 2\nseeds: [1]", "/samples conflict"), ("starting_seed: 1", "/starting_seed conflict"),
        ("seeds: 4..1", "/seeds bad_value"), ("seeds: a", "/seeds bad_value"), ("seeds: [1, 1]", "names a seed twice"),
        ("samples: 2\ntemperature: 0", "/temperature conflict"), ("chunk: 0", "/chunk conflict"),
        ("chunks: 2\nchunk: 2", "/chunk bad_value"),
        ("prompt: generic/maths", "/prompt"), ("prompt: nowhere.yaml", "/prompt missing_file"),
        ("prompt: {user: a, few_shot_examples: {template: b}}", "/prompt/few_shot_examples"),
        ("reasoning_end: x", "/reasoning_end conflict"), ("extra: {seed: 1}", "/extra/seed conflict"),
        ("concurrency: 0", "/concurrency"), ("max_tokens: 0", "/max_tokens out_of_range"),
        ("merge: {generations: [data.jsonl]}", "conflict"),
        ("chunks: 2\nmatrix: {x: [1, 2]}", "/chunks conflict"), ("temprature: 1", "did you mean 'temperature'?"),
    ])
    func whatContradictsIsTold(others: String, words: String) {
        expectProblem(problems(others), words)
    }

    @Test func serverAndDataAreNeeded() {
        expectProblem(fixture.problems(PlanFixture.job("kind: generate\ndataset: data.jsonl")), "'server' is missing")
        expectProblem(fixture.problems(PlanFixture.job("kind: generate\nserver: {url: \"http://a\"}")), "'dataset' is missing")
        let engine = "kind: generate\nserver: {engine: vllm, replicas: 3}\ndataset: data.jsonl\nresources: {gpus: 4}"
        expectProblem(fixture.problems(PlanFixture.job(engine)), "'model' is missing")
        expectProblem(fixture.problems(PlanFixture.job(engine)), "cannot be shared evenly by 3 servers")
        #expect(fixture.problems(PlanFixture.job("kind: generate\nmerge: {generations: [data.jsonl, more.jsonl]}")) == [])
    }

    @Test func chunksBecomeJobsAndOneThatPutsThemTogether() throws {
        let plan = try fixture.plan(
            """
            name: one
            jobs:
              gen:
                kind: generate
                server: {url: "http://127.0.0.1:8000"}
                dataset: data.jsonl
                samples: 2
                chunks: 3
                resources: {gpus: 1}
              after:
                kind: prepare
                source: {dataset: "${gen.rs1}"}
                format: input_output
            """)
        #expect(plan.jobs.map(\.name) == ["gen-chunk-0", "gen-chunk-1", "gen-chunk-2", "gen", "after"])
        #expect(plan.jobs.map(\.group) == ["gen-chunks", "gen-chunks", "gen-chunks", nil, nil])
        #expect(plan.jobs[2].spec["chunk"] == 2 && plan.jobs[2].resources.gpus == 1)
        let merge = plan.jobs[3]
        #expect(merge.spec["merge"]?["rs1"]?[2] == "${gen-chunk-2.rs1}" && merge.needs == [0, 1, 2] && merge.resources.gpus == 0)
        #expect(merge.outputs == ["generations", "rs0", "rs1"] && plan.jobs[0].outputs == ["generations", "rs0", "rs1"])
        #expect(plan.jobs[4].needs == [3])
    }

    @Test func aPromptFileIsReadAsNeMoSkillsHasIt() throws {
        let text = """
            system: You are brief.
            user: |-
              {examples}Problem: {problem}
            few_shot_examples:
              prefix: "Here are examples.\\n"
              template: "{q} -> {a}\\n"
              suffix: ""
              examples_type: mine
              examples: [{q: 1, a: 2}, {q: 3, a: 4}]
            """
        let prompt = try PromptFile.parse(Array(text.utf8)).get()
        #expect(prompt["user"] == "{examples}Problem: {problem}" && prompt["system"] == "You are brief.")
        #expect(prompt["few_shot_examples"]?["examples"]?.array?.count == 2 && prompt["few_shot_examples"]?["suffix"] == nil)
        let plain = try PromptFile.parse(Array("user: '{a}'\nsystem: ''\nfew_shot_examples: {prefix: x, template: y}".utf8)).get()
        #expect(Array(plain.keys) == ["user"])
    }

    @Test(arguments: [
        ("system: a", "/user"), ("user: [1]", "/user"), ("user: a\nusr: b", "/usr"),
        ("user: a\nfew_shot_examples: 3", "/few_shot_examples"),
        ("user: a\nfew_shot_examples: {examples_type: gsm8k, template: b}", "/few_shot_examples/examples_type"),
        ("user: a\nfew_shot_examples: {examples: [{a: 1}]}", "/few_shot_examples/template"), ("user: {", ""), ("- a", ""),
    ])
    func aBrokenPromptFileIsToldWithItsPlace(text: String, pointer: String) {
        guard case .failure(let errors) = PromptFile.parse(Array(text.utf8)) else {
            Issue.record("it was taken")
            return
        }
        #expect(errors.errors.first?.pointer.description == pointer)
    }
}
