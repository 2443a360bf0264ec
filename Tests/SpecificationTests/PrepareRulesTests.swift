import Testing

@testable import Specification

@Suite struct PrepareRulesTests {
    private func problems(_ steps: String, source: String = "{file: data.jsonl}") -> [String] {
        PlanFixture().problems(PlanFixture.job("kind: prepare\nsource: \(source)\nsteps: [\(steps)]"))
    }

    @Test(arguments: [
        "{correctness: {add_unlabeled: true}}, {dedupe: {method: near, keys: generation}}, {downsample: {method: fair, count: 5}}",
        "{filters: {defaults: seed, contamination_file: more.jsonl, remove_len_outlier_problems: true, length_unit: words}}",
        "{math_sft: {filters: {remove_no_think_tags: true}, downsampling_method: random, num_output_samples: 9, prompt: math}}",
        "{render: {user: \"{examples}{problem}\", few_shot: {template: \"{q}\", examples: [{q: 1}]}, to: input_output, marks: qwen-instruct}}",
        "{render: {prompt: math, keep: all}}, {reasoning_toggle: {off_share: 0.5}}",
        "{extract_problems: }, {pass_rate: {discard_from: null}}",
        "{preference_pairs: {score_key: s, choose: extremes}}", "{pass_rate: {}}, {curriculum: {batch_size: 72}}",
        "{decontaminate: {against: [more.jsonl, arithmetic], ngram: 8}}", "{command: cat}, {shuffle: }", "{command: [cat, -u]}",
        "{command: {run: cat, exchange: files}}, {split: {train: 0.9, validation: 0.1}}", "{code_text: {mode: any_code}}",
    ])
    func goodStepsPass(steps: String) {
        #expect(problems(steps) == [])
    }

    @Test(arguments: [
        ("{correctness: {add_correct: false}}", "/steps/0/correctness/add_correct conflict"),
        ("{filters: {defaults: seed}}", "/steps/0/filters required 'contamination_file' is missing"),
        ("{math_sft: {filters: {defaults: seed}}}", "/steps/0/math_sft/filters required 'contamination_file'"),
        ("{filters: {remove_len_outlier_solutions: true}}", "'length_unit' is missing"),
        ("{filters: {trim_solution: true}}", "did you mean 'trim_solutions'"),
        ("{dedupe: {threshold: 0}}", "/dedupe/threshold out_of_range"),
        ("{downsample: {method: even, count: 3}}", "must be one of random, fair"), ("{downsample: {}}", "'count' is missing"),
        ("{math_sft: {num_output_samples: 3}}", "stand only together"), ("{render: {}}", "needs either 'prompt' or 'user'"),
        ("{render: {user: x, marks: none}}", "/render/marks conflict"),
        ("{render: {user: x, few_shot: {template: t, examples: [{a: 1}]}}}", "{examples}"),
        ("{preference_pairs: {choose: extremes}}", "needs 'score_key'"), ("{pass_rate: {discard_from: 1.5}}", "/pass_rate/discard_from"),
        ("{curriculum: {}}", "'batch_size' is missing"), ("{reasoning_toggle: {only_pairs: true, off_share: 0.5}}", "cannot stand with"),
        ("{decontaminate: {against: [none.jsonl]}}", "/steps/0/decontaminate/against/0"),
        ("{decontaminate: {against: []}}", "must not be empty"),
        ("{command: {exchange: files}}", "'run' is missing"), ("{preference_pairs: {}}, {to_messages: {}}", "needs input_output records"),
        ("{render: {prompt: math}}, {to_messages: {}}", "at this point they are messages"),
    ])
    func faultyStepsAreRefusedWithTheirPlace(steps: String, words: String) {
        expectProblem(problems(steps), words)
    }

    @Test func sourcesMayBeInterleaved() {
        let good = "{interleave: {sources: [{file: data.jsonl, weight: 2}, {dataset: arithmetic}], stop: first}}"
        #expect(problems("{shuffle: }", source: good) == [])
        expectProblem(
            problems("{shuffle: }", source: "{interleave: {sources: [{weight: 2}, {file: data.jsonl}]}}"), "/sources/0", "exactly one")
        expectProblem(problems("{shuffle: }", source: "{interleave: {sources: [{file: data.jsonl}]}}"), "too few")
        expectProblem(
            problems("{shuffle: }", source: "{interleave: {sources: [{file: data.jsonl, weight: 0}, {file: data.jsonl}]}}"), "weight")
    }
}
