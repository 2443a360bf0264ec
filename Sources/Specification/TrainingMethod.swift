/// A training method as specs name it: what it adds to the keys that every train job has.
struct TrainingMethod: Sendable {
    var name: String
    /// How the model learns by it, in one sentence.
    var doc: String
    /// Keys of `params`; one that all methods have takes another default or meaning here.
    var parameters: [ParameterSchema] = []
    /// Keys of the job itself.
    var keys: [ParameterSchema] = []
    /// What checkpoints can be ranked by; the first is the default.
    var metrics = ["val_loss", "train_loss"]

    /// The keys of `params` with those that every method has.
    var allParameters: [ParameterSchema] { ParameterSchema.merged(ParameterSchema.commonParameters, under: parameters) }

    /// The methods that this build runs.
    static let all: [TrainingMethod] = [sft] + preference + [reward, grpo, distill, pretrain]

    static let sft = TrainingMethod(
        name: "sft", doc: "Supervised fine-tuning: the cross entropy of what the assistant writes.",
        parameters: [
            ParameterSchema(
                "only_final_turn", .boolean, default: false, "Learns the last assistant message alone instead of all.",
                source: ParameterSchema.nemo("sft.only_unmask_final"))
        ] + ParameterSchema.batching)
}
