import APITypes
import Domain
import EventLoop
import Slurm
import Store
import Supervision

// Jobs that run elsewhere: which executor has them, and what of a cluster's queue is written down.
extension AnnealService {
    /// Who runs the attempts of a cluster, or of this machine. Throws where the configuration no longer names the cluster.
    func executor(of cluster: String?) throws -> any AttemptExecutor {
        guard let cluster else { return supervisor }
        guard let executor = clusters[cluster] else {
            throw ServiceError(.unavailable, "the cluster '\(cluster)' is not in the daemon's configuration any more")
        }
        return executor
    }

    /// Takes note of what a cluster says of an attempt that has not started there.
    func take(_ wait: ClusterWait, of attempt: RunningAttempt, job: ActiveJob) {
        let isNewID = wait.externalID != nil && attempt.clusterWait?.externalID != wait.externalID
        let isNewReason = attempt.clusterWait?.code != wait.code
        attempt.clusterWait = wait
        guard isNewID || isNewReason else { return }
        let message = clusterMessage(wait, job)
        persistently("recording where \(attempt.id) is") { [self] in
            try await store.write { writer in
                if isNewID, let id = wait.externalID { try writer.setExternalID(attempt: attempt.id, id) }
                if isNewReason, try writer.jobState(job.id) == .queued {
                    try writer.setReason(job: job.id, .inClusterQueue, message: message)
                }
            }
            hub.touch(job.id)
        }
    }

    /// Takes note of the GPUs of a cluster that an attempt runs on.
    func take(gpus: [String], of attempt: RunningAttempt) {
        persistently("recording the GPUs of \(attempt.id)") { [self] in
            try await store.write { try $0.setGPUs(attempt: attempt.id, gpus) }
        }
    }

    /// The folder of the attempt before one on a cluster behind which the next may wait; `nil` where there is none.
    func predecessor(of attempt: RunningAttempt, _ record: JobRecord) async throws -> String? {
        jobs[record.id]?.successorFolder = nil
        guard let cluster = configuration.cluster(record.terms.cluster), cluster.ahead > 0, attempt.number > 1 else { return nil }
        let before = try await store.read { try $0.attempts(job: record.id) }.last { $0.number == attempt.number - 1 }
        return before?.cluster == cluster.name ? before?.directory : nil
    }

    /// Lets go what waits on a cluster behind an attempt that has ended, unless the next attempt comes soon.
    func settleSuccessor(of attempt: RunningAttempt, _ job: ActiveJob, _ next: NextState) {
        guard job.terms.cluster != nil else { return }
        job.successorFolder = attempt.directory
        if case .again(let delay) = next, delay <= Self.successorDelayMax { return }
        dropSuccessor(of: job)
    }

    /// The same of a job that will not go on after all.
    func dropSuccessor(of job: ActiveJob) {
        let executor = try? executor(of: job.terms.cluster)  // what waits there has gone with its cluster
        guard let folder = job.successorFolder, let executor else { return }
        job.successorFolder = nil
        Task { @LoopActor in await executor.dropSuccessor(of: folder) }
    }

    /// A node waits no longer than this for an attempt that is put off.
    private static let successorDelayMax: Duration = .seconds(60)

    private func clusterMessage(_ wait: ClusterWait, _ job: ActiveJob) -> String {
        let name = job.terms.cluster ?? ClusterTerms.local
        let id = wait.externalID.map { " as Slurm job \($0)" } ?? ""
        return "in the queue of the cluster '\(name)'\(id): \(wait.words) (\(wait.code))"
    }

    /// What a job that was handed to a cluster waits for there.
    func clusterWaits(_ id: String) -> [WaitView] {
        guard let job = jobs[id], let attempt = job.attempt, attempt.startedAt == nil, let wait = attempt.clusterWait else { return [] }
        var view = WaitView(
            kind: "cluster", message: clusterMessage(wait, job) + silence(of: job),
            until: wait.expectedAtMs.map {
                Timestamp(milliseconds: $0).description
            })
        view.name = job.terms.cluster
        return [view]
    }

    /// Since when the cluster of a job has not answered, in words; empty while it answers.
    func silence(of job: ActiveJob) -> String {
        guard let cluster = job.terms.cluster else { return "" }
        guard let silence = clusters[cluster]?.silence else {
            // Nothing new from a node is no sign of its end: the shared disk may be at fault.
            guard let node = job.attempt?.slurm?.silence else { return "" }
            return "; its node \(node.host) has told nothing new since \(Timestamp(milliseconds: node.since))"
        }
        return "; Slurm has not answered since \(Timestamp(milliseconds: silence.since)): \(silence.message)"
    }

    /// The clusters beside this machine, with their jobs of what the caller may see.
    public func clusterViews(within reach: Reach = .everything) -> [ClusterView] {
        let sent = jobs.values.filter { job in
            job.attempt != nil && job.terms.cluster != nil && reach.covers(experiment: job.experimentID, project: job.project)
        }
        let byCluster = Dictionary(grouping: sent) { $0.terms.cluster ?? ClusterTerms.local }
        return clusters.values.sorted { $0.terms.name < $1.terms.name }.map { executor in
            let there = byCluster[executor.terms.name] ?? []
            let running = there.count { $0.attempt?.startedAt != nil }
            var view = ClusterView(name: executor.terms.name, executor: "slurm", queued: there.count - running, running: running)
            view.partition = executor.terms.partition
            view.timeLimitSeconds = executor.terms.timeLimit?.inSeconds
            view.gpusPerNode = executor.terms.gpusPerNode
            view.silentSince = executor.silence.map { Timestamp(milliseconds: $0.since).description }
            view.message = executor.silence?.message
            return view
        }
    }

    /// Whether each cluster has what jobs need there, for the self-examination.
    ///
    /// - Parameter isDeep: whether a node is asked, by a job of some seconds.
    func clusterChecks(isDeep: Bool) async throws -> [DoctorCheck] {
        var checks: [DoctorCheck] = []
        let folder = configuration.dataDirectory
        let file = folder + "/.doctor-" + identifiers.next(.request)
        if isDeep, !clusters.isEmpty { try await files.run { try Folders.write([], to: file) } }
        for (_, executor) in clusters.sorted(by: { $0.key < $1.key }) {
            let shim = configuration.seen(from: executor.terms).shimPath
            let found = await executor.examine(file: isDeep ? file : nil, shim: shim)
            checks += try await files.run { ClusterExamination.checks(executor.terms, found, dataDirectory: folder) }
        }
        if isDeep { try await files.run { try Folders.remove(file) } }
        return checks
    }
}

extension ServiceConfiguration {
    /// The terms of a cluster; `nil` for a name that is none.
    func cluster(_ name: String?) -> ClusterTerms? { name.flatMap { name in clusters.first { $0.name == name } } }

    /// The same as the nodes of a cluster see it.
    func seen(from cluster: ClusterTerms?) -> ServiceConfiguration {
        guard let cluster else { return self }
        var seen = self
        seen.shimPath = cluster.shim ?? shimPath
        seen.workerPath = cluster.worker ?? workerPath
        seen.pythonPath = cluster.python ?? pythonPath
        seen.trainerDirectory = cluster.trainer ?? trainerDirectory
        seen.workerURL = cluster.url ?? workerURL
        seen.containers = clusterContainers[cluster.name] ?? containers
        return seen
    }

    /// Why a job could never run where it is to run, even if nothing else did.
    func shortfalls(of resources: ResourceRequest, on cluster: String?, capacity: HostCapacity) -> [String] {
        guard let cluster else { return capacity.shortfalls(of: resources) }
        return capacity.shortfalls(of: resources.besideCluster) + (self.cluster(cluster)?.shortfalls(of: resources) ?? [])
    }
}
