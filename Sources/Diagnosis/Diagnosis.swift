import Domain
import JSON

/// The cause of an attempt's end, with what tells of it. Pure: evidence in, verdict out.
///
/// What is trusted most comes first: what Anneal itself did; that the worker never started; the kernel's count of out-of-memory kills;
/// the driver's word on the GPU; the worker's own word, by its report and its exit code; log lines; and last the bare signal or code.
public struct Diagnosis: Sendable, Equatable {
    public var cause: Reason
    /// In words; empty for a success.
    public var message: String
    public var evidence: [Evidence]

    /// Makes one from its parts.
    public init(cause: Reason, message: String, evidence: [Evidence]) {
        (self.cause, self.message, self.evidence) = (cause, message, evidence)
    }

    /// Judges an end.
    public static func of(_ facts: AttemptEvidence, patterns: CausePatterns) -> Diagnosis {
        let log = LogReading(facts, patterns: patterns)
        var (cause, message) = verdict(facts, log)
        var evidence = exitEvidence(facts)
        if let finding = facts.finding { evidence.append(Evidence(kind: "watch", message: finding, data: .null)) }
        if let kills = facts.oomKills, kills > 0 {
            evidence.append(
                Evidence(
                    kind: "cgroup", message: "the kernel killed \(kills) processes for want of memory",
                    data: ["oom_kill": .int(Int64(kills))]))
        }
        evidence += facts.gpuFaults.map { fault in
            Evidence(
                kind: "gpu", message: "GPU \(fault.uuid): \(fault.message)",
                data: ["uuid": .string(fault.uuid), "xid": fault.xid.map { .int(Int64($0)) } ?? .null, "kind": .string(fault.kind)])
        }
        guard cause != .succeeded else { return Diagnosis(cause: cause, message: "", evidence: []) }
        evidence += log.evidence(for: cause)
        if let hint = log.hint(for: cause), !isOrdered(cause) { message += " (\(hint))" }
        return Diagnosis(cause: cause, message: message, evidence: evidence)
    }

    /// Causes that follow from what somebody asked for, and need no advice.
    private static func isOrdered(_ cause: Reason) -> Bool {
        [.cancelled, .superseded, .paused, .preempted, .allocationEnded, .clusterCancelled].contains(cause)
    }

    private static func verdict(_ facts: AttemptEvidence, _ log: LogReading) -> (Reason, String) {
        if let cause = ordered(facts) { return cause }
        if facts.exitCode == 0, facts.startError == nil {
            if let fault = facts.reportFault { return (.crashed, "the worker ended well, but \(fault)") }
            return (.succeeded, "")
        }
        if let stopped = stopped(facts) { return stopped }
        if let error = facts.startError { return (.startFailed, "the worker could not be started: \(error)") }
        if let kills = facts.oomKills, kills > 0 {
            return (
                .hostOOM,
                "the kernel killed \(kills == 1 ? "a process" : "\(kills) processes") of the worker for want of memory; \(end(facts))"
            )
        }
        // The worker contract has 1 for a missed gate; a worker that died after it wrote its report died of something else.
        if let gate = facts.missedGate, facts.exitCode == 1 { return (.gateFailed, gate) }
        if let fault = facts.gpuFaults.first(where: \.isOfDevice) {
            return (.gpuFault, "GPU \(fault.uuid) failed: \(fault.message); \(end(facts))")
        }
        if let reason = facts.reportedReason, reason.rawValue != "internal_error" {
            return (reason, facts.reportedMessage ?? end(facts) + log.tail)
        }
        let told = facts.reportedMessage ?? end(facts) + log.tail
        switch facts.exitCode {
        case 75: return (.interrupted, "the worker saved its progress and asked to be resumed")
        case 64: return (.badConfig, told)
        case 65: return (.badData, told)
        default: break
        }
        if let match = log.decisive { return (match.cause, facts.reportedMessage ?? "\(match.line.prefixBytes(300)); \(end(facts))") }
        if let signal = facts.signal { return bySignal(signal, log) }
        guard facts.exitCode != nil else { return (.unknown, "nothing is known of how the worker ended") }
        return (.crashed, told)
    }

    /// A cancellation holds even where the worker ended well meanwhile: nobody wants its result any more.
    private static func ordered(_ facts: AttemptEvidence) -> (Reason, String)? {
        switch facts.stopReason {
        case "cancelled": (.cancelled, "cancelled by request; \(end(facts))")
        case "superseded": (.superseded, "replaced by a newer job of its concurrency group; \(end(facts))")
        default: nil
        }
    }

    private static func stopped(_ facts: AttemptEvidence) -> (Reason, String)? {
        let finding = facts.finding.map { ": \($0)" } ?? ""
        switch facts.stopReason {
        case "paused": return (.paused, "paused by request; \(end(facts))")
        case "preempted": return (.preempted, "made room for a job of higher priority; \(end(facts))")
        case "allocation_ends": return (.allocationEnded, "its allocation on the cluster came to its end; \(end(facts))")
        case "cluster_cancelled": return (.clusterCancelled, "it was cancelled in the cluster, not by Anneal; \(end(facts))")
        case "timeout": return (.timeout, "ran longer than its time limit and was stopped; \(end(facts))")
        case "stalled": return (.stalled, "made no progress and was stopped\(finding)")
        case "alert": return (.alert, "stopped by an alert of its spec\(finding)")
        case "nan_loss": return (.nanLoss, "the loss was no finite number and the attempt was stopped\(finding)")
        case "idle": return (.serverIdle, "stopped, since no job used it any more")
        case "server_lost": return (.serverLost, "its server went away; \(end(facts))")
        case "disk_full": return (.diskFull, "stopped before the disk was full\(finding)")
        case "log_limit": return (.logLimit, "wrote more log than it may and was stopped; \(end(facts))")
        default: return nil
        }
    }

    private static func bySignal(_ signal: Int32, _ log: LogReading) -> (Reason, String) {
        let isFaultOfProgram = [4, 6, 7, 8, 11].contains(signal)  // SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV
        return (isFaultOfProgram ? .crashed : .killed, "signal \(signal) ended the worker, and Anneal did not send it\(log.tail)")
    }

    private static func end(_ facts: AttemptEvidence) -> String {
        if let signal = facts.signal { return "the worker was ended by signal \(signal)" }
        return "the worker exited with code \(facts.exitCode.map(String.init) ?? "unknown")"
    }

    private static func exitEvidence(_ facts: AttemptEvidence) -> [Evidence] {
        guard facts.exitCode != nil || facts.signal != nil else { return [] }
        return [
            Evidence(
                kind: "exit", message: end(facts),
                data: [
                    "exit_code": facts.exitCode.map { .int(Int64($0)) } ?? .null, "signal": facts.signal.map { .int(Int64($0)) } ?? .null,
                    "stop_reason": facts.stopReason.map(JSONValue.string) ?? .null,
                ])
        ]
    }
}
