import Domain
import JSON

/// One value of one series.
public struct MetricPoint: Sendable, Hashable {
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

/// Where points came from. Of two sources that tell of one key of an attempt, the one that stands first here is shown.
public enum MetricSource: Int, Sendable, Hashable, CaseIterable, Comparable {
    /// `metrics.jsonl`, and batches of the native API.
    case native
    case mlflow
    case trackio
    case tensorboard
    /// Lines that a trainer prints; the last resort, since they are rounded and may be anything.
    case log
    /// Evaluations of checkpoints, put on the curves of the training that made them.
    case evaluation

    /// As in the API.
    public var name: String {
        switch self {
        case .native: "native"
        case .mlflow: "mlflow"
        case .trackio: "trackio"
        case .tensorboard: "tensorboard"
        case .log: "log"
        case .evaluation: "evaluation"
        }
    }

    public static func < (left: MetricSource, right: MetricSource) -> Bool { left.rawValue < right.rawValue }
}

/// What a `metric` event tells: points of one attempt as they came.
public struct MetricEvent: Sendable, Hashable {
    /// The attempt's number.
    public var attempt: Int
    public var points: ArraySlice<MetricPoint>

    /// An event of an attempt's points.
    public init(attempt: Int, points: ArraySlice<MetricPoint>) {
        self.attempt = attempt
        self.points = points
    }

    /// The data of the event, as in the API.
    func payload(job: String?, attemptID: String?) -> JSONValue {
        [
            "job_id": JSONValue(job), "attempt_id": JSONValue(attemptID), "attempt": JSONValue(attempt),
            "points": .array(
                points.map { point in
                    [
                        "key": .string(point.key), "step": JSONValue(point.step), "time": .double(Double(point.at.milliseconds) / 1000),
                        "value": point.value.jsonNumber,
                    ]
                }),
        ]
    }
}

/// What is known of one series of a job without its points.
public struct MetricKeySummary: Sendable, Equatable {
    public var key: String
    /// The source that is shown; of several attempts that of the newest.
    public var source: MetricSource
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
