import JSON

/// Which key of NeMo RL's configuration each plain setting of a spec stands for; those that need more than a name are in `NemoRLMapping`.
enum NemoRLSettings {
    /// A key of `params`, and the dotted path of the configuration that takes its value as it is.
    struct Plain: Sendable {
        var name: String
        var path: String
    }

    static func plain(_ algorithm: NemoRLAlgorithm) -> [Plain] {
        guard algorithm.trains else { return pairs(eval) }
        var list = pairs(policy) + section(algorithm)
        switch algorithm {
        case .sft: list.append(Plain(name: "only_final_turn", path: "sft.only_unmask_final"))
        case .dpo: list += pairs(dpo)
        case .grpo: list += pairs(grpo)
        case .distillation: list += pairs(distillation)
        case .rm, .eval: break
        }
        return list
    }

    private static func pairs(_ table: [String: String]) -> [Plain] {
        table.map { Plain(name: $0.key, path: $0.value) }.sorted { $0.path < $1.path }
    }

    private static let policy = [
        "global_batch_size": "policy.train_global_batch_size", "max_length": "policy.max_total_sequence_length",
        "max_grad_norm": "policy.max_grad_norm", "learning_rate": "policy.optimizer.kwargs.lr",
        "weight_decay": "policy.optimizer.kwargs.weight_decay", "epsilon": "policy.optimizer.kwargs.eps",
        "gradient_checkpointing": "policy.dtensor_cfg.activation_checkpointing", "chat_template": "policy.tokenizer.chat_template",
        "shuffle": "data.shuffle",
    ]

    /// Settings that each algorithm keeps in a section of its own name.
    private static func section(_ algorithm: NemoRLAlgorithm) -> [Plain] {
        var names = ["epochs": "max_num_epochs", "max_steps": "max_num_steps", "seed": "seed"]
        switch algorithm {
        case .grpo, .distillation:
            names["validation_samples"] = "max_val_samples"
            names["validation_batch_size"] = "val_batch_size"
            names["prompts_per_step"] = "num_prompts_per_step"
            names["generations_per_prompt"] = "num_generations_per_prompt"
        default: names["validation_batch_size"] = "val_global_batch_size"
        }
        return names.map { Plain(name: $0.key, path: "\(algorithm.section).\($0.value)") }.sorted { $0.path < $1.path }
    }

    private static let dpo = [
        "beta": "dpo.reference_policy_kl_penalty", "preference_loss_weight": "dpo.preference_loss_weight",
        "sft_loss_weight": "dpo.sft_loss_weight", "preference_average_log_probs": "dpo.preference_average_log_probs",
        "sft_average_log_probs": "dpo.sft_average_log_probs",
    ]

    private static let grpo = [
        "max_new_tokens": "policy.generation.max_new_tokens", "temperature": "policy.generation.temperature",
        "normalize_rewards": "grpo.normalize_rewards", "leave_one_out": "grpo.use_leave_one_out_baseline",
        "dynamic_sampling": "grpo.use_dynamic_sampling", "overlong_filtering": "grpo.overlong_filtering",
        "kl_penalty": "loss_fn.reference_policy_kl_penalty", "kl_type": "loss_fn.reference_policy_kl_type",
        "clip_min": "loss_fn.ratio_clip_min", "clip_max": "loss_fn.ratio_clip_max", "dual_clip": "loss_fn.ratio_clip_c",
        "token_level_loss": "loss_fn.token_level_loss",
    ]

    private static let distillation = [
        "max_new_tokens": "policy.generation.max_new_tokens", "temperature": "policy.generation.temperature",
        "topk": "distillation.topk_logits_k", "kl_type": "loss_fn.kl_type", "mixed_kl_weight": "loss_fn.mixed_kl_weight",
    ]

    private static let eval = [
        "metric": "eval.metric", "k": "eval.k_value", "samples": "eval.num_tests_per_prompt", "seed": "eval.seed",
        "temperature": "generation.temperature", "max_length": "generation.vllm_cfg.max_model_len", "input_key": "data.problem_key",
        "output_key": "data.solution_key",
    ]

    /// What NeMo RL calls a metric that checkpoints can be ranked by.
    static func metric(_ name: String, _ algorithm: NemoRLAlgorithm) -> String? { metrics(algorithm).first { $0.name == name }?.path }

    /// The metrics that rank checkpoints; the first is the default.
    static func metrics(_ algorithm: NemoRLAlgorithm) -> [Plain] {
        switch algorithm {
        case .sft: [Plain(name: "val_loss", path: "val:val_loss"), Plain(name: "train_loss", path: "train:loss")]
        case .dpo, .rm:
            [
                Plain(name: "val_loss", path: "val:validation-default_loss"),
                Plain(name: "val_accuracy", path: "val:validation-default_accuracy"), Plain(name: "train_loss", path: "train:loss"),
            ]
        case .grpo, .distillation:
            [Plain(name: "val_accuracy", path: "val:accuracy"), Plain(name: "train_loss", path: "train:loss")]
        case .eval: []
        }
    }
}
