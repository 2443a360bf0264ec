extension NemoRLKeys {
    /// The keys of a model that is trained, or that teaches.
    static func policy(_ name: String) -> String {
        policyLines.split(separator: "\n").map { "\(name)\($0)" }.joined(separator: "\n")
    }

    /// The keys of the engine that generates rollouts.
    static func generation(_ name: String) -> String {
        generationLines.split(separator: "\n").map { "\(name)\($0)" }.joined(separator: "\n")
    }

    private static let policyLines = """
        : model_name train_global_batch_size train_micro_batch_size max_total_sequence_length precision max_grad_norm
        : make_sequence_length_divisible_by offload_optimizer_for_logprob generation_batch_size logprob_batch_size logprob_chunk_size
        : refit_buffer_size_gb hf_config_overrides
        : activation_checkpointing_enabled dequantize_base_checkpoint disable_modelopt_layer_spec quant_cfg quant_calib_data
        : quant_calib_size quant_batch_size quant_sequence_length is_vlm
        .pretrained_checkpoint: *
        .router_replay: *
        .hf_config_overrides: *
        .hf_overrides: *
        .tokenizer: name chat_template use_fastokens use_processor
        .tokenizer.video: *
        .tokenizer.audio: *
        .tokenizer.chat_template_kwargs: *
        .dtensor_cfg: enabled _v2 cpu_offload sequence_parallel activation_checkpointing tensor_parallel_size context_parallel_size
        .dtensor_cfg: custom_parallel_plan dp_replicate_size clear_cache_every_n_steps expert_parallel_size defer_fsdp_grad_sync
        .dtensor_cfg.env_vars: *
        .dtensor_cfg.automodel_kwargs: *
        .dtensor_cfg.moe_parallelizer: *
        .dtensor_cfg.lora_cfg: enabled target_modules exclude_modules match_all_linear dim alpha dropout dropout_position lora_A_init
        .dtensor_cfg.lora_cfg: use_triton
        .dynamic_batching: enabled train_mb_tokens logprob_mb_tokens sequence_length_round
        .sequence_packing: enabled train_mb_tokens logprob_mb_tokens algorithm microbatch_order sequence_length_round fuse_loss
        .optimizer: name
        .optimizer.kwargs: *
        .scheduler: *
        .megatron_cfg: enabled force_reconvert_from_hf empty_unused_memory_level activation_checkpointing tensor_model_parallel_size
        .megatron_cfg: expert_tensor_parallel_size expert_model_parallel_size pipeline_model_parallel_size context_parallel_size
        .megatron_cfg: pipeline_dtype num_layers_in_first_pipeline_stage num_layers_in_last_pipeline_stage sequence_parallel
        .megatron_cfg: freeze_moe_router moe_router_dtype moe_router_load_balancing_type moe_router_bias_update_rate moe_permute_fusion
        .megatron_cfg: apply_rope_fusion bias_activation_fusion defer_fp32_logits moe_per_layer_logging moe_enable_deepep
        .megatron_cfg: moe_token_dispatcher_type moe_shared_expert_overlap use_gloo_process_groups gradient_accumulation_fusion
        .megatron_cfg: use_fused_weighted_squared_relu use_fused_linear_logprobs fused_linear_logprobs_chunk_size cuda_graph_impl
        .megatron_cfg: cuda_graph_modules cuda_graph_warmup_steps fine_grained_activation_offloading offload_modules
        .megatron_cfg: recompute_granularity recompute_modules converter_type mtp_num_layers mtp_loss_scaling_factor
        .megatron_cfg: mtp_use_repeated_layer mtp_detach_heads radio_force_cpe_eval_mode freeze_vision_model freeze_vision_projection
        .megatron_cfg: freeze_sound_encoder freeze_sound_projection attention_backend transformer_impl moe_router_num_groups
        .megatron_cfg: moe_router_group_topk inference_moe_token_dispatcher_type inference_grouped_gemm_backend
        .megatron_cfg: moe_router_enable_expert_bias moe_flex_dispatcher_backend moe_hybridep_num_sms
        .megatron_cfg: moe_aux_loss_coeff moe_grouped_gemm moe_pad_experts_for_cuda_graph_inference train_iters calculate_per_token_loss
        .megatron_cfg: clear_memory_caches_before_refit hybridep_num_ranks_per_nvlink_domain hybridep_use_mnnvl
        .megatron_cfg.freeze_config: *
        .megatron_cfg.checkpoint: *
        .megatron_cfg.model_overrides: *
        .megatron_cfg.env_vars: *
        .megatron_cfg.fp8_cfg: *
        .megatron_cfg.peft: enabled target_modules exclude_modules dim alpha dropout dropout_position lora_A_init_method
        .megatron_cfg.peft: lora_B_init_method a2a_experimental lora_dtype
        .megatron_cfg.optimizer: *
        .megatron_cfg.scheduler: start_weight_decay end_weight_decay weight_decay_incr_style lr_decay_style lr_decay_iters
        .megatron_cfg.scheduler: lr_warmup_iters lr_warmup_init override_opt_param_scheduler
        .megatron_cfg.distributed_data_parallel_config: *
        """

    private static let generationLines = """
        : backend max_new_tokens temperature top_p top_k val_temperature val_top_p val_top_k stop_token_ids stop_strings
        : port_range_low port_range_high refit_transport real_quant_export_cpu_offload num_prompts_per_step model_name
        : quant_cfg real_quant real_quant_ignore use_async_rollouts bad_words
        .trtllm_cfg: *
        .trtllm_kwargs: *
        .dynamo_cfg: *
        .refit_cfg: *
        .mcore_generation_config: *
        .vllm_cfg: *
        .vllm_kwargs: *
        .sglang_cfg: *
        .sglang_kwargs: *
        .colocated: enabled
        .colocated.resources: gpus_per_node num_nodes
        """
}
