/// Where a key of the other layout of `data` belongs in this one.
struct NemoRLMovedKey: Sendable {
    /// The key below `data`, as the other layout has it.
    var key: String
    /// What to write instead.
    var instead: String
}

extension NemoRLKeys {
    /// The keys of `data`.
    static func data(_ algorithm: NemoRLAlgorithm, _ layout: NemoRLLayout) -> String {
        var lines = ["data: max_input_seq_length shuffle num_workers add_bos add_eos add_generation_prompt add_system_prompt"]
        switch layout {
        case .old:
            lines.append("data: dataset_name train_data_path val_data_path prompt_file system_prompt_file split train_split val_split seed")
            lines.append("data: input_key output_key processor env_name test_size max_samples download_dir")
            lines.append("data: chat_key system_key system_prompt tool_key use_preserving_dataset")
            if algorithm.takesPairs { lines.append("data: prompt_key chosen_key rejected_key val_data_paths") }
        case .new:
            lines.append("data: use_multiple_dataloader num_prompts_per_dataloader custom_dataloader")
            // Arguments of the dataset's class, which may be the user's own.
            lines += ["train", "validation", "default"].map { "data.\($0): *" }
            if algorithm.takesPairs { lines.append("data.val_data_paths: *") }
        }
        return lines.joined(separator: "\n")
    }

    /// The keys of `data` that moved with the change of the layout.
    static func moved(to layout: NemoRLLayout, _ algorithm: NemoRLAlgorithm) -> [NemoRLMovedKey] {
        switch layout {
        case .new:
            let blocks = [
                "train_data_path": "data.train.data_path", "val_data_path": "data.validation.data_path",
                "dataset_name": "data.train.dataset_name and data.validation.dataset_name", "split": "data.train.split",
                "train_split": "data.train.split", "val_split": "data.validation.split", "seed": "data.train.seed",
                "test_size": "data.train.split_validation_size", "max_samples": "data.train.max_samples",
                "download_dir": "data.train.download_dir",
            ]
            let shared = [
                "prompt_file", "system_prompt_file", "processor", "env_name", "input_key", "output_key", "chat_key", "system_key",
                "system_prompt", "tool_key", "use_preserving_dataset", "prompt_key", "chosen_key", "rejected_key",
            ]
            return blocks.sorted { $0.key < $1.key }.map { NemoRLMovedKey(key: $0.key, instead: $0.value) }
                + shared.map { NemoRLMovedKey(key: $0, instead: "data.default.\($0), or data.train.\($0) and data.validation.\($0)") }
        case .old:
            return [
                NemoRLMovedKey(key: "train", instead: "data.dataset_name and data.train_data_path"),
                NemoRLMovedKey(key: "validation", instead: "data.val_data_path"),
                NemoRLMovedKey(key: "default", instead: "the keys themselves below data, such as data.prompt_file"),
            ]
        }
    }

    /// The change that moved them, in words.
    static func change(of algorithm: NemoRLAlgorithm) -> String {
        algorithm.takesPairs ? "commit 174fa2011 of 2026-02-04" : "commit 967d2c856 of 2026-01-22"
    }
}
