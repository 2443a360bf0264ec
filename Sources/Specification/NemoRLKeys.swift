/// A mapping of NeMo RL's configuration and the keys that it may have.
struct NemoRLKeyTree: Sendable {
    var children: [String: NemoRLKeyTree] = [:]
    /// True where any key may stand: arguments of an optimizer, environments, model overrides.
    var isOpen = false

    /// Reads lines such as `policy.tokenizer: name chat_template`; `*` opens a mapping, and a key that no line describes is a leaf.
    init(_ table: String = "") {
        for line in table.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let path = parts[0].trimmingSpaces().split(separator: ".").map(String.init)
            for key in parts[1].split(separator: " ") { add(path[...], String(key)) }
        }
    }

    private mutating func add(_ path: ArraySlice<String>, _ key: String) {
        guard let first = path.first else {
            if key == "*" { isOpen = true } else if children[key] == nil { children[key] = NemoRLKeyTree() }
            return
        }
        children[first, default: NemoRLKeyTree()].add(path.dropFirst(), key)
    }

    /// The mapping at a path; `nil` where the tree has none.
    subscript(path: some Sequence<String>) -> NemoRLKeyTree? {
        var tree = self
        for name in path {
            if tree.isOpen { return tree }
            guard let child = tree.children[name] else { return nil }
            tree = child
        }
        return tree
    }

    /// True where keys can stand below this one.
    var isMapping: Bool { isOpen || !children.isEmpty }
}

/// The keys that NeMo RL's programs know, from its own configurations and from the types that read them.
enum NemoRLKeys {
    /// The keys of an algorithm in a layout of the data.
    static func tree(_ algorithm: NemoRLAlgorithm, _ layout: NemoRLLayout) -> NemoRLKeyTree {
        guard algorithm.trains else { return NemoRLKeyTree(eval) }
        var tables = [training, policy("policy"), own(algorithm), data(algorithm, layout)]
        if [.grpo, .distillation].contains(algorithm) { tables.append(generation("policy.generation")) }
        if algorithm == .distillation { tables += [policy("teacher"), generation("teacher.generation")] }
        return NemoRLKeyTree(tables.joined(separator: "\n"))
    }

    private static func own(_ algorithm: NemoRLAlgorithm) -> String {
        switch algorithm {
        case .sft: sft
        case .dpo: dpo
        case .rm: rm
        case .grpo: grpo
        case .distillation: distillation
        case .eval: eval
        }
    }

    private static let training = """
        checkpointing: enabled checkpoint_dir metric_name higher_is_better keep_top_k save_period checkpoint_must_save_by save_optimizer
        checkpointing: ft_keep_latest_k ft_save_period model_save_format save_consolidated model_cache_dir model_repo_id is_peft is_async
        checkpointing.peft_config: *
        checkpointing.pretrained_checkpoint: path format
        logger: log_dir wandb_enabled tensorboard_enabled mlflow_enabled swanlab_enabled monitor_gpus num_val_samples_to_print
        logger.wandb: *
        logger.swanlab: *
        logger.tensorboard: *
        logger.mlflow: *
        logger.gpu_monitoring: collection_interval flush_interval
        cluster: gpus_per_node num_nodes segment_size master_port_range_low master_port_range_high
        """

    private static let sft = """
        sft: max_num_epochs max_num_steps val_period val_batches val_global_batch_size val_micro_batch_size val_at_start val_at_end seed
        sft: only_unmask_final
        """

    private static let dpo = """
        dpo: max_num_epochs max_num_steps val_period val_batches val_global_batch_size val_micro_batch_size val_at_start val_at_end seed
        dpo: reference_policy_kl_penalty preference_average_log_probs sft_average_log_probs preference_loss_weight sft_loss_weight
        """

    private static let rm = """
        rm: max_num_epochs max_num_steps val_period val_batches val_global_batch_size val_micro_batch_size val_at_start val_at_end seed
        policy: activation_checkpointing_enabled
        policy.reward_model_cfg: enabled reward_model_type
        """

    private static let grpo = """
        grpo: num_prompts_per_step num_generations_per_prompt max_rollout_turns max_num_epochs max_num_steps normalize_rewards
        grpo: use_leave_one_out_baseline val_period val_start_at val_at_start val_at_end overlong_filtering advantage_clip_low
        grpo: advantage_clip_high max_val_samples val_num_generations_per_prompt stop_at_validation_metric
        grpo: stop_at_validation_threshold val_batch_size seed use_dynamic_sampling dynamic_sampling_max_gen_batches batch_multiplier
        grpo: skip_reference_policy_logprobs_calculation calculate_advantages_on_gpu deduplicate_multimodal_data debug_payload_metrics
        async_rl: *
        grpo: seq_logprob_error_threshold invalid_tool_call_advantage malformed_thinking_advantage
        grpo.reward_shaping: enabled overlong_buffer_length overlong_buffer_penalty max_response_length stop_properly_penalty_coef
        grpo.adv_estimator: *
        grpo.reward_scaling: enabled source_min source_max target_min target_max
        grpo.async_grpo: enabled max_trajectory_age_steps max_generation_failures in_flight_weight_updates
        grpo.async_grpo: recompute_kv_cache_after_weight_updates
        loss_fn: reference_policy_kl_penalty reference_policy_kl_type kl_input_clamp_value kl_output_clamp_value ratio_clip_min
        loss_fn: ratio_clip_max ratio_clip_c use_on_policy_kl_approximation use_importance_sampling_correction use_kl_in_reward
        loss_fn: truncated_importance_sampling_type truncated_importance_sampling_ratio truncated_importance_sampling_ratio_min
        loss_fn: sequence_level_importance_ratios token_level_loss force_on_policy_ratio use_cispo disable_ppo_ratio
        loss_fn: positive_example_nll_weight
        reward_penalties: *
        policy.draft: *
        env: *
        data_plane: *
        on_policy_distillation: *
        """

    private static let distillation = """
        distillation: num_prompts_per_step num_generations_per_prompt max_rollout_turns max_num_steps max_num_epochs val_batch_size
        distillation: val_period val_at_start val_at_end max_val_samples topk_logits_k seed
        loss_fn: kl_type mixed_kl_weight zero_outside_topk
        env: *
        """

    private static let eval = """
        eval: metric num_tests_per_prompt seed k_value save_path
        generation: backend max_new_tokens temperature top_p top_k val_temperature val_top_p val_top_k num_prompts_per_step model_name
        generation: stop_token_ids stop_strings bad_words
        generation.vllm_cfg: *
        generation.vllm_kwargs: *
        generation.colocated: enabled
        generation.colocated.resources: gpus_per_node num_nodes
        tokenizer: name chat_template use_fastokens use_processor
        tokenizer.video: *
        tokenizer.audio: *
        tokenizer.chat_template_kwargs: *
        data: max_input_seq_length prompt_file system_prompt_file dataset_name processor repeat problem_key solution_key split subset
        data: file_format env_name
        env: *
        cluster: gpus_per_node num_nodes segment_size master_port_range_low master_port_range_high
        """
}
