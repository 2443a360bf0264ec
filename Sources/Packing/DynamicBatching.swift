/// The division of training batches into micro-batches of like lengths, as NeMo RL's dynamic batching does it in place of packing.
///
/// In each global batch the sequences are sorted by length and dealt to the data-parallel shards in turn; then all shards cut their parts
/// at the same places, so that sequences × longest stays within the budget on each. It changes order and padding and no result.
public struct DynamicBatching: Sendable, Equatable {
    /// Sequences in a global batch.
    public var globalBatchSize: Int
    /// Data-parallel shards.
    public var shards: Int
    /// Tokens of a micro-batch of one shard, padding included.
    public var tokenBudget: Int
    /// The longest of a micro-batch is rounded up to a multiple of this.
    public var lengthMultiple: Int

    public init(globalBatchSize: Int, shards: Int, tokenBudget: Int, lengthMultiple: Int = 1) {
        self.globalBatchSize = globalBatchSize
        self.shards = shards
        self.tokenBudget = tokenBudget
        self.lengthMultiple = lengthMultiple
    }

    /// The records of one micro-batch on each shard, and the length that they are padded to.
    public struct MicroBatch: Sendable, Equatable {
        public var paddedLength: Int
        public var shards: [[Int]]
    }

    /// The micro-batches of each whole global batch; a last batch that is not full is left out, as in training.
    public func batches(lengths: [Int]) throws(PackingError) -> [[MicroBatch]] {
        guard shards > 0, lengthMultiple > 0, globalBatchSize > 0, globalBatchSize % shards == 0 else {
            throw PackingError(.badRequest, "a batch of \(globalBatchSize) cannot be dealt to \(shards) shards in equal parts")
        }
        guard (1...PackingOptions.capacityMax).contains(tokenBudget), lengthMultiple <= tokenBudget else {
            throw PackingError(
                .badRequest, "the budget must be from \(lengthMultiple) to \(PackingOptions.capacityMax), not \(tokenBudget)")
        }
        for (record, length) in lengths.enumerated() {
            guard length > 0 else { throw PackingError(.badData, "record \(record) has a length of \(length)", record: record) }
            guard length <= tokenBudget, length.roundedUp(to: lengthMultiple) <= tokenBudget else {
                let message = "record \(record) has \(length) tokens, more than the budget of \(tokenBudget) once rounded up"
                throw PackingError(.badData, message, record: record)
            }
        }
        return (0..<lengths.count / globalBatchSize).map { batch in
            let start = batch * globalBatchSize
            return microBatches((start..<start + globalBatchSize).sorted { (lengths[$0], $0) < (lengths[$1], $1) }, lengths: lengths)
        }
    }

    private func microBatches(_ sorted: [Int], lengths: [Int]) -> [MicroBatch] {
        var result: [MicroBatch] = []
        for start in stride(from: 0, to: sorted.count, by: shards) {
            let row = sorted[start..<start + shards]
            let longest = row.reduce(0) { max($0, lengths[$1]) }.roundedUp(to: lengthMultiple)
            if let last = result.last, (last.shards[0].count + 1) * max(last.paddedLength, longest) <= tokenBudget {
                result[result.count - 1].paddedLength = max(last.paddedLength, longest)
            } else {
                result.append(MicroBatch(paddedLength: longest, shards: Array(repeating: [], count: shards)))
            }
            for (shard, record) in row.enumerated() { result[result.count - 1].shards[shard].append(record) }
        }
        return result
    }
}
