import Glibc
import JSON

/// The steps by which a worker is asked to end.
struct StopPlan: Equatable {
    /// Asks the worker to save; `nil` skips this step.
    var checkpointSignal: Int32?
    var checkpointGrace: Int64
    var terminateSignal: Int32 = SIGTERM
    /// From SIGTERM to SIGKILL.
    var terminateGrace: Int64

    static let standard = StopPlan(checkpointSignal: nil, checkpointGrace: 0, terminateGrace: 30_000)

    init(checkpointSignal: Int32?, checkpointGrace: Int64, terminateGrace: Int64) {
        self.checkpointSignal = checkpointSignal
        self.checkpointGrace = checkpointGrace
        self.terminateGrace = terminateGrace
    }

    /// Reads `ladder` of spec.json or of a stop command; what it leaves out is taken from `fallback`.
    init(_ document: JSONValue, fallback: StopPlan) {
        self = fallback
        if let signal = document["checkpoint_signal"] {
            checkpointSignal = signal.int.flatMap { (1...64).contains($0) ? Int32($0) : nil }
        }
        if let signal = document["terminate_signal"]?.int, (1...64).contains(signal) { terminateSignal = Int32(signal) }
        if let grace = milliseconds(document["checkpoint_grace_ms"]) { checkpointGrace = grace }
        if let grace = milliseconds(document["terminate_grace_ms"]) { terminateGrace = grace }
    }
}

/// The stop ladder as a state machine: checkpoint signal, grace, SIGTERM, grace, SIGKILL of the whole tree.
///
/// It only goes down. A further request may skip rungs or shorten the wait on the present one, never lengthen it. All times are
/// `Clock.monotonic()`.
struct StopLadder {
    enum Phase: Equatable {
        case idle
        case checkpoint(until: Int64)
        case terminate(until: Int64)
        case kill
    }

    /// What the caller must do now.
    enum Action: Equatable {
        /// Send this signal to the worker's first process alone: others of its tree may not handle it and would die of it.
        case signalWorker(Int32)
        /// Send this signal, which is SIGTERM as a rule, to the worker's process group.
        case terminateGroup(Int32)
        /// SIGKILL every process of the tree until none is left.
        case killTree
    }

    private(set) var phase = Phase.idle
    /// Why the worker was asked to end; the latest request decides.
    private(set) var reason: String?
    private var plan = StopPlan.standard

    /// When `advance` has something to do.
    var deadline: Int64? {
        switch phase {
        case .idle, .kill: nil
        case .checkpoint(let until), .terminate(let until): until
        }
    }

    var name: String {
        switch phase {
        case .idle: "none"
        case .checkpoint: "checkpoint"
        case .terminate: "terminate"
        case .kill: "kill"
        }
    }

    mutating func request(reason: String, plan: StopPlan, now: Int64) -> [Action] {
        self.reason = reason
        switch phase {
        case .idle:
            self.plan = plan
            guard let signal = plan.checkpointSignal, plan.checkpointGrace > 0 else { return terminate(now: now) }
            phase = .checkpoint(until: now + plan.checkpointGrace)
            return [.signalWorker(signal)]
        case .checkpoint(let until):
            self.plan.terminateGrace = min(self.plan.terminateGrace, plan.terminateGrace)
            guard plan.checkpointSignal != nil, plan.checkpointGrace > 0 else { return terminate(now: now) }
            phase = .checkpoint(until: min(until, now + plan.checkpointGrace))
        case .terminate(let until):
            phase = .terminate(until: min(until, now + plan.terminateGrace))
        case .kill:
            break
        }
        return []
    }

    mutating func advance(now: Int64) -> [Action] {
        switch phase {
        case .checkpoint(let until) where now >= until:
            return terminate(now: now)
        case .terminate(let until) where now >= until:
            phase = .kill
            return [.killTree]
        default:
            return []
        }
    }

    private mutating func terminate(now: Int64) -> [Action] {
        phase = .terminate(until: now + plan.terminateGrace)
        return [.terminateGroup(plan.terminateSignal)]
    }
}
