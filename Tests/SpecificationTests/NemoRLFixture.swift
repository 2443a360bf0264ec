import Domain
import JSON
import Testing

@testable import Specification

/// A NeMo RL checkout and configurations of a user, as texts by their paths.
struct NemoRLFixture {
    var files: [String: String] = [
        "/nemo/examples/configs/sft.yaml": Self.example, "/nemo/examples/run_sft.py": "",
        "/old/examples/configs/sft.yaml": Self.oldExample, "/old/examples/run_sft.py": "",
    ]

    static let example = """
        sft: {max_num_epochs: 1, max_num_steps: 60, val_period: 10, val_at_start: true, val_at_end: false, seed: 42}
        checkpointing: {enabled: true, checkpoint_dir: results, metric_name: "val:val_loss", keep_top_k: 3, save_period: 10, checkpoint_must_save_by: null}
        policy:
          model_name: base
          tokenizer: {name: "${policy.model_name}"}
          train_global_batch_size: 32
          train_micro_batch_size: 2
          max_total_sequence_length: 1024
          dynamic_batching: {enabled: false, train_mb_tokens: "${mul:${policy.max_total_sequence_length}, ${policy.train_micro_batch_size}}"}
          optimizer: {kwargs: {lr: 5.0e-6, betas: [0.9, 0.98]}}
          only_here: 1
        data: {max_input_seq_length: 1, train: {dataset_name: squad, split: train}, validation: {dataset_name: squad}}
        logger: {log_dir: logs, tensorboard_enabled: true, wandb_enabled: true}
        cluster: {gpus_per_node: 1, num_nodes: 1}
        """

    static let oldExample = example.replacing(
        "train: {dataset_name: squad, split: train}, validation: {dataset_name: squad}", with: "dataset_name: squad"
    ).replacing(" val_at_end: false,", with: "")

    func read(_ path: String) -> [UInt8]? { files[path].map { Array($0.utf8) } }

    /// The run of a job of these keys beside `engine`, in a checkout of the new layout where it names none.
    func run(_ spec: JSONObject, gpus: Int = 1, saveBy: String? = nil, divisor: Int = 1) throws -> NemoRLRun {
        var body: JSONObject = ["method": "sft", "root": "/nemo"]
        for (key, value) in spec { body[key] = value }
        let facts = NemoRLFacts(
            gpus: gpus, microBatchDivisor: divisor, checkpointDirectory: "/ckpt", logDirectory: "/logs", outputDirectory: "/out",
            saveBy: saveBy)
        let files = files
        return try #require(NemoRLRun(spec: body, facts: facts, read: { files[$0].map { Array($0.utf8) } }))
    }

    /// What is wrong with a user's configuration, as lines such as `/config unknown_key …`.
    func problems(_ config: String, overrides: [String] = [], root: String = "/nemo") throws -> [String] {
        var fixture = self
        fixture.files["/my/own.yaml"] = config
        let run = try fixture.run(
            ["config": "/my/own.yaml", "root": .string(root), "overrides": .array(overrides.map(JSONValue.string))])
        return run.problems.map { "\($0.pointer) \($0.code.rawValue) \($0.detail)" }
    }

    /// The configuration that a user's file comes to.
    func load(_ path: String) throws -> NemoRLConfig {
        var reader = NemoRLConfigReader(pointer: JSONPointer(["config"]), read: read)
        return try reader.load(path)
    }
}
