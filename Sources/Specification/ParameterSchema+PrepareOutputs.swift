import JSON

extension ParameterSchema {
    /// The last steps of a prepare job, which make something further of the finished dataset.
    static let outputSteps: [ParameterSchema] = [
        ParameterSchema(
            "pack", .object(packTable),
            "Measures the finished records by the model's tokenizer and plans which share a training sequence; only as the last step."),
        ParameterSchema(
            "webdataset", .object(webDatasetTable),
            "Writes conversations about images as WebDataset shards with the metadata of Megatron-Energon; only as the last step."),
    ]

    private static let tokens = 1...1_073_741_824

    private static let packTable: [ParameterSchema] = [
        ParameterSchema(required: "model", .model, "The model whose tokenizer and chat template measure the records."),
        ParameterSchema(required: "capacity", .integer(tokens), "Tokens that a bin, one packed sequence, holds.", unit: "tokens"),
        ParameterSchema(
            "method", .choice(["sft", "dpo"]), default: "sft", "sft packs conversations; dpo keeps the two answers of a pair together."),
        ParameterSchema(
            "packer",
            .choice([
                "concatenative", "first_fit", "first_fit_decreasing", "first_fit_shuffle", "modified_first_fit_decreasing",
                "modified_first_fit_decreasing_exact",
            ]), default: "first_fit_decreasing",
            "How bins are filled; the last name but one stands for NeMo RL's bins, defects included, the last for the definition."),
        ParameterSchema(
            "max_length", .integer(tokens), "Tokens that a sequence may have; without it the capacity, for dpo half of it.", unit: "tokens"),
        ParameterSchema("min_bin_count", .integer(0...1_073_741_824), "There are at least so many bins.", unit: "bins"),
        ParameterSchema(
            "bin_count_multiple", .integer(tokens), "The number of bins is a multiple of this: of the data-parallel shards.", unit: "bins"),
        ParameterSchema(
            "pad_multiple", .integer(tokens), default: 1,
            "Each sequence takes up a multiple of so many tokens; 2·CP·TP with context parallelism.", unit: "tokens"),
        ParameterSchema(
            "overlong", .choice(["refuse", "drop"]), default: "refuse",
            "Sequences over the limit end the job, or are left out of the bins and listed."),
        ParameterSchema(
            "global_batch_size", .integer(1...1_048_576),
            "Samples of a step without packing; the job tells how many bins keep it the same.", unit: "samples"),
        ParameterSchema(
            "chat_template", .text(bytesMax: SpecLimits.stringBytesMax), "'chatml' or a template in Jinja; without it that of the model."),
        flag("only_final_turn", false, "Measures what a training with 'only_final_turn' sees."),
        seed(42),
    ]

    private static let webDatasetTable: [ParameterSchema] = [
        ParameterSchema(required: "images", .path(.directory, .file), "The folder that the records' 'image' paths start from."),
        ParameterSchema(
            "shard_pattern", .text(bytesMax: 90), default: "instruction-%06d.tar",
            "Names of the shards; %d stands for the number, %06d for the same with at least six digits."),
        ParameterSchema("samples_per_shard", .integer(1...10_000_000), default: 10_000, "Samples of one shard at most.", unit: "samples"),
        ParameterSchema(
            "shard_bytes", .integer(10_240...1_099_511_627_776), default: 3_000_000_000,
            "Bytes of one shard at most; one sample alone may have more.", unit: "bytes", source: "webdataset, ShardWriter: maxsize"),
        ParameterSchema("shuffle", .boolean, default: true, "Puts the records in a random order; false keeps theirs."),
        ParameterSchema("split", .object(shardSplitTable), default: [:], "Shares of the shards; Energon splits by shards, not by samples."),
        ParameterSchema(
            "shard_order", .choice(["number", "text", "shuffled"]), default: "number",
            "How shards are counted for the split: by number, as text (where shard 9 is the last of 16), or shuffled by 'seed'."),
        ParameterSchema(
            "keys", .choice(["unique", "id"]), default: "unique",
            "Samples' keys: the records' 'id' made fit and unique, or as it is, where one that comes twice is an error."),
        ParameterSchema(
            "imageless", .choice(["refuse", "drop"]), default: "refuse", "Records without an image end the job, or are left out."),
        seed(42),
    ]

    private static let shardSplitTable: [ParameterSchema] = [
        ParameterSchema("train", .number(.above(0, upTo: 1e9)), default: 0.95, "The share for training; only the proportions count."),
        ParameterSchema("validation", .number(.atLeast(0, upTo: 1e9)), default: 0.05, "The share for validation."),
        ParameterSchema("test", .number(.atLeast(0, upTo: 1e9)), default: 0, "The share for a test set."),
    ]
}
