import Datasets

/// Which shards are for training, validation and test: Energon splits by shards, not by samples.
public struct EnergonSplit: Sendable, Equatable {
    /// Shares of the shards; only their proportions count.
    public struct Ratios: Sendable, Equatable {
        public var train: Double
        public var validation: Double
        public var test: Double

        public init(train: Double, validation: Double, test: Double) {
            self.train = train
            self.validation = validation
            self.test = test
        }

        var named: [(name: String, ratio: Double)] { [("train", train), ("val", validation), ("test", test)] }

        func check() throws(DatasetError) {
            for (name, ratio) in named where !ratio.isFinite || ratio < 0 {
                throw DatasetError(.badRequest, "the share of '\(name)' must be a number of at least 0, not \(ratio)")
            }
            guard train > 0 else { throw DatasetError(.badRequest, "the share of 'train' must be above 0") }
        }
    }

    /// A part under Energon's name for it, and its shards in their order.
    public struct Part: Sendable, Equatable {
        public var name: String
        public var shards: [String]
    }

    /// `train`, `val` and `test`.
    public var parts: [Part]

    /// A split of nothing.
    init() { parts = [] }

    /// Splits as `energon prepare` does: a part ends at the whole part of shards × the sum of the shares up to it.
    ///
    /// Upstream adds up shares in floating point, so that a sum may stay below 1 and the last shard is in no part; here the last part
    /// with a share takes all that is left. A part with a share but no shard is an error, as Energon fails on it later.
    public init(shards: [String], ratios: Ratios) throws(DatasetError) {
        try ratios.check()
        let total = ratios.named.reduce(0) { $0 + $1.ratio }
        let last = ratios.named.lastIndex { $0.ratio > 0 }
        var sum = 0.0
        var start = 0
        parts = []
        for (place, (name, ratio)) in ratios.named.enumerated() {
            sum += ratio / total
            let end = place == last ? shards.count : max(start, min(shards.count, Int(Double(shards.count) * sum)))
            parts.append(Part(name: name, shards: Array(shards[start..<end])))
            if ratio > 0, start == end {
                let message = "the split leaves '\(name)' without shards, as there are only \(shards.count); put fewer samples into a shard"
                throw DatasetError(.badData, message)
            }
            start = end
        }
    }

    /// `split.yaml`.
    var yaml: String {
        var text = "exclude: []\nsplit_parts:\n"
        for part in parts {
            text += part.shards.isEmpty ? "  \(part.name): []\n" : "  \(part.name):\n"
            for shard in part.shards { text += "  - \(shard)\n" }
        }
        return text
    }
}
