import JSON

extension TrainingMethod {
    static let grpo = TrainingMethod(
        name: "grpo", doc: "Reinforcement by group-relative advantages: learns from rewards of its own responses, several to each prompt.",
        parameters: rolloutKeys + lossKeys + advantageKeys + [
            ParameterSchema(
                "global_batch_size", .integer(1...1_048_576), default: 512,
                "Responses of one optimizer step, over all GPUs; prompts_per_step × generations_per_prompt is a multiple of it.",
                unit: "responses", source: ParameterSchema.nemo("policy.train_global_batch_size", of: "grpo_math_1B")),
            ParameterSchema(
                "micro_batch_size", .integer(1...65_536), default: 4, "Responses of one forward pass on one GPU.", unit: "responses",
                source: ParameterSchema.nemo("policy.train_micro_batch_size", of: "grpo_math_1B")),
            ParameterSchema("max_length", .integer(2...16_777_216), default: 1024, "Tokens of a prompt with its response.", unit: "tokens"),
            ParameterSchema(
                "weight_decay", .number(.atLeast(0, upTo: 10)), default: 0.01, "AdamW's weight decay.",
                source: ParameterSchema.nemo("policy.optimizer.kwargs.weight_decay", of: "grpo_math_1B")),
            ParameterSchema(
                "beta2", .number(.atLeast(0, below: 1)), default: 0.999, "AdamW's second moment decay.",
                source: ParameterSchema.nemo("policy.optimizer.kwargs.betas", of: "grpo_math_1B")),
            ParameterSchema(
                "epsilon", .number(.above(0, upTo: 1)), default: 1e-8, "AdamW's epsilon.",
                source: ParameterSchema.nemo("policy.optimizer.kwargs.eps", of: "grpo_math_1B")),
        ],
        metrics: ["val_accuracy", "train_reward", "train_loss"])

    /// Ready-made settings of the objective; each key that one sets may be set otherwise.
    static let variants = ["grpo", "gspo", "dapo", "rloo", "cispo", "dr_grpo"]

    private static let rolloutKeys: [ParameterSchema] = [
        ParameterSchema(
            "variant", .choice(variants), default: "grpo",
            "Which defaults the objective has: "
                + "gspo (ratio_level and loss_level sequence, clip 3e-4/4e-4, kl_penalty 0), dapo (clip 0.2/0.28, ratio_clip_c 10, "
                + "dynamic_sampling, kl_penalty 0), rloo (objective reinforce, no normalization), cispo (objective cispo, clip 1/4, "
                + "kl_penalty 0), dr_grpo (loss_level constant, no normalization, plain mean, kl_penalty 0)."),
        ParameterSchema(
            "rewards", .steps(rewardKinds),
            "Needed: what responses are scored by, a list such as '- exact: {weight: 1}'; the sum is learned."),
        ParameterSchema(
            "prompts_per_step", .integer(1...1_048_576), default: 32, "Prompts of one rollout.", unit: "prompts",
            source: ParameterSchema.nemo("grpo.num_prompts_per_step", of: "grpo_math_1B")),
        ParameterSchema(
            "generations_per_prompt", .integer(2...65_536), default: 16, "Responses to each prompt of a rollout.", unit: "responses",
            source: ParameterSchema.nemo("grpo.num_generations_per_prompt", of: "grpo_math_1B")),
        ParameterSchema(
            "max_new_tokens", .integer(1...16_777_216), default: 512, "Tokens of a response at most.", unit: "tokens",
            source: ParameterSchema.nemo("policy.generation.max_new_tokens", of: "grpo_math_1B")),
        ParameterSchema("rollout", .object(engineTable), default: [:], "How responses are generated."),
        ParameterSchema(
            "curriculum", .nullable(.object(curriculumTable)), default: .null,
            "Draws prompts from easy to hard by the pass rates that the records hold; null draws them evenly."),
        ParameterSchema(
            "dynamic_sampling", .boolean,
            "Keeps only prompts whose responses earn different rewards, and asks more until there are enough; without it false, at dapo true."
        ),
        ParameterSchema(
            "dynamic_sampling_max_batches", .integer(1...100_000), default: 10,
            "dynamic_sampling: batches of prompts for one rollout, after which the job fails.", unit: "batches",
            source: ParameterSchema.nemo("grpo.dynamic_sampling_max_gen_batches", of: "grpo_math_1B")),
        ParameterSchema(
            "batch_multiplier", .integer(1...1024), default: 1, "dynamic_sampling: a batch has so many times prompts_per_step.",
            source: ParameterSchema.nemo("grpo.batch_multiplier", of: "grpo_math_1B")),
        ParameterSchema(
            "validation_generations", .integer(1...1024), default: 1, "Responses to each prompt of the validation.", unit: "responses",
            source: ParameterSchema.nemo("grpo.val_num_generations_per_prompt", of: "grpo_math_1B")),
        ParameterSchema(
            "validation_temperature", .nullable(.number(.atLeast(0, upTo: 10))), default: .null,
            "The temperature of the validation; null takes that of the rollouts, and 0 the likeliest token."),
        ParameterSchema(
            "rollout_samples", .integer(0...1024), default: 64, "Responses of each rollout that are kept to be looked at.",
            unit: "responses"),
    ]

    private static let engineTable: [ParameterSchema] = [
        ParameterSchema(
            "engine", .choice(["auto", "transformers", "vllm", "server"]), default: "auto",
            "What generates: transformers or vllm in the trainer's process, or a vLLM server; auto takes vllm where it is installed."),
        ParameterSchema("url", .httpURL, "engine server: its base URL, without /v1."),
        ParameterSchema(
            "weight_update", .choice(["reload", "none"]), default: "reload",
            "engine server: whether it loads new weights from a folder before each rollout, or keeps its first ones."),
        ParameterSchema(
            "temperature", .number(.above(0, upTo: 10)), default: 1.0, "The sampling temperature.",
            source: ParameterSchema.nemo("policy.generation.temperature", of: "grpo_math_1B")),
        ParameterSchema(
            "top_p", .number(.above(0, upTo: 1)), default: 1.0, "Draws from the likeliest tokens with this much probability.",
            unit: "fraction", source: ParameterSchema.nemo("policy.generation.top_p", of: "grpo_math_1B")),
        ParameterSchema(
            "top_k", .nullable(.integer(1...16_777_216)), default: .null, "Draws from so many of the likeliest tokens.", unit: "tokens",
            source: ParameterSchema.nemo("policy.generation.top_k", of: "grpo_math_1B")),
        ParameterSchema(
            "batch_size", .integer(1...65_536), default: 256, "Responses that are generated at the same time.", unit: "responses"),
        ParameterSchema(
            "gpu_memory", .number(.between(0, 1)), default: 0.4, "engine vllm: the share of the GPU's memory that it takes.",
            unit: "fraction"),
        ParameterSchema(
            "timeout_seconds", .number(.above(0, upTo: 86_400)), default: 600, "engine server: seconds of one request.", unit: "seconds"),
    ]

    private static let curriculumTable: [ParameterSchema] = [
        ParameterSchema("field", .text(bytesMax: 200), default: "pass_rate", "The member of a record with its pass rate, from 0 to 1."),
        ParameterSchema(
            "width", .number(.above(0, upTo: 1)), default: 0.125, "The standard deviation of what is drawn, in pass rate.", unit: "fraction"
        ),
        ParameterSchema(
            "levels", .nullable(.integer(1...10_000)), default: .null,
            "Levels of equal width; null takes each pass rate that occurs for one.", unit: "levels"),
        ParameterSchema(
            "discard_from", .nullable(.number(.above(0, upTo: 1))), default: .null,
            "Prompts of this pass rate and above are left out as too easy; null keeps all.", unit: "fraction"),
    ]

    private static let lossKeys: [ParameterSchema] = [
        ParameterSchema(
            "objective", .choice(["ppo", "cispo", "reinforce"]),
            "The clipped ratio of probabilities, its constant clipped value as a weight, or no ratio; without it ppo, at cispo cispo, at rloo reinforce."
        ),
        ParameterSchema(
            "ratio_level", .choice(["token", "sequence"]),
            "Ratios of tokens, or of whole responses by their geometric mean; without it token, at gspo sequence."),
        ParameterSchema(
            "loss_level", .choice(["token", "sequence", "constant"]),
            "The mean over all tokens; over each response and then over responses; or each response's sum over max_new_tokens; "
                + "without it token, at gspo sequence, at dr_grpo constant."),
        ParameterSchema(
            "ratio_clip_min", .number(.atLeast(0, upTo: 1_000_000)),
            "Ratios are clipped at 1 − this; without it 0.2, at gspo 3e-4, at cispo 1."),
        ParameterSchema(
            "ratio_clip_max", .number(.atLeast(0, upTo: 1_000_000)),
            "Ratios are clipped at 1 + this; without it 0.2, at gspo 4e-4, at dapo 0.28, at cispo 4."),
        ParameterSchema(
            "ratio_clip_c", .nullable(.number(.above(1, upTo: 1_000_000))),
            "Dual clip: bounds the loss of bad responses at this ratio; without it null, at dapo 10."),
        ParameterSchema(
            "kl_penalty", .number(.atLeast(0, upTo: 1_000_000)),
            "The weight of the distance to the first model; without it 0.01, at gspo, dapo, cispo and dr_grpo 0."),
        ParameterSchema(
            "kl_type", .choice(["k1", "k2", "k3"]), default: "k3", "The estimator of that distance.",
            source: ParameterSchema.nemo("loss_fn.reference_policy_kl_type", of: "grpo_math_1B")),
        ParameterSchema(
            "kl_input_clamp", .nullable(.number(.above(0, upTo: 1_000_000))), default: 20, "Bounds the difference of log-probabilities.",
            source: ParameterSchema.nemo("loss_fn.kl_input_clamp_value", of: "grpo_math_1B")),
        ParameterSchema(
            "kl_output_clamp", .nullable(.number(.above(0, upTo: 1_000_000))), default: 10, "Bounds the estimate.",
            source: ParameterSchema.nemo("loss_fn.kl_output_clamp_value", of: "grpo_math_1B")),
        ParameterSchema(
            "importance_correction", .choice(["none", "tis", "icepop", "seq_mask_tis"]), default: "none",
            "Weights against the mismatch of generator and trainer: cut, tokens taken out, or responses taken out."),
        ParameterSchema("importance_min", .number(.atLeast(0, upTo: 1_000_000)), default: 0.5, "The lower bound of those weights."),
        ParameterSchema("importance_max", .number(.above(0, upTo: 1_000_000)), default: 2.0, "The upper bound of those weights."),
        ParameterSchema(
            "positive_nll_weight", .number(.atLeast(0, upTo: 1_000_000)), default: 0,
            "The weight of the cross entropy of responses with a reward above zero.",
            source: ParameterSchema.nemo("loss_fn.positive_example_nll_weight", of: "grpo_math_1B")),
    ]

    private static let advantageKeys: [ParameterSchema] = [
        ParameterSchema(
            "normalize_rewards", .boolean,
            "Divides by the standard deviation of a prompt's rewards; without it true, at rloo and dr_grpo false."),
        ParameterSchema(
            "leave_one_out", .boolean, "Compares a response with the others of its prompt, not with all; without it true, at dr_grpo false."
        ),
        ParameterSchema(
            "advantage_min", .nullable(.number(.atLeast(-1e9, upTo: 1e9))), default: .null, "Advantages are at least this.",
            source: ParameterSchema.nemo("grpo.advantage_clip_low", of: "grpo_math_1B")),
        ParameterSchema(
            "advantage_max", .nullable(.number(.atLeast(-1e9, upTo: 1e9))), default: .null, "Advantages are at most this.",
            source: ParameterSchema.nemo("grpo.advantage_clip_high", of: "grpo_math_1B")),
        ParameterSchema(
            "reward_scaling", .nullable(.object(scalingTable)), default: .null, "Maps rewards from one range to another."),
        ParameterSchema(
            "overlong", .nullable(.object(overlongTable)), default: .null, "Punishes responses that come near the longest length (DAPO)."),
        ParameterSchema(
            "overlong_filtering", .boolean, default: false, "Takes responses that were cut out of the loss.",
            source: ParameterSchema.nemo("grpo.overlong_filtering", of: "grpo_math_1B")),
        ParameterSchema(
            "stop_properly_penalty", .nullable(.number(.atLeast(0, upTo: 1))), default: .null,
            "Rewards of responses that were cut are multiplied by this; 'overlong' is then passed over.", unit: "fraction",
            source: ParameterSchema.nemo("grpo.reward_shaping.stop_properly_penalty_coef", of: "grpo_math_1B")),
    ]

    private static let scalingTable: [ParameterSchema] = [
        ParameterSchema(
            "source_min", .number(.atLeast(-1e9, upTo: 1e9)), default: 0, "The lowest reward; lower ones count as this.",
            source: ParameterSchema.nemo("grpo.reward_scaling.source_min", of: "grpo_math_1B")),
        ParameterSchema(
            "source_max", .number(.atLeast(-1e9, upTo: 1e9)), default: 1, "The highest reward; higher ones count as this.",
            source: ParameterSchema.nemo("grpo.reward_scaling.source_max", of: "grpo_math_1B")),
        ParameterSchema(
            "target_min", .number(.atLeast(-1e9, upTo: 1e9)), default: 0, "What the lowest becomes.",
            source: ParameterSchema.nemo("grpo.reward_scaling.target_min", of: "grpo_math_1B")),
        ParameterSchema(
            "target_max", .number(.atLeast(-1e9, upTo: 1e9)), default: 1, "What the highest becomes.",
            source: ParameterSchema.nemo("grpo.reward_scaling.target_max", of: "grpo_math_1B")),
    ]

    private static let overlongTable: [ParameterSchema] = [
        ParameterSchema(
            "max_response_length", .integer(1...16_777_216), "Tokens at which the whole penalty is reached; without it max_new_tokens.",
            unit: "tokens"),
        ParameterSchema(
            "buffer", .integer(1...16_777_216), default: 128, "Tokens before that length over which the penalty grows.", unit: "tokens",
            source: ParameterSchema.nemo("grpo.reward_shaping.overlong_buffer_length", of: "grpo_math_1B")),
        ParameterSchema(
            "penalty", .number(.atLeast(0, upTo: 1_000_000)), default: 1, "What is taken from the reward at that length.",
            source: ParameterSchema.nemo("grpo.reward_shaping.overlong_buffer_penalty", of: "grpo_math_1B")),
    ]
}
