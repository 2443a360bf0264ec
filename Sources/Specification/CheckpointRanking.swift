import JSON

/// What a training's checkpoints are ranked by, as its spec says or as its method has it.
public struct CheckpointRanking: Sendable, Equatable {
    public var metric: String
    public var lowIsGood: Bool

    /// - Parameter training: the body of a train job.
    public init(training: JSONValue) {
        let rules = training["checkpoint"]
        let method = TrainingMethod.all.first { $0.name == training["method"]?.string } ?? .sft
        metric = rules?["metric"]?.string ?? method.metrics[0]
        lowIsGood = rules?["mode"]?.string.map { $0 == "min" } ?? (metric.hasSuffix("_loss") || metric.hasPrefix("val_kl"))
    }
}
