import Testing

@testable import Specification

@Suite struct PreferenceRulesTests {
    private let fixture = PlanFixture()

    private func problems(_ method: String, _ lines: String) -> [String] {
        let job = "kind: train\nmethod: \(method)\nmodel: models/base\ndataset: data.jsonl\nvalidation: more.jsonl\n" + lines
        return fixture.problems(PlanFixture.job(job))
    }

    @Test(arguments: ["dpo", "ipo", "rpo_sq", "rpo_bwd_kl", "rpo_fwd_kl"])
    func theSettingsOfPreferenceTrainingAreAccepted(_ method: String) {
        let lines = """
            reference: models/base
            params: {beta: 0.1, reward_scale: 3, default_chosen_reward: 2, default_rejected_reward: -1, preference_loss_weight: 0,
              sft_loss_weight: 0.1, preference_average_log_probs: true, sft_average_log_probs: true, precompute_reference: true, lora: {}}
            checkpoint: {metric: val_acc, mode: max}
            """
        #expect(problems(method, lines) == [])
    }

    @Test(
        arguments: [
            "packing: {online: first_fit, capacity: 4096}, max_tokens: 1000000, optimizer: adamw_8bit", "packing: {plan: data.jsonl}",
            "dynamic_batching: {tokens: 8192}, optimizer_state: keep, schedule_state: continue",
        ])
    func pairsArePackedAndStagedAsConversationsAre(_ params: String) {
        for method in ["dpo", "rpo_fwd_kl"] { #expect(problems(method, "params: {\(params)}") == []) }
        expectProblem(problems("reward", "params: {\(params)}"), "unknown_key")
    }

    @Test(arguments: ["bradley_terry", "margin", "scaled", "regression"])
    func theLossesOfRewardModelsAreAccepted(_ loss: String) {
        #expect(problems("reward", "params: {loss: \(loss), reward_scale: 2}\ncheckpoint: {metric: val_loss}") == [])
    }

    @Test(
        arguments: [
            ("dpo", "params: {beta: 0}", "/params/beta out_of_range"), ("dpo", "params: {beta: 1001}", "/params/beta out_of_range"),
            ("dpo", "params: {bta: 1}", "did you mean 'beta'?"),
            ("dpo", "params: {preference_loss_weight: 0}", "nothing would be learned"),
            ("ipo", "params: {sft_loss_weight: -1}", "/params/sft_loss_weight out_of_range"),
            ("rpo_sq", "params: {reward_scale: -1}", "/params/reward_scale out_of_range"),
            ("dpo", "params: {only_final_turn: true}", "unknown_key"), ("sft", "params: {beta: 1}", "unknown_key"),
            ("sft", "reference: models/base", "unknown_key"), ("sft", "checkpoint: {metric: val_acc}", "/checkpoint/metric bad_value"),
            ("dpo", "reference: gone", "/reference missing_file"),
            ("dpo", "params: {packing: {online: first_fit}, dynamic_batching: {tokens: 512}}", "excludes packing"),
            ("dpo", "params: {packing: {}}", "needs either 'plan' or 'online'"),
            ("dpo", "params: {micro_batch_size: 5}", "the global batch size 64 is not a multiple"),
            ("dpo", "params: {lora: {target_modules: [q_proj, lm_head]}}", "lm_head cannot have adapters"),
            ("reward", "reference: models/base", "unknown_key"), ("reward", "params: {loss: hinge}", "/params/loss bad_value"),
            ("reward", "params: {loss: regression}\ncheckpoint: {metric: val_acc, mode: max}", "regression has no accuracy"),
        ] as [(String, String, String)])
    func wrongSettingsAreRefused(_ method: String, _ lines: String, _ words: String) {
        expectProblem(problems(method, lines), words)
    }

    @Test func pairsHaveBatchesAndRatesOfTheirOwn() {
        let schema = Dictionary(uniqueKeysWithValues: ParameterSchema.parameters(method: "dpo").map { ($0.name, $0.defaultValue) })
        #expect(schema["global_batch_size"] == 64 && schema["learning_rate"] == 9e-6 && schema["beta"] == 0.2)
        #expect(schema["weight_decay"] == 0.1 && schema["lora"] == .some(.null))
    }
}
