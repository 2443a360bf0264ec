import Domain

/// Tells a worker that has stopped making progress from one that is slow. Times come in; there is no clock.
///
/// It learns the pace from the worker's own steps. A worker is called stalled when it has shown no sign of life — no step, no line of log, no
/// use of CPU or GPU — for ten times its slower steps, within the bounds that the job sets; and when it has been busy without a step or
/// a line for the longest time that the job allows, as processes are that wait for each other in a loop. Only time that was observed counts.
public struct StallWatch: Sendable {
    /// What is known of the worker at a moment.
    public struct Reading: Sendable {
        /// Seconds since 1970.
        public var at: Double
        /// Of both logs.
        public var logBytes: Int64
        /// Of the whole tree, since its start.
        public var cpuSeconds: Double
        /// Percent; `nil` where unknown.
        public var gpuUtilization: Int?

        /// Makes one from its parts.
        public init(at: Double, logBytes: Int64, cpuSeconds: Double, gpuUtilization: Int?) {
            (self.at, self.logBytes, self.cpuSeconds, self.gpuUtilization) = (at, logBytes, cpuSeconds, gpuUtilization)
        }
    }

    /// What the readings mean.
    public enum Verdict: Sendable, Equatable {
        case alive, stalled
    }

    private static let intervalsKept = 64
    private static let patience = 10.0
    /// Less than this part of a core is no work: interpreters wake now and then.
    private static let idleCPU = 0.02
    /// Percent.
    private static let idleGPU = 2
    /// A longer gap between two readings was not observed, as when the daemon or the machine slept.
    private static let gapMax = 30.0

    private let policy: StallPolicy
    private var intervals: [Double] = []
    private var lastStepAt: Double?
    private var lastStep: Int?
    private var last: Reading?
    private var hasStepped = false
    /// Observed seconds without any sign of life, and without a step or a line.
    private var quiet = 0.0
    private var fruitless = 0.0
    private var steppedSinceReading = false

    /// A watch of a worker of which nothing is known yet.
    public init(policy: StallPolicy) { self.policy = policy }

    /// Takes a step's metrics.
    ///
    /// - Parameter at: seconds since 1970, by the worker's clock.
    public mutating func step(at: Double, step: Int) {
        steppedSinceReading = true
        hasStepped = true
        guard step != lastStep else { return }
        if let lastStepAt, at > lastStepAt {
            intervals.append(at - lastStepAt)
            if intervals.count > Self.intervalsKept { intervals.removeFirst() }
        }
        lastStep = step
        lastStepAt = at
    }

    /// Takes a look at the worker.
    public mutating func observe(_ reading: Reading) {
        defer {
            last = reading
            steppedSinceReading = false
        }
        guard let last else { return }
        let elapsed = reading.at - last.at
        if steppedSinceReading || reading.logBytes != last.logBytes {
            quiet = 0
            fruitless = 0
            return
        }
        guard elapsed > 0, elapsed <= Self.gapMax else { return }
        fruitless += elapsed
        let isBusy = reading.cpuSeconds - last.cpuSeconds > Self.idleCPU * elapsed || (reading.gpuUtilization ?? 0) > Self.idleGPU
        quiet = isBusy ? 0 : quiet + elapsed
    }

    /// The silence after which the worker is called stalled.
    public var limit: Double {
        let (least, most) = (policy.least.inSeconds, policy.most.inSeconds)
        guard hasStepped, !intervals.isEmpty else { return most }
        // The slow ones: validation and checkpoints are steps too.
        let sorted = intervals.sorted()
        let slow = sorted[min(sorted.count - 1, sorted.count * 95 / 100)]
        return min(max(least, Self.patience * slow), most)
    }

    /// What is to be thought of the worker now.
    public var verdict: Verdict { quiet >= limit || fruitless >= max(policy.most.inSeconds, limit) ? .stalled : .alive }

    /// In words.
    public var evidence: String {
        let since = lastStep.map { "since step \($0)" } ?? "before its first step"
        if quiet >= limit {
            return "no metric, no log, and no use of CPU or GPU for \(Int(quiet)) s \(since); \(Int(limit)) s is the limit at its pace"
        }
        return "busy, but no metric and no log for \(Int(fruitless)) s \(since); \(Int(policy.most.inSeconds)) s is the limit"
    }
}
