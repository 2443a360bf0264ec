import APITypes
import Domain
import JSON
import Specification

/// What a spec would do, as `dry_run` shows it.
struct PlanRendering {
    let configuration: ServiceConfiguration
    let capacity: HostCapacity

    /// Reads the configurations of models, which blocks.
    func view(of plan: ExperimentPlan) -> PlanView {
        var jobs = plan.jobs.map { view(of: $0, in: plan) }
        var warnings: [String] = []
        let memory = TrainingMemory(capacity: capacity)
        for (position, job) in plan.jobs.enumerated() {
            guard let estimate = memory.estimate(of: job) else { continue }
            jobs[position].memoryEstimate = estimate.text
            if estimate.isTooMuch { warnings.append("job '\(job.name)' may run out of GPU memory; \(estimate.text)") }
        }
        for job in jobs where !job.fits { warnings.append("job '\(job.name)' \(job.reason ?? "does not fit")") }
        return PlanView(name: plan.name, project: plan.project, fits: jobs.allSatisfy(\.fits), warnings: warnings, jobs: jobs)
    }

    private func view(of job: JobPlan, in plan: ExperimentPlan) -> PlannedJobView {
        let shortfalls = capacity.shortfalls(of: job.resources)
        // A kind without its program is shown with an empty argv.
        let command = try? WorkerCommand.make(kind: job.kind, spec: job.spec, configuration: configuration)
        return PlannedJobView(
            name: job.name, kind: job.kind.rawValue, engine: job.engine, group: job.group, needs: job.needs.map { plan.jobs[$0].name },
            resources: JobRendering.view(of: job.resources), argv: launchLine(of: job) ?? command?.argv ?? [],
            environment: OrderedMap(
                uniqueKeysWithValues: job.environment.sorted { $0.key < $1.key }.map { ($0.key, Self.isSecret($0.key) ? "•••" : $0.value) }),
            outputs: job.outputs,
            fits: shortfalls.isEmpty, reason: shortfalls.isEmpty ? nil : shortfalls.joined(separator: "; "))
    }

    /// The command line of another project's trainer, which the worker starts; `nil` for jobs that run Anneal's own programs.
    private func launchLine(of job: JobPlan) -> [String]? {
        guard job.engine == NemoRLEngine.name, let spec = job.resolvedSpec(lookup: { "${\($0.raw)}" }).object else { return nil }
        let facts = NemoRLFacts(gpus: job.resources.gpus, checkpointDirectory: "", logDirectory: "", outputDirectory: "")
        return NemoRLRun(spec: spec, facts: facts, toleratesAbsence: true, read: PathProbe.content(of:))?.arguments(config: "nemo-rl.yaml")
    }

    /// Names that usually hold secrets; their values are not shown.
    static func isSecret(_ name: String) -> Bool {
        let upper = name.uppercased()
        return ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "CREDENTIAL", "PRIVATE_KEY"].contains { upper.contains($0) }
    }
}
