import Domain
import JSON

/// The engine of train jobs that drives NeMo RL.
public enum NemoRLEngine {
    /// How specs name it.
    public static let name = "nemo-rl"

    /// The keys of a train job that asks for this engine; `nil` for any other job.
    public static func table(kind: JobKind?, spec: JSONValue) -> [ParameterSchema]? {
        guard kind == .train, spec["engine"]?.string == name else { return nil }
        let method = spec["method"]?.string.flatMap(NemoRLAlgorithm.init(method:))
        return keys + [
            ParameterSchema(
                "params", .object(method.map(parameters) ?? allParameters), default: [:],
                "Settings; what is left out stays as NeMo RL's own configuration has it."),
            ParameterSchema("checkpoint", .object(checkpointTable(method)), default: [:], "When checkpoints are saved and which are kept."),
        ]
    }

    private static let keys: [ParameterSchema] = [
        ParameterSchema("engine", .choice([name]), "The program that trains."),
        ParameterSchema(required: "method", .choice(NemoRLAlgorithm.allCases.map(\.method)), "Which of NeMo RL's programs runs."),
        ParameterSchema(required: "root", .path(.directory, nil), "The folder of the NeMo RL checkout; the program runs there."),
        ParameterSchema(
            "version", .text(bytesMax: 100),
            "The checkout's release, such as 0.5, which decides on the layout of 'data'; without it the checkout tells."),
        ParameterSchema(
            "config", .path(.file, .file), "A configuration in NeMo RL's own language; without it the checkout's own for the method."),
        ParameterSchema(
            "overrides", .list(.argument, count: 0...SpecLimits.mapCountMax),
            "key=value, +key=value, ++key=value or ~key, as on NeMo RL's command line; write '$${…}' for its own references."),
        ParameterSchema(
            "launcher", .list(.argument, count: 1...SpecLimits.mapCountMax),
            default: .array(NemoRLRun.defaultLauncher.map(JSONValue.string)), "What starts a Python program in the checkout."),
        ParameterSchema("model", .model, "The model to start from, or to evaluate; without it that of 'config'."),
        ParameterSchema("teacher", .model, "The model that teaches; only for distill."),
        ParameterSchema("dataset", .dataset, "The training data, or the questions; without it those of 'config'."),
        ParameterSchema("validation", .dataset, "The validation data."),
        ParameterSchema(
            "save_margin", .duration(.seconds(1)...SpecLimits.timeoutMax),
            "How long before 'timeout' the last checkpoint is saved; without it a tenth of it, from 2m to 30m, at most half."),
        ParameterSchema(
            "export", .choice(["best", "last", "later", "none"]), default: "best",
            "The checkpoint that is turned into a model in Hugging Face's format at the end, the output 'model'; later leaves that to a "
                + "convert job, whose converter reads no other form than these three choices save."),
    ]

    /// The keys of `params` of a method.
    public static func parameters(_ algorithm: NemoRLAlgorithm) -> [ParameterSchema] {
        switch algorithm {
        case .sft: shared + epochs + batches + [only("only_final_turn")].compactMap { $0 }
        case .dpo: shared + epochs + batches + dpo
        case .rm: shared + epochs + batches
        case .grpo: shared + epochs + rollouts + grpo
        case .distillation: shared + epochs + rollouts + distillation
        case .eval: eval
        }
    }

    private static var allParameters: [ParameterSchema] {
        var all: [ParameterSchema] = []
        for key in NemoRLAlgorithm.allCases.flatMap(parameters) where !all.contains(where: { $0.name == key.name }) { all.append(key) }
        return all
    }

    /// A key that Anneal's own trainer has too. NeMo RL's configurations have the defaults.
    private static func only(_ name: String) -> ParameterSchema? {
        var key = ParameterSchema.parameters(method: "sft").first { $0.name == name }
        key?.defaultValue = nil
        key?.source = nil
        return key
    }

    private static let shared = [
        "global_batch_size", "micro_batch_size", "max_length", "learning_rate", "weight_decay", "beta1", "beta2", "epsilon",
        "max_grad_norm", "schedule", "warmup_steps", "min_learning_rate", "validate_every", "validate_at_start", "validation_batch_size",
        "shuffle", "seed", "precision", "gradient_checkpointing", "lora", "chat_template",
    ].compactMap(only)

    private static let epochs = ["epochs", "max_steps"].compactMap(only)
    private static let batches = ["validation_batches"].compactMap(only)

    private static let dpo: [ParameterSchema] = [
        ParameterSchema("beta", .number(.above(0, upTo: 1000)), "The weight of staying near the reference model."),
        ParameterSchema("preference_loss_weight", .number(.atLeast(0)), "The weight of the preference loss."),
        ParameterSchema("sft_loss_weight", .number(.atLeast(0)), "The weight of the chosen answers' cross entropy."),
        ParameterSchema(
            "preference_average_log_probs", .boolean, "Divides log-probabilities by the answer's length in the preference loss."),
        ParameterSchema("sft_average_log_probs", .boolean, "Divides them by the answer's length in the cross entropy."),
    ]

    private static let rollouts: [ParameterSchema] = [
        ParameterSchema("prompts_per_step", .integer(1...1_048_576), "Prompts that are answered for one step."),
        ParameterSchema("generations_per_prompt", .integer(1...65_536), "Answers to each prompt."),
        ParameterSchema("validation_samples", .integer(1...1_000_000_000), "Prompts of one validation."),
        ParameterSchema("max_new_tokens", .integer(1...16_777_216), "Tokens of an answer."),
        ParameterSchema("temperature", .number(.atLeast(0, upTo: 100)), "The temperature that answers are drawn at."),
        ParameterSchema("input_key", .text(bytesMax: 1000), default: "input", "The field of a record that holds the question."),
        ParameterSchema("output_key", .text(bytesMax: 1000), default: "output", "The field that holds the expected answer."),
    ]

    private static let grpo: [ParameterSchema] = [
        ParameterSchema("normalize_rewards", .boolean, "Divides advantages by the deviation of their group."),
        ParameterSchema("leave_one_out", .boolean, "Leaves an answer out of its own baseline."),
        ParameterSchema("dynamic_sampling", .boolean, "Asks on until each group has rewards that differ."),
        ParameterSchema("overlong_filtering", .boolean, "Learns nothing from answers that were cut off."),
        ParameterSchema("kl_penalty", .number(.atLeast(0)), "The weight of the divergence from the reference model."),
        ParameterSchema("kl_type", .choice(["k1", "k2", "k3"]), "The estimator of the divergence."),
        ParameterSchema("clip_min", .number(.atLeast(0)), "How far the ratio of probabilities may fall below 1."),
        ParameterSchema("clip_max", .number(.atLeast(0)), "How far it may rise above 1."),
        ParameterSchema("dual_clip", .nullable(.number(.above(1))), "The bound on the loss of bad answers, times their advantage."),
        ParameterSchema("token_level_loss", .boolean, "Averages over tokens; false averages over answers first."),
    ]

    private static let distillation: [ParameterSchema] = [
        ParameterSchema("topk", .integer(1...1_048_576), "Logits of the teacher that are taken over for each token."),
        ParameterSchema("kl_type", .choice(["forward", "reverse", "mixed"]), "The direction of the divergence."),
        ParameterSchema("mixed_kl_weight", .number(.atLeast(0, upTo: 1)), "The weight of the forward part of a mixed divergence."),
    ]

    private static let eval: [ParameterSchema] = [
        ParameterSchema("metric", .choice(["pass@k", "cons@k"]), "What is computed from the answers to a question."),
        ParameterSchema("k", .integer(1...65_536), "The k of the metric."),
        ParameterSchema("samples", .integer(1...65_536), "Answers to each question; at least k."),
        ParameterSchema("temperature", .number(.atLeast(0, upTo: 100)), "The temperature that answers are drawn at."),
        ParameterSchema("max_length", .integer(1...16_777_216), "Tokens of question and answer."),
        ParameterSchema("seed", .integer(0...4_294_967_295), "The seed of everything random."),
        ParameterSchema("input_key", .text(bytesMax: 1000), "The field of a record that holds the question."),
        ParameterSchema("output_key", .text(bytesMax: 1000), "The field that holds the expected answer."),
    ]

    private static func checkpointTable(_ algorithm: NemoRLAlgorithm?) -> [ParameterSchema] {
        var metrics: [String] = []
        for name in (algorithm.map { [$0] } ?? NemoRLAlgorithm.allCases).flatMap({ NemoRLSettings.metrics($0).map(\.name) })
        where !metrics.contains(name) { metrics.append(name) }
        guard !metrics.isEmpty else { return [] }
        return [
            ParameterSchema(
                "every", .nullable(.integer(1...1_000_000_000)), "Saves every so many steps; null, the default, at the end alone."),
            ParameterSchema("keep_top_k", .nullable(.integer(1...100_000)), "Checkpoints to keep, the best by 'metric'; null keeps all."),
            ParameterSchema("metric", .choice(metrics), "What ranks the checkpoints."),
            ParameterSchema("mode", .choice(["min", "max"]), "Whether a small or a large metric is good."),
            ParameterSchema("save_optimizer", .boolean, "Saves what an exact resumption needs."),
        ]
    }
}
