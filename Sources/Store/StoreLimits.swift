import Domain

/// Every bound of the store.
public struct StoreLimits: Sendable {
    /// Writes that may wait for the writer; one more is refused as `busy`.
    public var writeQueueMax = 4096
    /// Writes that one commit takes together.
    public var writeBatchMax = 256
    /// Reads that may wait for a reader; one more is refused as `busy`.
    public var readQueueMax = 1024
    /// Points that one `metric` event carries.
    public var metricPointsPerEventMax = 500
    /// Points of an attempt that wait as they came before they are packed.
    public var metricTailPointsMax = 8192
    /// Batches of an attempt that streams can go back to after they were packed.
    public var metricReplayBatchesMax = 512
    /// Points of an attempt that these batches hold together.
    public var metricReplayPointsMax = 16_384
    /// How long streams can go back to packed batches.
    public var metricReplayTime: Duration = .seconds(600)
    /// Keys of one attempt; points under further ones are counted and dropped.
    public var metricKeysPerAttemptMax = 10_000
    /// Attempts whose newest points the writer keeps at hand.
    public var metricAttemptsAtHandMax = 1024
    /// Attempts whose metrics one write lets go.
    public var retentionAttemptsMax = 64
    /// Free pages that one write gives back to the file system.
    public var freedPagesMax = 1024
    /// Tags of a dataset.
    public var tagsMax = 100
    /// Rows of one page of a list.
    public var pageRowsMax = 1000
    /// How long a connection waits for a lock that another program (a backup, the `sqlite3` shell) holds.
    public var lockWait: Duration = .seconds(10)
    /// Bytes of the write-ahead log that are kept on disk after a checkpoint.
    public var journalBytesMax: Int64 = 64 << 20

    /// The bounds in use unless a test names others.
    public static let standard = StoreLimits()

    /// The standard bounds.
    public init() {}
}
