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
        "{pack: {model: models/base, capacity: 4096}}",
        "{split: {train: 0.9, validation: 0.1}}, {pack: {model: models/base, capacity: 64, seed: 7}}",
        "{preference_pairs: {}}, {pack: {model: models/base, method: dpo, capacity: 4096, max_length: 2048, overlong: drop}}",
        "{webdataset: {images: models/base, shard_order: text, keys: id}}",
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
        ("{pack: {capacity: 8}}", "'model' is missing"), ("{pack: {model: none, capacity: 8}}", "/steps/0/pack/model"),
        ("{pack: {model: models/base, capacity: 8}}, {shuffle: }", "'pack' must be the last step"),
        ("{pack: {model: models/base, capacity: 8, max_length: 9}}", "/pack/max_length conflict"),
        ("{pack: {model: models/base, method: dpo, capacity: 8, max_length: 5}}", "at least twice max_length"),
        ("{pack: {model: models/base, capacity: 8, packer: best_fit}}", "/pack/packer"),
        ("{preference_pairs: {}}, {pack: {model: models/base, capacity: 8}}", "method sft packs messages records"),
        ("{webdataset: {images: none}}", "there is no folder"),
        ("{webdataset: {images: models/base}}, {shuffle: }", "'webdataset' must be the last"),
        ("{split: {train: 0.9, validation: 0.1}}, {webdataset: {images: models/base}}", "only 'pack' may come after it"),
        ("{to_messages: {}}, {webdataset: {images: models/base}}", "at this point they are messages"),
    ])
    func faultyStepsAreRefusedWithTheirPlace(steps: String, words: String) {
        expectProblem(problems(steps), words)
    }

    @Test(
        arguments: [
            ("{name: refusals, count: 200, marks: extra_id, rewards: true, seed: 1}", nil),
            ("{name: arithmetic, count: 5, operations: [add], terms: 10, digits: 6}", nil),
            ("{name: times_ten, count: 5, marks: none}", "/source/generator/marks conflict"),
            ("{name: arithmetic, count: 5, start: 3}", "is no setting of the generator 'arithmetic'"),
            ("{name: arithmetic, count: 5, terms: 11}", "/source/generator/terms out_of_range"),
            ("{name: refusals, count: 5, format: messages}", "/source/generator/format"),
            ("{name: refusals, count: 10000001}", "/source/generator/count out_of_range"),
        ] as [(String, String?)])
    func eachGeneratorHasItsOwnSettings(generator: String, words: String?) {
        let found = problems("{shuffle: }", source: "{generator: \(generator)}")
        if let words { expectProblem(found, words) } else { #expect(found == []) }
    }

    @Test func badRecordsAreCountedOnlyWhereTheyAreDropped() {
        func problems(_ keys: String) -> [String] {
            PlanFixture().problems(PlanFixture.job("kind: prepare\nsource: {file: data.jsonl}\n\(keys)"))
        }
        #expect(problems("on_bad_record: drop\nbad_records_max: 0") == [])
        #expect(problems("on_bad_record: fail") == [])
        expectProblem(problems("bad_records_max: 3"), "/bad_records_max", "stands only with")
        expectProblem(problems("on_bad_record: skip"), "/on_bad_record", "one of fail, drop")
        expectProblem(problems("on_bad_record: drop\nbad_records_max: -1"), "/bad_records_max out_of_range")
    }

    @Test func outputsAreDeclaredByTheSteps() throws {
        func outputs(_ keys: String) throws -> [String] {
            let job = PlanFixture.job("kind: prepare\nsource: {file: data.jsonl}\n\(keys)")
            return try PlanFixture().plan(job).jobs[0].outputs
        }
        #expect(try outputs("steps: [{pack: {model: models/base, capacity: 8}}]") == ["dataset", "plan"])
        #expect(
            try outputs("steps: [{split: {train: 3, validation: 1}}, {pack: {model: models/base, capacity: 8}}]")
                == ["train", "validation", "plan.train", "plan.validation"])
        #expect(try outputs("on_bad_record: drop\nsteps: [{extract_problems: }]") == ["dataset", "dropped", "bad_records"])
        let twice = "{decontaminate: {against: [more.jsonl]}}"
        #expect(try outputs("steps: [\(twice), {shuffle: }, \(twice)]") == ["dataset", "decontamination_1", "decontamination_3"])
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
