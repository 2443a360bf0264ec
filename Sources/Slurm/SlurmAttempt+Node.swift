import EventLoop
import Supervision

/// What is known of a worker by its node's heartbeat.
struct NodeReport {
    var last: NodeReading?
    /// When the file was last looked at, and when it last had told something new.
    var lookedAt: UInt64?
    var heardAt: UInt64?
    var isDumpWanted = false
    /// Of the newest order to end.
    var orderSerial = 0
}

// The node's own word: signs of life and readings of a worker whose processes are another machine's.
extension SlurmAttempt {
    /// What the node has told since it was last asked; `nil` where that is nothing. Looks at the shared disk now and then at most.
    public func newReading() async -> NodeReading? {
        guard workerPID != nil, node.lookedAt == nil || SystemTime.hasPassed(SlurmPatience.readingInterval, since: node.lookedAt) else {
            return nil
        }
        node.lookedAt = SystemTime.monotonicNanoseconds()
        let folder = folder
        let found = try? await executor.files.run { folder.reading() }  // the thread is stopped when the daemon goes down
        guard let found = found ?? nil, found.serial != node.last?.serial else { return nil }
        node.last = found
        node.heardAt = SystemTime.monotonicNanoseconds()
        return found
    }

    /// Since when its node has told nothing new, in milliseconds since 1970 by the node's clock, and which node that is; `nil` while it does.
    public var silence: (host: String, since: Int64)? {
        guard let last = node.last, SystemTime.hasPassed(SlurmPatience.heartbeatPatience + executor.terms.lag, since: node.heardAt) else {
            return nil
        }
        return (last.host, last.atMs)
    }

    /// Slurm has given up a node, or forgotten a job, whose worker may live on there. Its shim is told to end it, and its heartbeat is
    /// waited for to stop, so that no other attempt runs beside it. Returns once there is a record, or nothing has been heard for long.
    func endSurvivor() async {
        let (folder, serial) = (folder, Int(SystemTime.now()))
        var heardAt = SystemTime.monotonicNanoseconds()
        var last: Int?
        do {
            try await executor.files.run { try folder.order(reason: ClusterEnd.allocationEnds, ladder: nil, serial: serial) }
            while !SystemTime.hasPassed(SlurmPatience.heartbeatPatience + executor.terms.lag, since: heardAt) {
                let (hasEnded, beat) = try await executor.files.run { (folder.look(knowsStart: true).end != nil, folder.reading()?.serial) }
                if hasEnded { return }
                if let last, last != beat { heardAt = SystemTime.monotonicNanoseconds() }
                last = beat
                await executor.pause(executor.terms.pollLeast)
            }
        } catch {
            // A disk that takes no order: the node, if it lives, cannot be reached by any way.
        }
    }
}
