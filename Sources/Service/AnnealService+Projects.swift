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
            scheduler.setProject(project.name, ProjectTerms(weight: project.weight, gpuLimit: project.gpuLimit))
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
    public func projects() async throws -> [ProjectView] {
        let known = try await store.read { try $0.projects() }
        let names = Set(known.map(\.name)).union(scheduler.projectNames).union(jobs.values.map(\.project)).union(["default"])
        return names.sorted().map { view(of: $0, among: names) }
    }

    /// One project.
    public func project(_ name: String) async throws -> ProjectView {
        guard let view = try await projects().first(where: { $0.name == name }) else { throw ServiceError.missing("project", name) }
        return view
    }

    /// Changes a project's terms; the queue is in the new order at once. A project need not have jobs to be given terms.
    public func setProject(_ name: String, weight: Double?, gpuLimit: GPULimitChange) async throws -> ProjectView {
        if let weight, !(weight > 0 && weight.isFinite) {
            throw ServiceError(.badRequest, "the weight of a project must be a number above 0")
        }
        var terms = scheduler.projectTerms(name)
        if let weight { terms.weight = weight }
        switch gpuLimit {
        case .keep: break
        case .clear: terms.gpuLimit = nil
        case .set(let limit):
            guard limit >= 0 else { throw ServiceError(.badRequest, "the GPU limit of a project must not be negative") }
            terms.gpuLimit = limit
        }
        let written = terms
        try await store.write { try $0.setProject(name, weight: written.weight, gpuLimit: written.gpuLimit) }
        scheduler.setProject(name, terms)
        schedule()
        return try await project(name)
    }

    private func view(of name: String, among names: Set<String>) -> ProjectView {
        let terms = scheduler.projectTerms(name)
        let total = names.reduce(0) { $0 + scheduler.projectTerms($1).weight }
        let running = scheduler.running.values.filter { $0.project == name }
        return ProjectView(
            name: name, weight: terms.weight, gpuLimit: terms.gpuLimit, usageGPUSeconds: scheduler.usage(of: name, at: now),
            share: terms.weight / total,
            gpusInUse: running.reduce(0) {
                $0 + ($1.allocation.gpuShare > 0 ? Double($1.allocation.gpuShare) / 1000 : Double($1.allocation.gpus.count))
            },
            queued: jobs.values.count { $0.project == name && !$0.isDispatched }, running: running.count)
    }
}
