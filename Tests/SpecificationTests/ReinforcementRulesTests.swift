import Domain
import JSON
import Testing

@testable import Specification

@Suite struct ReinforcementRulesTests {
    private let fixture: PlanFixture = {
        var fixture = PlanFixture()
        fixture.files.insert("/srv/rewards.py")
        return fixture
    }()

    /// A job with these lines in its parameters, and a reward where none of them gives one.
    private func job(_ lines: String) -> String {
        let params = lines.contains("rewards:") ? [lines] : ["rewards: [{exact: {}}]", lines]
        let indented = params.flatMap { $0.split(separator: "\n") }.map { "  \($0)\n" }.joined()
        return PlanFixture.job("kind: train\nmethod: grpo\nmodel: models/base\ndataset: data.jsonl\nparams:\n" + indented)
    }

    @Test func aJobHasItsRolloutsAndItsDefaults() throws {
        let plan = try fixture.plan(self.job("rewards: [{python: {file: rewards.py}}, {exact: }]"))
        let job = try #require(plan.jobs.first)
        #expect(job.outputs == ["checkpoint.best", "checkpoint.last", "model", "rollouts"])
        #expect(job.spec["params"]?["rewards"]?[0]?["python"]?["file"]?.string == "/srv/rewards.py")
        // The file is an input: its content counts for the cache.
        let places = InputPlaces.of(kind: .train, in: job.spec).map(\.description)
        #expect(places.contains("/params/rewards/0/python/file"))
        let defaults = ParameterSchema.parameters(method: "grpo")
        #expect(defaults.first { $0.name == "global_batch_size" }?.defaultValue == 512)
        #expect(defaults.first { $0.name == "learning_rate" }?.defaultValue == 5e-6)
        #expect(Set(TrainingMethod.variants) == ["grpo", "gspo", "dapo", "rloo", "cispo", "dr_grpo"])
    }

    @Test(
        arguments: [
            ("variant: dapo", ""), ("variant: ppo", "/jobs/a/params/variant"), ("rewards: []", "'rewards' is missing"),
            ("rewards: [{exct: {}}]", "did you mean 'exact'"), ("rewards: [{exact: {}}, {exact: {}}]", "two rewards have this name"),
            ("rewards: [{exact: {}}, {exact: {name: b, weight: -1}}]", ""), ("rewards: [{judge: {model: m}}]", "'url' is missing"),
            ("rewards: [{length: {full_until: 5, zero_from: 5}}]", "/jobs/a/params/rewards/0/length/zero_from conflict"),
            ("rewards: [{python: {file: none.py}}]", "/jobs/a/params/rewards/0/python/file missing_file"),
            ("global_batch_size: 256", ""), ("global_batch_size: 384", "32 × 16 is not a multiple of the global batch size 384"),
            ("generations_per_prompt: 1", "/jobs/a/params/generations_per_prompt out_of_range"),
            ("variant: gspo", ""), ("variant: gspo\nloss_level: token", "/jobs/a/params/loss_level conflict"),
            ("ratio_level: sequence", "/jobs/a/params/loss_level conflict"), ("ratio_level: sequence\nloss_level: sequence", ""),
            ("max_new_tokens: 1022", ""), ("max_new_tokens: 1023", "leaves no room for a prompt"),
            ("overlong: {}", ""), ("overlong: {buffer: 513}", "/jobs/a/params/overlong conflict"),
            ("reward_scaling: {source_min: 1}", "/jobs/a/params/reward_scaling conflict"),
            ("batch_multiplier: 2", "/jobs/a/params/batch_multiplier conflict"), ("batch_multiplier: 2\nvariant: dapo", ""),
            ("stop_properly_penalty: 1", ""), ("stop_properly_penalty: 1.1", "/jobs/a/params/stop_properly_penalty"),
            ("ratio_clip_c: 1", "/jobs/a/params/ratio_clip_c"), ("ratio_clip_c: null", ""),
            ("importance_max: 0.5", "/jobs/a/params/importance_max conflict"),
            ("advantage_min: 1\nadvantage_max: 1", "/jobs/a/params/advantage_max conflict"),
            ("rollout: {engine: server}", "engine: server needs a 'url'"),
            ("rollout: {url: 'http://localhost:8000'}", "stands only with engine: server"),
            ("rollout: {engine: server, url: 'http://localhost:8000'}", ""),
            ("rollout: {engine: server, url: 'http://localhost:8000', weight_update: none}", "needs 'importance_correction'"),
            ("importance_correction: tis\nrollout: {engine: server, url: 'http://localhost:8000', weight_update: none}", ""),
        ] as [(String, String)])
    func theKeysAreChecked(_ lines: String, _ words: String) {
        let found = fixture.problems(job(lines))
        if words.isEmpty { #expect(found.isEmpty, "\(found)") } else { expectProblem(found, words) }
    }

    @Test func withoutParametersTheRewardsAreMissed() {
        expectProblem(
            fixture.problems(PlanFixture.job("kind: train\nmethod: grpo\nmodel: models/base\ndataset: data.jsonl")), "'rewards' is missing")
    }

    @Test func whatRanksCheckpointsGoesByTheMethod() throws {
        let ranked = "kind: train\nmethod: METHOD\nmodel: models/base\ndataset: data.jsonl\nvalidation: data.jsonl\n"
        let metric = "params: {rewards: [{exact: {}}]}\ncheckpoint: {metric: val_accuracy, mode: max}"
        #expect(fixture.problems(PlanFixture.job(ranked.replacingMethod("grpo") + metric)).isEmpty)
        expectProblem(
            fixture.problems(PlanFixture.job(ranked.replacingMethod("sft") + "checkpoint: {metric: val_accuracy}")), "/checkpoint/metric")
    }
}

extension String {
    fileprivate func replacingMethod(_ name: String) -> String { split(separator: "METHOD").joined(separator: name) }
}
