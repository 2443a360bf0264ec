import JSON

/// One value that a worker measured.
public struct FollowedPoint: Sendable, Equatable {
    public var key: String
    public var step: Int
    /// When, in seconds since 1970.
    public var seconds: Double
    /// May be NaN or infinite.
    public var value: Double

    /// Makes a point.
    public init(key: String, step: Int, seconds: Double, value: Double) {
        self.key = key
        self.step = step
        self.seconds = seconds
        self.value = value
    }
}

/// One line of `metrics.jsonl`: `{"step": 10, "time": 1760000000.5, "train/loss": 1.2, …}`.
public enum MetricLine {
    /// The points of a line, and how many of its values could not be taken.
    public struct Reading: Sendable, Equatable {
        public var points: [FollowedPoint] = []
        /// Values that are no numbers, keys that are too long or too many, or 1 for a line that is no object with a step.
        public var dropped = 0
    }

    /// - Parameter seconds: the time of a line that names none, or one before 1970 or after the year 5000.
    public static func parse(_ line: some Collection<UInt8>, receivedAt seconds: Double) -> Reading {
        var reading = Reading()
        // Workers may be anybody's programs: a line that is not JSON is counted and the rest of the file goes on.
        guard case .object(let members)? = try? JSONParser.parse(line, options: .python), let step = members["step"]?.int,
            (0...TelemetryLimits.stepMax).contains(step)
        else {
            reading.dropped = 1
            return reading
        }
        let time = members["time"]?.double.flatMap { (0..<1e11).contains($0) ? $0 : nil } ?? seconds
        for (key, member) in members where key != "step" && key != "time" {
            guard let value = number(member), isKey(key), reading.points.count < TelemetryLimits.keysPerLineMax
            else {
                reading.dropped += 1
                continue
            }
            reading.points.append(FollowedPoint(key: key, step: step, seconds: time, value: value))
        }
        return reading
    }

    /// A name of 1 to 250 bytes without control characters, which databases and terminals take for something else.
    static func isKey(_ key: String) -> Bool {
        (1...TelemetryLimits.keyBytesMax).contains(key.utf8.count) && !key.utf8.contains { $0 < 0x20 || $0 == 0x7F }
    }

    /// A number, or one of the three names that JSON has no number for.
    private static func number(_ value: JSONValue) -> Double? {
        switch value {
        case .string("NaN"): .nan
        case .string("Infinity"): .infinity
        case .string("-Infinity"): -.infinity
        case .string: nil
        default: value.double
        }
    }
}
