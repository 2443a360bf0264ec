import Domain
import JSON

/// One value of one series.
public struct MetricPoint: Sendable {
    public var key: String
    public var step: Int
    public var at: Timestamp
    /// Any number, NaN and infinities included.
    public var value: Double

    /// A point of a series.
    public init(key: String, step: Int, at: Timestamp, value: Double) {
        self.key = key
        self.step = step
        self.at = at
        self.value = value
    }
}

/// How far a file of metrics was read.
public struct MetricCursor: Sendable, Hashable {
    public var path: String
    public var inode: UInt64
    /// Bytes from the start of the file.
    public var offset: Int64

    /// A place in a file.
    public init(path: String, inode: UInt64, offset: Int64) {
        self.path = path
        self.inode = inode
        self.offset = offset
    }
}

/// A point of a job's curve, which may span attempts.
public struct CurvePoint: Sendable {
    public var step: Int
    public var at: Timestamp
    /// Any number, NaN and infinities included.
    public var value: Double
    /// The number of the attempt that wrote it.
    public var attempt: Int

    /// A point of a curve.
    public init(step: Int, at: Timestamp, value: Double, attempt: Int) {
        self.step = step
        self.at = at
        self.value = value
        self.attempt = attempt
    }
}

/// What is known of one series of a job without its points.
public struct MetricKeySummary: Sendable {
    public var key: String
    /// Points kept, over all attempts.
    public var count: Int
    public var firstStep: Int
    public var lastStep: Int
    /// The value at the last step; may be NaN.
    public var lastValue: Double
    public var lastAt: Timestamp
    /// The least value that is a number; `nil` where all are NaN.
    public var min: Double?
    /// The greatest value that is a number; `nil` where all are NaN.
    public var max: Double?
}
