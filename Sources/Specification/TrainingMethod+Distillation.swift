import JSON

extension TrainingMethod {
    static let distill = TrainingMethod(
        name: "distill", doc: "Distillation: the student learns the teacher's distribution of each token that the assistant writes.",
        parameters: [
            ParameterSchema(
                "kl_type", .choice(["forward", "reverse", "mixed"]), default: "mixed",
                "Σ p_T (log p_T − log p_S), Σ p_S (log p_S − log p_T), or both.",
                source: ParameterSchema.nemo("loss_fn.kl_type", of: "distillation_math")),
            ParameterSchema(
                "mixed_kl_weight", .number(.atLeast(0, upTo: 1)), default: 0.5,
                "The weight of the forward part of 'mixed'; the rest is reverse.", unit: "fraction",
                source: ParameterSchema.nemo("loss_fn.mixed_kl_weight", of: "distillation_math")),
            ParameterSchema("kl_weight", .number(.atLeast(0, upTo: 1_000_000)), default: 1, "The weight of the divergence."),
            ParameterSchema(
                "topk", .nullable(.integer(1...1_048_576)), default: 64,
                "Compares the teacher's so many largest logits; null compares all.", unit: "logits",
                source: ParameterSchema.nemo("distillation.topk_logits_k", of: "distillation_math")),
            ParameterSchema(
                "zero_outside_topk", .boolean, default: false,
                "Takes the teacher to be zero outside of 'topk', instead of normalising both distributions among these.",
                source: ParameterSchema.nemo("loss_fn.zero_outside_topk", of: "distillation_math")),
            ParameterSchema(
                "temperature", .number(.above(0, upTo: 1000)), default: 1,
                "Divides both models' logits; the divergence is multiplied by its square."
            ),
            ParameterSchema(
                "cosine_weight", .number(.atLeast(0, upTo: 1_000_000)), default: 0,
                "The weight of the mean over layers of 1 − cos of both models' hidden states."),
            ParameterSchema(
                "layer_map", .nullable(.list(.integer(1...100_000), count: 1...SpecLimits.mapCountMax)), default: .null,
                "The teacher's layer, from 1, for each of the model's; null spreads them evenly."),
            ParameterSchema("sft_weight", .number(.atLeast(0, upTo: 1_000_000)), default: 0, "The weight of the data's cross entropy."),
            ParameterSchema(
                "teacher_dtype", .choice(["auto", "fp32", "bf16", "fp16"]), default: "auto", "bf16 where the device has it, else fp32."),
            ParameterSchema("on_policy", .boolean, default: false, "Learns on answers that the model writes itself, sampled at each step."),
            ParameterSchema(
                "max_new_tokens", .integer(1...1_048_576), default: 256, "Tokens of an answer with 'on_policy'.", unit: "tokens"),
            ParameterSchema(
                "rollout_temperature", .number(.above(0, upTo: 100)), default: 1,
                "The temperature at which answers are sampled with 'on_policy'.",
                source: ParameterSchema.nemo("policy.generation.temperature", of: "distillation_math")),
            ParameterSchema("only_final_turn", .boolean, default: false, "Learns the last assistant message alone instead of all."),
        ] + ParameterSchema.batching,
        keys: [
            ParameterSchema("teacher", .model, "The model to learn from; its vocabulary must be the model's."),
            ParameterSchema(
                "teacher_logits", .path(.file, .file),
                "Recorded logits in place of 'teacher', as `python -m anneal_trainer.record_logits` writes them."),
            ParameterSchema("validation_logits", .path(.file, .file), "Recorded logits of the validation data."),
        ],
        metrics: ["val_loss", "val_kl_forward", "val_kl_reverse", "train_loss"])

    static let pretrain = TrainingMethod(
        name: "pretrain",
        doc:
            "Continued pre-training: the cross entropy of every token of {text} records, joined with EOS and cut into blocks of max_length.",
        parameters: ParameterSchema.batching)
}
