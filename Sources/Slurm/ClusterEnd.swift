import Supervision

/// Who ended a worker on a cluster, in the words of exit.json's `stop_reason`.
enum ClusterEnd {
    /// The allocation comes to its end.
    static let allocationEnds = "allocation_ends"
    /// The cluster told the job to end; why, only its final state tells.
    static let clusterSignal = "cluster_signal"
    /// Somebody cancelled the job in Slurm.
    static let clusterCancelled = "cluster_cancelled"

    /// Why a worker was ended whose job Slurm says is in this state; `nil` where Slurm had no hand in it.
    static func stopReason(of state: SlurmState) -> String? {
        switch state.word {
        case "CANCELLED", "REVOKED": clusterCancelled
        case "TIMEOUT", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "DEADLINE": allocationEnds
        default: state.isWait ? allocationEnds : nil
        }
    }
}

extension ExitRecord {
    /// It failed, and its shim knows of nobody who told it to end.
    var isUnexplained: Bool { stopReason == nil && startError == nil && exitCode != 0 }

    /// Only Slurm can say whether the cluster ended it, and why.
    var needsWord: Bool { isUnexplained || stopReason == ClusterEnd.clusterSignal }
}
