/// A state of squeue or sacct, such as `PENDING`.
struct SlurmState: Sendable, Hashable {
    /// Without what sacct adds to it, as in `CANCELLED by 0`.
    var word: String

    init(_ text: String) {
        word = text.utf8.split { [UInt8(ascii: " "), UInt8(ascii: "+")].contains($0) }.first.map { String(Substring($0)) } ?? ""
    }

    private static let ends: Set<String> = [
        "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY", "REVOKED",
    ]
    private static let waits: Set<String> = [
        "PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT", "CONFIGURING",
    ]

    var isEnd: Bool { Self.ends.contains(word) }
    /// Its processes have ended, too: the node said so itself. Of a node that does not answer nobody knows what runs on it.
    var isSureEnd: Bool { isEnd && !["NODE_FAIL", "BOOT_FAIL", "REVOKED"].contains(word) }
    var isWait: Bool { Self.waits.contains(word) }
}

/// A job as squeue or sacct tells of it.
struct SlurmJob: Sendable, Hashable {
    /// Its number; for a task of an array the array's with that of the task behind it, as in `17_3`.
    var id: String
    var state: SlurmState
    var name: String
    /// Seconds since 1970; of one that waits, as Slurm expects it.
    var startsAt: Int64?
    /// Its nodes; empty where it never had any.
    var nodes: String
    /// A code, see `SlurmWords`.
    var reason: String
    /// The user who cancelled it, which only the accounts tell.
    var cancellerID: Int?

    /// The columns of squeue that `init` reads. The last may hold anything.
    static let queueFormat = "%i|%T|%j|%S|%N|%r"
    /// The same of sacct.
    static let accountFields = "JobID,State,JobName,Start,NodeList,Reason"

    /// Reads a line; `nil` for one that is none.
    init?(line: Substring) {
        // By bytes: a queue has tens of thousands of lines, and is read each second.
        let parts = line.utf8.split(separator: UInt8(ascii: "|"), maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, Self.isID(parts[0]) else { return nil }
        let fields = parts.map { String(Substring($0)) }
        id = fields[0]
        state = SlurmState(fields[1])
        name = fields[2]
        startsAt = Int64(fields[3])
        nodes = ["(null)", "None assigned"].contains(fields[4]) ? "" : fields[4]
        reason = fields[5]
        // Of the many lines of a queue none has it.
        if fields[1].hasPrefix(Self.cancelledBy) { cancellerID = Int(fields[1].dropFirst(Self.cancelledBy.count)) }
    }

    /// How sacct says who cancelled a job; the user's number follows.
    private static let cancelledBy = "CANCELLED by "

    /// What it is found by: its name, and of the tasks of an array, which share one, the number of the task, too.
    var key: String { Self.key(name: name, task: id.split(separator: "_").dropFirst().first.flatMap { Int($0) }) }

    static func key(name: String, task: Int?) -> String { name + (task.map { "_\($0)" } ?? "") }

    /// Whether a node failed to start it, as on a full disk; Slurm keeps such jobs until somebody releases them, requeueing or not.
    var isHeldAfterLaunch: Bool { reason.lowercased().hasPrefix("launch") && reason.lowercased().hasSuffix("held") }

    /// Its script did not fail by itself: the node did, or what Slurm started there was killed.
    var isOfNode: Bool { ["Node", "Launch", "RaisedSignal"].contains { reason.contains($0) } }

    /// It was cancelled when it had a node already. So does slurmd itself, as root, with a job that it cannot launch and that may not be
    /// requeued: on a full disk, or where a controller that lost its last jobs gave an id twice (Slurm's src/slurmd/slurmd/req.c,
    /// `_launch_job_fail`).
    var mayHaveFailedToLaunch: Bool { state.word == "CANCELLED" && !nodes.isEmpty && (cancellerID ?? 0) == 0 }

    /// By which jobs of one name are in the order of their submission.
    var number: Int { id.split(separator: "_").first.flatMap { Int($0) } ?? 0 }

    /// Whether a text is the id of one job: a number, or two of them for a task of an array.
    private static func isID(_ text: Substring.UTF8View) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
        return (1...2).contains(parts.count) && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy { (0x30...0x39).contains($0) } }
    }
}
