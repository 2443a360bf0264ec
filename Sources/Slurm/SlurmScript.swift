import Domain

/// What of a job decides about its allocation.
public struct SlurmOrder: Sendable {
    public var attemptID: String
    public var jobID: String
    /// 0 to 100; higher goes first.
    public var priority: Int
    public var resources: ResourceRequest
    /// The longest the worker may run; `nil` for as long as its allocation lasts.
    public var timeLimit: Duration?
    /// How long it may take to end after that.
    public var grace: Duration
    public var isHeld: Bool
    /// The worker wants to know when its allocation ends.
    public var asksForEnd = false
    /// The folder of the attempt before this one there; `nil` for the first.
    public var predecessor: String?
    /// Jobs of one group may be submitted together; `nil` for one of none.
    public var group: String?

    /// Makes one from its parts.
    public init(
        attemptID: String, jobID: String, priority: Int, resources: ResourceRequest, timeLimit: Duration?, grace: Duration, isHeld: Bool
    ) {
        (self.attemptID, self.jobID, self.priority, self.resources) = (attemptID, jobID, priority, resources)
        (self.timeLimit, self.grace, self.isHeld) = (timeLimit, grace, isHeld)
    }
}

/// The batch script of an attempt and the options that it is submitted with. Pure.
struct SlurmScript: Sendable {
    /// What an attempt is called in Slurm; it is found by it where sbatch's answer was lost.
    static func name(attempt id: String) -> String { "anneal-" + id }

    /// A higher priority is a smaller nice; none is below zero, which only administrators may use.
    static func nice(priority: Int) -> Int { (100 - min(100, max(0, priority))) * 10 }

    let terms: ClusterTerms
    let order: SlurmOrder
    /// The attempt's folder.
    let directory: String
    /// The program anneal-shim, as the nodes see it.
    let shimPath: String

    /// How long the allocation is asked for; `nil` leaves it to the partition.
    var timeLimit: Duration? {
        // A worker with a limit of its own must not be told of the allocation's end before that.
        let own = order.timeLimit.map { $0 + order.grace + Self.overhead + terms.margin }
        guard let own else { return terms.timeLimit }
        return terms.timeLimit.map { min($0, own) } ?? own
    }

    /// For the setup before the worker and the records after it.
    private static let overhead: Duration = .seconds(60)
    private static let signalSecondsMax = 65_535

    /// The arguments of sbatch before the script.
    var options: [String] { options(name: Self.name(attempt: order.attemptID), log: SlurmExecutor.logFile) }

    /// The same of the job that waits behind this one; `nil` where it can end by its own time limit in this allocation.
    var successorOptions: [String]? {
        guard terms.ahead > 0, terms.timeLimit == nil || timeLimit == terms.timeLimit else { return nil }
        return options(name: SlurmSuccessor.name(after: order.attemptID), log: "next.log").filter { $0 != "--hold" }
    }

    /// The same of an array of so many tasks that begins with this attempt.
    func arrayOptions(tasks: Int) -> [String] {
        options(name: SlurmArray.name(first: order.attemptID), log: "array-", suffix: "%a.log") + ["--array=0-\(tasks - 1)"]
    }

    private func options(name: String, log: String, suffix: String = "") -> [String] {
        [
            "--job-name=" + name, "--comment=anneal:\(order.jobID):\(order.attemptID)",
            // sbatch(1), "filename pattern": a percent sign stands for itself where there are two.
            "--output=" + (directory + "/" + log).split(separator: "%", omittingEmptySubsequences: false).joined(separator: "%%") + suffix,
        ] + sharedOptions
    }

    /// Those that are the same for all who ask for the same.
    var sharedOptions: [String] {
        let request = order.resources
        var options = [
            "--open-mode=append", "--no-requeue", "--chdir=/", "--nice=\(Self.nice(priority: order.priority))",
            "--nodes=\(request.nodes)", "--ntasks-per-node=1", "--cpus-per-task=\(request.cpus)",
            "--signal=B:USR1@\(min(Int(terms.margin.components.seconds), Self.signalSecondsMax))",
        ]
        // A part of a GPU is one that is shared with nobody: Slurm's shards are set up by few.
        let gpus = request.gpuShare > 0 ? 1 : request.gpus
        if gpus > 0 { options.append("--gpus-per-node=" + (request.gpuModel.map { $0.lowercased() + ":" } ?? "") + String(gpus)) }
        // Slurm counts whole mebibytes.
        if request.memoryBytes > 0 { options.append("--mem=\((request.memoryBytes + (1 << 20) - 1) >> 20)M") }
        // And whole minutes.
        if let timeLimit { options.append("--time=\((timeLimit.components.seconds + 59) / 60)") }
        if request.isExclusive { options.append("--exclusive") }
        if order.isHeld { options.append("--hold") }
        return options + terms.placement + terms.arguments
    }

    /// The script, whose only work is to become the shim.
    var text: String {
        var lines = [
            "#!/bin/bash", "# Attempt \(order.attemptID) of \(order.jobID), submitted with:",
            "# sbatch " + options.map(Self.quoted).joined(separator: " ").split { $0.isNewline }.joined(separator: " "),
            "# The shim takes these signals; until it runs they must not end this script.", "trap '' USR1 TERM",
        ]
        lines += preparation
        if order.asksForEnd { lines += endLines }
        lines.append("exec \(Self.quoted(shimPath)) \(Self.quoted(directory)) --batch")
        return lines.joined(separator: "\n") + "\n"
    }

    /// The script of the tasks of an array that begins with this attempt.
    var arrayText: String {
        let tasks = Self.quoted(directory + "/" + SlurmArray.tasksFile)
        var lines = [
            "#!/bin/bash", "# A task for each attempt in array.tasks, of which the first is \(order.attemptID) of \(order.jobID).",
            "trap '' USR1 TERM", "folder=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" \(tasks)) && [ -n \"$folder\" ] || exit 1",
            "exec >> \"$folder/\(SlurmExecutor.logFile)\" 2>&1",
        ]
        lines += preparation
        if order.asksForEnd { lines += endLines }
        lines.append("exec \(Self.quoted(shimPath)) \"$folder\" --batch")
        return lines.joined(separator: "\n") + "\n"
    }

    /// The script of the job that waits behind this one: it becomes the shim of the next attempt as soon as that has a folder, and ends
    /// where there is none to come, or where nobody tells within its patience.
    var successorText: String {
        let folder = Self.quoted(directory)
        var lines = ["#!/bin/bash", "# Waits for the attempt after \(order.attemptID) of \(order.jobID).", "trap '' USR1"]
        lines += preparation
        lines += [
            "cd \(folder) || exit 1", "for _ in $(seq \(Self.successorPatience)); do",
            "  [ -e \(SlurmSuccessor.endFile) ] && exit 0", "  grep -qs '\"exit_code\":0,' exit.json && exit 0",
            "  [ -s \(SlurmSuccessor.orderFile) ] && break", "  sleep 1", "done",
            "next=$(cat \(SlurmSuccessor.orderFile) 2> /dev/null) || exit 0", "trap '' TERM",
            #"cd / && exec >> "$next/\#(SlurmExecutor.logFile)" 2>&1"#,
        ]
        if order.asksForEnd { lines += endLines }
        lines.append("exec \(Self.quoted(shimPath)) \"$next\" --batch")
        return lines.joined(separator: "\n") + "\n"
    }

    /// How many seconds a node that has nothing to do yet waits for the daemon.
    private static let successorPatience = 300

    /// What both scripts do before anything else.
    private var preparation: [String] {
        var lines: [String] = []
        for (name, value) in terms.environment.sorted(by: { $0.key < $1.key }) { lines.append("export \(name)=\(Self.quoted(value))") }
        // Slurm's programs where the PATH of the job does not have them.
        if let programs = terms.programs { lines.append("export PATH=\"$PATH\":" + Self.quoted(programs)) }
        return lines + terms.setup
    }

    /// Tells the worker by when it must have saved: as long before the end of its allocation as it will be told to end. Newer Slurms
    /// have the end in the job's environment; others are asked once.
    private var endLines: [String] {
        [
            #"[ -n "${SLURM_JOB_END_TIME:-}" ] ||"#,
            #"  SLURM_JOB_END_TIME=$(SLURM_TIME_FORMAT=%s timeout 20 squeue --noheader --jobs="$SLURM_JOB_ID" --format=%e)"#,
            #"case "$SLURM_JOB_END_TIME" in"#, "  '' | *[!0-9]*) ;;",
            "  *) export ANNEAL_SAVE_BY=$((SLURM_JOB_END_TIME - \(terms.margin.components.seconds))) ;;", "esac",
        ]
    }

    /// A word that a POSIX shell reads as this text, whatever is in it.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}

extension ClusterTerms {
    /// The options that say where in Slurm jobs go.
    var placement: [String] {
        [("partition", partition), ("account", account), ("qos", qos), ("constraint", constraint)].compactMap { name, value in
            value.map { "--\(name)=\($0)" }
        }
    }
}
