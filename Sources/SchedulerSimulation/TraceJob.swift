import Domain

/// One job of a trace: when it came, what it asked for, and how long it really ran.
public struct TraceJob: Sendable, Hashable {
    /// Seconds from the beginning of the trace.
    public var submit: Double
    public var gpus: Int
    /// Seconds of work.
    public var runTime: Double
    public var project: String
    public var priority: Int
    /// What its user allowed it, in seconds; at least its run time.
    public var timeLimit: Double
    public var isPreemptible: Bool

    /// Makes one from its parts.
    public init(
        submit: Double, gpus: Int, runTime: Double, project: String, priority: Int = 50, timeLimit: Double? = nil,
        isPreemptible: Bool = false
    ) {
        self.submit = submit
        self.gpus = gpus
        self.runTime = runTime
        self.project = project
        self.priority = priority
        self.timeLimit = max(timeLimit ?? runTime, runTime)
        self.isPreemptible = isPreemptible
    }
}

/// Why a trace cannot be read.
public struct TraceError: Error, Sendable, CustomStringConvertible {
    public var description: String
}

/// Traces as CSV: `submit,gpus,run_time,project,priority` and, where there are, `time_limit,preemptible`.
public enum TraceCSV {
    private static let header = ["submit", "gpus", "run_time", "project", "priority", "time_limit", "preemptible"]

    /// Reads a trace; the first line names the columns, in any order.
    ///
    /// Throws `TraceError` with the line of the first mistake.
    public static func parse(_ text: String) throws -> [TraceJob] {
        var lines = text.split(whereSeparator: \.isNewline).map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        guard !lines.isEmpty else { throw TraceError(description: "the trace is empty") }
        let names = lines.removeFirst()
        for name in header.prefix(5) where !names.contains(name) {
            throw TraceError(description: "line 1: the column '\(name)' is missing")
        }
        return try lines.enumerated().map { index, fields in
            let line = index + 2
            guard fields.count == names.count else {
                throw TraceError(description: "line \(line): has \(fields.count) fields where \(names.count) are named")
            }
            let row = Dictionary(zip(names, fields), uniquingKeysWith: { first, _ in first })
            func number(_ name: String) throws -> Double {
                guard let value = row[name].flatMap(Double.init), value >= 0, value.isFinite else {
                    throw TraceError(description: "line \(line): '\(name)' must be a number of at least 0, not '\(row[name] ?? "")'")
                }
                return value
            }
            return TraceJob(
                submit: try number("submit"), gpus: Int(try number("gpus")), runTime: max(1, try number("run_time")),
                project: row["project"] ?? "default", priority: Int(try number("priority")),
                timeLimit: row["time_limit"] == nil ? nil : try number("time_limit"), isPreemptible: row["preemptible"] == "true")
        }.sorted { $0.submit < $1.submit }
    }

    /// Writes a trace.
    public static func text(_ jobs: [TraceJob]) -> String {
        var text = header.joined(separator: ",") + "\n"
        for job in jobs {
            text +=
                "\(Int(job.submit)),\(job.gpus),\(Int(job.runTime)),\(job.project),\(job.priority),\(Int(job.timeLimit)),\(job.isPreemptible)\n"
        }
        return text
    }
}
