import APITypes
import Domain
import EventLoop
import Scheduling
import Store

// Projects: how much of the machine each may use, and has used.
extension AnnealService {
    /// Reads what the queue's order depends on beside the jobs: weights, quotas, past usage, and GPUs out of use.
    func recoverQueueTerms() async throws {
        let (projects, states) = try await store.read { (try $0.projects(), try $0.gpuStates()) }
        for project in projects {
            scheduler.setProject(
                project.name, ProjectTerms(weight: project.weight, gpuLimit: project.gpuLimit, runningLimit: project.runningLimit))
            projectQuotas[project.name] = ProjectQuota(queued: project.queuedLimit, artifactBytes: project.artifactBytesLimit)
            scheduler.restoreUsage(project.name, gpuSeconds: project.usageGPUSeconds, at: project.usageAt)
        }
        for state in states where state.isDrained {
            gpuConditions[state.uuid, default: GPUCondition()].drained = state.reason ?? "drained by request"
            applyCondition(of: state.uuid)
        }
    }

    /// Keeps the usage, so that a restart does not forgive it.
    func saveUsage() {
        let moment = now
        let usage = scheduler.projectNames.map { ($0, scheduler.usage(of: $0, at: moment)) }.filter { savedUsage[$0.0] != $0.1 }
        guard !usage.isEmpty else { return }
        savedUsage.merge(usage) { _, new in new }
        background("saving the projects' usage") { [self] in
            try await store.write { writer in
                for (name, seconds) in usage { try writer.setUsage(project: name, gpuSeconds: seconds, at: moment) }
            }
        }
    }

    /// Every project that has terms, usage or jobs in the queue, by name.
    ///
    /// - Parameter reach: whose terms are told.
    public func projects(within reach: Reach = .everything) async throws -> [ProjectView] {
        let known = try await store.read { try $0.projects() }
        let present = Set(scheduler.projectNames).union(jobs.values.map(\.project)).union(["default"])
        let bytes = try await store.read { reader in
            try Dictionary(
                present.union(known.map(\.name)).map { ($0, try reader.artifactBytes(project: $0)) },
                uniquingKeysWith: { first, _ in first })
        }
        let names = present.union(known.map(\.name))
        return names.sorted().filter { reach.covers(experiment: nil, project: $0) }.map { name in
            view(of: name, among: names, artifactBytes: bytes[name] ?? 0)
        }
    }

    /// One project.
    public func project(_ name: String) async throws -> ProjectView {
        guard let view = try await projects().first(where: { $0.name == name }) else { throw ServiceError.missing("project", name) }
        return view
    }

    /// Changes a project's terms; the queue is in the new order at once. A project need not have jobs to be given terms.
    public func setProject(_ name: String, _ change: ProjectChange) async throws -> ProjectView {
        if let weight = change.weight, !(weight > 0 && weight.isFinite) {
            throw ServiceError(.badRequest, "the weight of a project must be a number above 0")
        }
        var terms = scheduler.projectTerms(name)
        terms.weight = change.weight ?? terms.weight
        terms.gpuLimit = change.gpus.applied(to: terms.gpuLimit)
        terms.runningLimit = change.running.applied(to: terms.runningLimit)
        var quota = projectQuotas[name] ?? ProjectQuota()
        quota.queued = change.queued.applied(to: quota.queued)
        quota.artifactBytes = change.artifactBytes.applied(to: quota.artifactBytes.map(Int.init)).map(Int64.init)
        guard [terms.gpuLimit, terms.runningLimit, quota.queued].allSatisfy({ $0 ?? 0 >= 0 }), quota.artifactBytes ?? 0 >= 0 else {
            throw ServiceError(.badRequest, "the limits of a project must not be negative")
        }
        let (written, limits) = (terms, quota)
        try await store.write {
            try $0.setProject(name, weight: written.weight, gpuLimit: written.gpuLimit)
            try $0.setQuotas(
                project: name, queued: limits.queued, running: written.runningLimit, artifactBytes: limits.artifactBytes)
        }
        scheduler.setProject(name, terms)
        projectQuotas[name] = quota
        schedule()
        return try await project(name)
    }

    /// Refuses a spec with more jobs than its project may have waiting, or whose project has filled its part of the disk.
    ///
    /// The jobs are counted from then on, so that submissions at one moment cannot pass together; `endWay` ends that.
    func checkQuota(project: String, newJobs: Int) async throws {
        guard let quota = projectQuotas[project] else { return beginWay(project, newJobs) }
        if let limit = quota.queued {
            let waiting = jobs.values.count { $0.project == project && !$0.isDispatched } + jobsOnTheirWay[project, default: 0]
            guard waiting + newJobs <= limit else {
                throw ServiceError(
                    .conflict,
                    "the project '\(project)' may have \(limit) jobs waiting; \(waiting) wait, and the spec has \(newJobs) more",
                    errors: [.init(pointer: "/jobs", detail: "at most \(max(0, limit - waiting)) jobs can be taken now")])
            }
        }
        beginWay(project, newJobs)
        guard let limit = quota.artifactBytes else { return }
        do {
            let bytes = try await store.read { try $0.artifactBytes(project: project) }
            guard bytes < limit else {
                throw ServiceError(
                    .conflict,
                    "the project '\(project)' may keep \(limit) bytes of checkpoints and datasets, and keeps \(bytes); delete some first",
                    errors: [.init(pointer: "/project", detail: "has used up its part of the disk")])
            }
        } catch {
            endWay(project, newJobs)
            throw error
        }
    }

    private func beginWay(_ project: String, _ count: Int) { jobsOnTheirWay[project, default: 0] += count }

    /// The jobs of a submission are in the queue now, or were refused.
    func endWay(_ project: String, _ count: Int) {
        let left = jobsOnTheirWay[project, default: 0] - count
        jobsOnTheirWay[project] = left > 0 ? left : nil
    }

    private func view(of name: String, among names: Set<String>, artifactBytes: Int64) -> ProjectView {
        let terms = scheduler.projectTerms(name)
        let total = names.reduce(0) { $0 + scheduler.projectTerms($1).weight }
        let running = scheduler.running.values.filter { $0.project == name }
        return ProjectView(
            name: name, weight: terms.weight, gpuLimit: terms.gpuLimit, usageGPUSeconds: scheduler.usage(of: name, at: now),
            share: terms.weight / total,
            gpusInUse: running.reduce(0) {
                $0 + ($1.allocation.gpuShare > 0 ? Double($1.allocation.gpuShare) / 1000 : Double($1.allocation.gpus.count))
            },
            queued: jobs.values.count { $0.project == name && !$0.isDispatched }, running: running.count,
            queuedLimit: projectQuotas[name]?.queued, runningLimit: terms.runningLimit,
            artifactBytesLimit: projectQuotas[name]?.artifactBytes, artifactBytes: artifactBytes)
    }
}

/// What a project may have that the scheduler does not know of.
struct ProjectQuota: Sendable, Hashable {
    /// The most jobs that may wait; `nil` for no limit.
    var queued: Int?
    /// Bytes of what its jobs made; `nil` for no limit.
    var artifactBytes: Int64?
}
