import EventLoop

/// How long Slurm is waited for.
enum SlurmPatience {
    /// Between two submissions while Slurm says that it has no room.
    static let busyDelayMin: Duration = .seconds(5)
    static let busyDelayMax: Duration = .seconds(60)
    /// Answers in a row without a job after which it may be gone.
    static let absentLooks = 3
    /// How long a job whose submission was not answered is looked for before it is submitted again.
    static let lostAnswerPatience: Duration = .seconds(5)
    /// How long a job that Slurm had must be missing from its answers before the accounts are asked.
    static let absencePatience: Duration = .seconds(10)
    /// How long accounts that do not answer, or say that a job which Slurm no longer knows still runs, are waited for.
    static let accountPatience: Duration = .seconds(300)
    /// So many times as long as a question took Slurm is left in peace.
    static let restAfterQuestion = 10
    /// Submissions at the same time.
    static let submitters = 2
    /// Between two reads of what a node tells of a worker.
    static let readingInterval: Duration = .seconds(5)
    /// How long a node must not have told anything new, beyond the shared disk's lag, before what ran there is taken for ended.
    static let heartbeatPatience: Duration = .seconds(15)
    /// Beyond the stop ladder, before the whole job is cancelled.
    static let stopPatience: Duration = .seconds(60)
}

extension SystemTime {
    /// The monotonic moment that is so long from now.
    static func after(_ time: Duration) -> UInt64 { monotonicNanoseconds() + nanoseconds(time) }

    /// Whether so long has gone by since a monotonic moment; false without one.
    static func hasPassed(_ time: Duration, since moment: UInt64?) -> Bool {
        moment.map { monotonicNanoseconds() >= $0 + nanoseconds(time) } ?? false
    }

    private static func nanoseconds(_ time: Duration) -> UInt64 {
        UInt64(max(0, time.components.seconds)) * 1_000_000_000 + UInt64(max(0, time.components.attoseconds) / 1_000_000_000)
    }
}
