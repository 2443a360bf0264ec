import JSON
import Testing

@testable import Specification

@Suite struct DistillationRulesTests {
    private let fixture = PlanFixture()
    private let train = "kind: train\nmodel: models/base\ndataset: data.jsonl\n"

    private func problems(_ method: String, _ lines: String) -> [String] {
        fixture.problems(PlanFixture.job(train + "method: \(method)\n" + lines))
    }

    @Test(
        arguments: [
            ("sft", "params: {packing: {online: first_fit_shuffle, capacity: 4096}}"),
            ("sft", "params: {packing: {plan: more.jsonl}}"), ("sft", "params: {packing: null, dynamic_batching: null}"),
            ("sft", "params: {global_batch_size: 6, dynamic_batching: {tokens: 64}}"),
            ("sft", "params: {optimizer_state: keep, schedule_state: continue, max_tokens: \(SpecLimits.tokensMax)}"),
            ("pretrain", "params: {packing: {online: concatenative}}"),
            ("distill", "teacher: checkpoint:ckpt_1\nparams: {topk: null, kl_type: reverse, on_policy: true}"),
            ("distill", "teacher: models/base\nparams: {cosine_weight: 0.5, layer_map: [2, 4]}\ncheckpoint: {metric: train_loss}"),
            ("distill", "teacher_logits: more.jsonl\nparams: {kl_weight: 0, sft_weight: 1}"),
            (
                "distill",
                "teacher_logits: more.jsonl\nvalidation: data.jsonl\nvalidation_logits: more.jsonl\ncheckpoint: {metric: val_kl_forward}"
            ),
        ])
    func whatGoesTogetherPasses(method: String, lines: String) {
        #expect(problems(method, lines) == [])
    }

    @Test(
        arguments: [
            ("sft", "params: {packing: {}}", "needs either 'plan' or 'online'"),
            ("sft", "params: {packing: {plan: more.jsonl, online: first_fit}}", "needs either 'plan' or 'online'"),
            ("sft", "params: {packing: {plan: more.jsonl, capacity: 9}}", "/packing/capacity"),
            ("sft", "params: {packing: {plan: gone.jsonl}}", "/packing/plan missing_file"),
            ("sft", "params: {packing: {online: best_fit}}", "/packing/online"),
            ("sft", "params: {packing: {online: first_fit}, dynamic_batching: {tokens: 64}}", "excludes packing"),
            ("sft", "params: {dynamic_batching: {}}", "/dynamic_batching required"),
            ("sft", "params: {dynamic_batching: {tokens: 63}}", "is less than 'round', 64"),
            ("sft", "params: {micro_batch_size: 1, dynamic_batching: {tokens: 64}}", "'tokens' bound a micro-batch"),
            ("sft", "params: {max_tokens: \(SpecLimits.tokensMax + 1)}", "/params/max_tokens out_of_range"),
            ("sft", "params: {optimizer_state: old}", "/params/optimizer_state"), ("sft", "teacher: models/base", "unknown key 'teacher'"),
            ("sft", "params: {topk: 4}", "/params/topk"), ("pretrain", "params: {packing: {plan: more.jsonl}}", "is for conversations"),
            ("pretrain", "params: {only_final_turn: true}", "/params/only_final_turn"),
            ("distill", "", "needs either 'teacher'"),
            ("distill", "teacher: models/base\nteacher_logits: more.jsonl", "needs either 'teacher'"),
            ("distill", "teacher: models/gone", "/teacher"),
            ("distill", "teacher_logits: more.jsonl\nvalidation: data.jsonl", "'validation_logits' belongs"),
            ("distill", "teacher: models/base\nvalidation_logits: more.jsonl", "/validation_logits conflict"),
            ("distill", "teacher_logits: more.jsonl\nparams: {on_policy: true}", "/params/on_policy conflict needs a live teacher"),
            ("distill", "teacher_logits: more.jsonl\nparams: {cosine_weight: 1}", "/params/cosine_weight conflict needs a live teacher"),
            ("distill", "teacher: models/base\nparams: {on_policy: true, packing: {online: first_fit}}", "excludes packing"),
            ("distill", "teacher: models/base\nparams: {on_policy: true, max_tokens: 5}", "give max_steps"),
            ("distill", "teacher: models/base\nparams: {on_policy: true, sft_weight: 0.5}", "/params/sft_weight"),
            ("distill", "teacher: models/base\nparams: {layer_map: [1]}", "/params/layer_map"),
            ("distill", "teacher: models/base\nparams: {kl_weight: 0}", "must be above 0"),
            ("distill", "teacher: models/base\nparams: {mixed_kl_weight: 1.5}", "/params/mixed_kl_weight out_of_range"),
        ])
    func whatDoesNotIsToldWithItsPlace(method: String, lines: String, words: String) {
        expectProblem(problems(method, lines), words)
    }

    @Test func teachersAndPlansAreInputs() throws {
        let spec: JSONValue = [
            "method": "distill", "model": "/m", "dataset": "/d", "teacher_logits": "/t", "params": ["packing": ["plan": "/p"]],
        ]
        let places = InputPlaces.of(kind: .train, in: spec).map(\.description)
        #expect(Set(places) == ["/model", "/dataset", "/teacher_logits", "/params/packing/plan"])
        let plan = try fixture.plan(
            """
            name: staged
            jobs:
              one: {kind: train, method: pretrain, model: models/base, dataset: data.jsonl}
              two: {kind: train, method: distill, model: "${one.checkpoint.last}", teacher: "${one.model}", dataset: data.jsonl}
            """)
        #expect(plan.jobs[1].needs == [0])
    }
}
