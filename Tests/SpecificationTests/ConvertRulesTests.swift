import JSON
import Testing

@testable import Specification

@Suite struct ConvertRulesTests {
    private let fixture: PlanFixture = {
        var fixture = PlanFixture()
        fixture.folders.formUnion(["/srv/models/other", "/srv/models/nemo", "/srv/models/adapter", "/srv/models/step_1"])
        fixture.files.formUnion([
            "/srv/models/other/config.json", "/srv/models/adapter/adapter_config.json",
            "/srv/models/step_1/adapter/adapter_config.json",
        ])
        return fixture
    }()

    private func problems(_ lines: String) -> [String] { fixture.problems(PlanFixture.job("kind: convert\n" + lines)) }

    @Test(arguments: [
        "model: models/base\nmerge_lora: {adapter: models/adapter}",
        "model: checkpoint:ckpt_1\nmerge_lora: {adapter: models/step_1}\ndtype: bfloat16\nmax_shard_size: 5GB\nexport: check",
        "average: {checkpoints: [models/base, models/other, checkpoint:ckpt_1], weights: [1, 2, 0.5]}\nfiles_from: models/base",
        "model: models/base\nprune: {layers: [3, 4]}",
        "engine: nemo\nmodel: models/base\ncommand: [import, '{model}', 'out={output}']",
        "engine: nemo\nto: hf\nmodel: models/nemo\ncommand: [export, '{model}', '{output}']\nfiles_from: models/base\nexport: check",
        "engine: tensorrt-llm\nmodel: models/base\ncommand: [build, '{model}', '{output}']\nresources: {gpus: 1}",
    ])
    func rightConversionsAreAccepted(_ lines: String) {
        #expect(problems(lines) == [])
    }

    @Test(
        arguments: [
            ("model: models/base", "/jobs/a conflict", "says nothing of what becomes of the model"),
            ("model: models/base\naverage: {checkpoints: [models/base, models/other]}", "/jobs/a/average conflict", "beside 'model'"),
            ("model: models/nemo\ndtype: float32", "/jobs/a/model missing_file", "has no config.json"),
            ("model: models/gone\ndtype: float32", "/jobs/a/model missing_file", "there is no folder"),
            ("model: models/base\ndtype: int4", "/jobs/a/dtype", "one of float32, bfloat16, float16"),
            ("model: models/base\nmax_shard_size: 0", "/jobs/a/max_shard_size conflict", "above zero"),
            ("model: models/base\nmax_shard_size: big", "/jobs/a/max_shard_size", "a size such as"),
            ("model: models/base\ndtype: float32\nseed: 1", "/jobs/a/seed conflict", "only with 'create'"),
            ("model: models/base\nmerge_lora: {adapter: models/base}", "/jobs/a/merge_lora/adapter missing_file", "no adapter"),
            ("model: models/base\nmerge_lora: {}", "/jobs/a/merge_lora required", "'adapter' is missing"),
            ("model: models/base\nprune: {layers: [-1]}", "/jobs/a/prune/layers/0", "out_of_range"),
            ("model: models/base\nprune: {layers: []}", "/jobs/a/prune/layers", "must not be empty"),
            ("model: models/base\nexport: all", "/jobs/a/export", "'check'"),
            ("model: models/base\ndtype: float32\ncommand: [x]", "/jobs/a/command conflict", "an 'engine' that runs a program"),
            ("average: {checkpoints: [models/base]}", "/jobs/a/average/checkpoints", "too few"),
            ("average: {checkpoints: [models/base, models/nemo]}", "/jobs/a/average/checkpoints/1 missing_file", "no config.json"),
            (
                "average: {checkpoints: [models/base, models/other], last: 2}", "/jobs/a/average/last conflict",
                "only with '${job.checkpoints}'"
            ),
            (
                "average: {checkpoints: [models/base, models/other], weights: [1, 2, 3]}", "/jobs/a/average/weights conflict",
                "3 numbers for 2 models"
            ),
            ("average: {checkpoints: [models/base, models/other], weights: [1, 0]}", "/jobs/a/average/weights/1", "out_of_range"),
            ("average: {checkpoints: models/base, last: 2}", "/jobs/a/average/checkpoints bad_value", "must be '${job.checkpoints}'"),
            (
                "average: {checkpoints: [models/base, models/other]}\nmerge_lora: {adapter: models/adapter}",
                "/jobs/a/merge_lora conflict", "only with 'model'"
            ),
            ("engine: nemo\nmodel: models/base", "/jobs/a conflict", "'command' is missing"),
            ("engine: nemo\ncommand: [x, '{model}', '{output}']", "/jobs/a required", "'model' is missing"),
            ("engine: nemo\nmodel: models/base\ncommand: [x, '{model}']", "/jobs/a/command conflict", "no argument with {output}"),
            ("engine: nemo\nmodel: models/base\ncommand: [x, '{output}']", "/jobs/a/command conflict", "no argument with {model}"),
            (
                "engine: nemo\nto: megatron\nmodel: models/base\ncommand: [x, '{model}', '{output}']", "/jobs/a/to conflict",
                "its own layout"
            ),
            (
                "engine: nemo\ndtype: float32\nmodel: models/base\ncommand: [x, '{model}', '{output}']", "/jobs/a/dtype conflict",
                "transformers"
            ),
            ("engine: nemo\nexport: check\nmodel: models/base\ncommand: [x, '{model}', '{output}']", "/jobs/a/export conflict", "'to: hf'"),
            ("engine: nimo\nmodel: models/base", "/jobs/a/engine", "did you mean 'nemo'"),
        ])
    func whatDoesNotFitIsRefused(_ lines: String, _ pointer: String, _ words: String) {
        expectProblem(problems(lines), pointer, words)
    }

    @Test func anAverageHasAsManyModelsAsAreAllowed() {
        func spec(_ count: Int) -> String {
            "average: {checkpoints: [\(Array(repeating: "models/base", count: count).joined(separator: ", "))]}"
        }
        #expect(problems(spec(SpecLimits.averagedModelsMax)) == [])
        expectProblem(problems(spec(SpecLimits.averagedModelsMax + 1)), "/jobs/a/average/checkpoints too_large")
    }

    @Test func theEngineIsThatOfTheJob() throws {
        let lines = "kind: convert\nengine: nemo\nmodel: models/base\ncommand: [x, '{model}', '{output}']"
        #expect(try fixture.plan(PlanFixture.job(lines)).jobs[0].engine == "nemo")
        #expect(try fixture.plan(PlanFixture.job(PlanFixture.convert)).jobs[0].engine == "transformers")
    }

    // MARK: The checkpoints of a training

    private func soup(_ average: String, train: String = "checkpoint: {every: 10}", more: String = "") -> String {
        """
        name: one
        jobs:
          sft: {kind: train, method: sft, model: models/base, dataset: data.jsonl, \(train)}
          soup: {kind: convert, average: \(average)}
        \(more)
        """
    }

    @Test func aTrainingsCheckpointsAreAveraged() throws {
        let plan = try fixture.plan(soup("{checkpoints: '${sft.checkpoints}', last: 3}"))
        #expect(plan.jobs[1].needs == [0] && plan.jobs[1].outputs == ["model"])
        let selection = try #require(CheckpointSelection(spec: plan.jobs[1].spec))
        #expect(selection.training == "sft" && selection.order == .last && selection.count == 3)
        #expect(plan.jobs[1].references.map(\.pointer) == [CheckpointSelection.pointer])
        #expect(CheckpointSelection(spec: plan.jobs[0].spec) == nil)
        let best = try fixture.plan(soup("{checkpoints: '${sft.checkpoints}', best: 64}")).jobs[1]
        #expect(CheckpointSelection(spec: best.spec)?.order == .best)
    }

    @Test(
        arguments: [
            ("{checkpoints: '${sft.checkpoints}'}", "checkpoint: {every: 10}", "/jobs/soup/average conflict", "give 'last' or 'best'"),
            (
                "{checkpoints: '${sft.checkpoints}', last: 2, best: 2}", "checkpoint: {every: 10}", "/jobs/soup/average conflict",
                "both 'last' and 'best'"
            ),
            ("{checkpoints: '${sft.checkpoints}', last: 1}", "checkpoint: {every: 10}", "/jobs/soup/average/last", "from 2 to 64"),
            (
                "{checkpoints: '${sft.checkpoints}', last: 2, weights: [1, 2]}", "checkpoint: {every: 10}",
                "/jobs/soup/average/weights conflict", "a list of models"
            ),
            (
                "{checkpoints: '${sft.checkpoints}', last: 2}", "checkpoint: {}", "/jobs/soup/average/checkpoints",
                "saves its last step alone"
            ),
            (
                "{checkpoints: '${stf.checkpoints}', last: 2}", "checkpoint: {every: 10}", "/jobs/soup/average/checkpoints",
                "did you mean 'sft'"
            ),
            (
                "{checkpoints: ['${sft.checkpoints}', models/base]}", "checkpoint: {every: 10}",
                "/jobs/soup/average/checkpoints/0 conflict",
                "in the place of the whole list"
            ),
        ])
    func whatCannotBeChosenIsRefused(_ average: String, _ train: String, _ pointer: String, _ words: String) {
        expectProblem(fixture.problems(soup(average, train: train)), pointer, words)
    }

    @Test func allCheckpointsStandNowhereElse() {
        let other = "  next: {kind: command, command: [ls, '${sft.checkpoints}']}"
        expectProblem(
            fixture.problems(soup("{checkpoints: '${sft.checkpoints}', last: 2}", more: other)), "/jobs/next/command/1",
            "write '${sft.checkpoint.best}' or '${sft.checkpoint.last}'")
    }
}
