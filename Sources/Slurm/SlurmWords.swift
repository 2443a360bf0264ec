/// Slurm's codes in words for people who have not learnt them.
///
/// The codes are those of squeue(1), "JOB REASON CODES" and "JOB STATE CODES".
enum SlurmWords {
    private static let reasons: [String: String] = [
        "None": "Slurm has not looked at it yet",
        "Resources": "no nodes with what it asks for are free at present",
        "Priority": "jobs of a higher priority are before it",
        "Dependency": "it waits for the end of another Slurm job",
        "DependencyNeverSatisfied": "the Slurm job that it waits for ended otherwise than it was to",
        "BeginTime": "its earliest start has not come",
        "JobHeldUser": "it is held",
        "JobHeldAdmin": "it is held by an administrator",
        "BadConstraints": "no node of the cluster can ever meet its constraints",
        "PartitionConfig": "it asks for more than the partition can ever give",
        "PartitionDown": "the partition is down",
        "PartitionInactive": "the partition is inactive",
        "PartitionNodeLimit": "it asks for more nodes than the partition allows",
        "PartitionTimeLimit": "it asks for more time than the partition allows",
        "ReqNodeNotAvail": "a node that it needs is down, drained or reserved",
        "NodeDown": "a node that it needs is down",
        "Reservation": "it waits for its reservation",
        "Licenses": "it waits for a licence",
        "Cleaning": "what ran before it is still being cleaned up",
        "Prolog": "the node's prolog runs",
        "InvalidAccount": "its account is not valid",
        "InvalidQOS": "its quality of service is not valid",
        "AccountNotAllowed": "the partition does not admit its account",
        "QOSNotAllowed": "the partition does not admit its quality of service",
        "JobArrayTaskLimit": "enough tasks of its array run already",
        "SystemFailure": "a part of the cluster failed",
        "TimeLimit": "it reached its time limit",
        "NonZeroExitCode": "its script ended with an error",
        "launch_failed_requeued_held": "its launch failed; it is held until somebody releases it",
    ]

    /// Limits come with the name of who set them before and of what they limit behind.
    private static let limits: [(prefix: String, who: String)] = [
        ("QOS", "the quality of service"), ("Assoc", "the account"), ("Association", "the account"),
    ]

    /// A reason code of squeue in words.
    static func reason(_ code: String) -> String {
        // squeue may say which nodes, as in "ReqNodeNotAvail, UnavailableNodes:n7".
        let word = code.split(separator: ",").first.map(String.init) ?? code
        if let words = reasons[word] { return words }
        if let limit = limits.first(where: { word.hasPrefix($0.prefix) }) { return "a limit of \(limit.who) is reached" }
        return "Slurm gives the reason '\(code)'"
    }

    /// A state that a job ended in, in words.
    static func end(_ state: SlurmState) -> String {
        switch state.word {
        case "CANCELLED": "it was cancelled in Slurm"
        case "TIMEOUT": "its allocation came to its end"
        case "DEADLINE": "its deadline came before it could run"
        case "PREEMPTED": "another Slurm job took its place"
        case "NODE_FAIL": "a node of its allocation failed"
        case "BOOT_FAIL": "a node of its allocation could not be started"
        case "OUT_OF_MEMORY": "it used more memory than its allocation has"
        case "COMPLETED": "its batch job ended"
        case "FAILED": "its batch job failed"
        default: "Slurm says \(state.word)"
        }
    }
}
