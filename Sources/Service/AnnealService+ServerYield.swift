import Domain
import EventLoop
import Scheduling

// Servers whose jobs cannot start hold what others wait for: two of them could wait for each other for ever.
extension AnnealService {
    /// How long a server may answer without that any of the jobs that are ready for it can start.
    private static let starvationMax: Duration = .seconds(5)

    /// Looks at all servers; called every second.
    func relieveStarvedServers() {
        guard phase == .ready, !servers.isEmpty else { return }
        for job in servers.values { lookForEndpoint(of: job) }
        let starved = servers.values.filter(isStarved)
        let present = now
        for job in servers.values where !starved.contains(where: { $0 === job }) { job.server?.starvedSince = nil }
        for job in starved { job.server?.starvedSince = job.server?.starvedSince ?? present }
        let patient = starved.filter { ($0.server?.starvedSince).map { present - $0 >= Self.starvationMax } ?? false }
        // The most urgent and oldest keeps its place; once its jobs are done, the others come again.
        let ordered = patient.sorted { ($1.priority, $0.queuedAt ?? present, $0.id) < ($0.priority, $1.queuedAt ?? present, $1.id) }
        for (position, job) in ordered.enumerated() where position > 0 || isBehindAnother(job) { yield(job) }
        for job in servers.values where job.server?.yields == true && starved.allSatisfy({ $0 === job }) { job.server?.yields = false }
        reviewServers()
    }

    private func isStarved(_ job: ActiveJob) -> Bool {
        guard let server = job.server, server.endpoint != nil, job.isDispatched, job.stopRequest == nil, server.terms.isShared else {
            return false
        }
        let users = server.users.compactMap { jobs[$0] }
        guard !users.contains(where: \.isDispatched) else { return false }
        return users.contains { user in
            // One that waits for another server is stuck where that one waits for room, and not while it loads.
            if user.awaitsServer { return !user.isHeld && user.servers.contains { servers[$0].map(waitsForRoom) ?? false } }
            return scheduler.queuedJob(user.id).map { !$0.isHeld && $0.notBefore == nil } ?? false
        }
    }

    private func waitsForRoom(_ server: ActiveJob) -> Bool {
        !server.isDispatched && !server.isHeld && (server.server?.phase == .queued || server.server?.yields == true)
    }

    /// True where a job of this server could start but for what is set aside for a job before it, which may wait for the server's end.
    private func isBehindAnother(_ job: ActiveJob) -> Bool {
        (job.server?.users ?? []).contains { id in
            guard case .behind? = scheduler.explain(id, now: now)?.cause else { return false }
            return true
        }
    }

    private func yield(_ job: ActiveJob) {
        log.notice("a server makes room: none of its jobs can start", metadata: ["job": "\(job.id)"])
        job.server?.yields = true
        job.server?.starvedSince = nil
        // It goes to the end of the queue, behind those for which it makes room.
        job.queuedAt = nil
        background("stopping the server \(job.id)") { [self] in try await stop(job.id, .idle) }
    }
}
