import Domain
import JSON

extension TrainingMethod {
    /// Training by pairs of responses. The losses are NeMo-Aligner's; beta, Δ and the rewards are those of its documentation.
    static let preference: [TrainingMethod] = [
        preference(
            "dpo", "Preference: −log σ(beta·Δ), where Δ is how much more the model favours the chosen response than the reference does."),
        preference("ipo", "Preference: (Δ − 1/(2·beta))²."),
        preference("rpo_sq", "Preference by rewards: the squared distance of beta·Δ from the difference of the data's rewards."),
        preference("rpo_bwd_kl", "Preference by rewards: KL from σ(beta·Δ) to the σ of the difference of the data's rewards."),
        preference("rpo_fwd_kl", "Preference by rewards: KL of σ(beta·Δ) from the σ of the difference of the data's rewards."),
    ]

    static let reward = TrainingMethod(
        name: "reward", doc: "A reward model: a head that scores the chosen response above the rejected one, or predicts numbers.",
        parameters: batchParameters + [
            ParameterSchema(
                "loss", .choice(["bradley_terry", "margin", "scaled", "regression"]), default: "bradley_terry",
                "bradley_terry: −log σ(gap); margin: −log σ(gap − m); scaled: −m·log σ(gap); regression: squared error of the labels.")
        ] + rewardParameters,
        metrics: preferenceMetrics)

    /// What a reward model makes beside itself: the validation pairs with their scores.
    static func rewardOutputs(_ body: JSONObject) -> [(name: String, type: ArtifactType?)] {
        let scores = body["method"] == "reward" && body["validation"] != nil && body["params"]?["loss"] != "regression"
        return scores ? [("scores", .dataset)] : []
    }

    private static func preference(_ name: String, _ doc: String) -> TrainingMethod {
        TrainingMethod(
            name: name, doc: doc, parameters: batchParameters + preferenceParameters + rewardParameters + ParameterSchema.batching,
            keys: [ParameterSchema("reference", .model, "The model that the penalty is against; without it the one to start from.")],
            metrics: preferenceMetrics)
    }

    private static let preferenceMetrics = ["val_loss", "val_acc", "train_loss"]

    private static func aligner(_ key: String) -> String { "NeMo-Aligner, examples/nlp/gpt/conf/gpt_dpo.yaml: \(key)" }

    /// What all methods have, with NeMo-Aligner's defaults (gpt_dpo.yaml).
    private static let batchParameters: [ParameterSchema] = [
        ParameterSchema(
            "global_batch_size", .integer(1...1_048_576), default: 64, "Pairs of one optimizer step, over all GPUs.", unit: "pairs",
            source: aligner("model.global_batch_size")),
        ParameterSchema(
            "micro_batch_size", .integer(1...65_536), default: 1, "Pairs of one forward pass on one GPU.", unit: "pairs",
            source: aligner("model.micro_batch_size")),
        ParameterSchema(
            "learning_rate", .number(.above(0, upTo: 10)), default: 9e-6, "The highest learning rate.", source: aligner("model.optim.lr")),
    ]

    private static let preferenceParameters: [ParameterSchema] = [
        ParameterSchema(
            "beta", .number(.above(0, upTo: 1000)), default: 0.2, "The penalty on leaving the reference (ref_policy_kl_penalty).",
            source: aligner("model.dpo.ref_policy_kl_penalty")),
        ParameterSchema(
            "preference_loss_weight", .number(.atLeast(0, upTo: 1000)), default: 1, "The weight of the preference loss.",
            source: aligner("model.dpo.preference_loss_weight")),
        ParameterSchema(
            "sft_loss_weight", .number(.atLeast(0, upTo: 1000)), default: 0, "The weight of −log π of the chosen response beside it.",
            source: aligner("model.dpo.sft_loss_weight")),
        ParameterSchema(
            "preference_average_log_probs", .boolean, default: false, "Takes the mean over a response's tokens instead of the sum for Δ.",
            source: aligner("model.dpo.preference_average_log_probs")),
        ParameterSchema(
            "sft_average_log_probs", .boolean, default: false,
            "Takes the mean over a response's tokens instead of the sum for the SFT loss.",
            source: aligner("model.dpo.sft_average_log_probs")),
        ParameterSchema(
            "precompute_reference", .boolean, default: false,
            "Computes the reference's log-probabilities once before the first step, which saves its memory and time afterwards."),
    ]

    private static let rewardParameters: [ParameterSchema] = [
        ParameterSchema(
            "reward_scale", .number(.atLeast(0, upTo: 1_000_000)), default: 1,
            "What the data's rewards are multiplied by (gt_reward_scale).", source: aligner("model.dpo.gt_reward_scale")),
        ParameterSchema(
            "default_chosen_reward", .number(.atLeast(-1_000_000, upTo: 1_000_000)), default: 1,
            "The reward of a chosen response whose record has none.", source: aligner("model.data.default_chosen_reward")),
        ParameterSchema(
            "default_rejected_reward", .number(.atLeast(-1_000_000, upTo: 1_000_000)), default: 0,
            "The reward of a rejected response whose record has none.", source: aligner("model.data.default_rejected_reward")),
    ]
}
