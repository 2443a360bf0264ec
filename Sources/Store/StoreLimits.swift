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
