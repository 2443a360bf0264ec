import APITypes
import Domain
import JSON
import Specification
import Supervision

/// What a spec would do, as `dry_run` shows it.
struct PlanRendering {
    let configuration: ServiceConfiguration
    let capacity: HostCapacity
    /// False where the GPUs are simulated.
    var hasDevices = true

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
        let shortfalls = configuration.shortfalls(of: job.resources, on: job.terms.cluster, capacity: capacity)
        // A kind without its program is shown with an empty argv.
        let command = try? WorkerCommand.make(
            kind: job.kind, spec: job.spec, configuration: configuration.seen(from: configuration.cluster(job.terms.cluster)))
        return PlannedJobView(
            name: job.name, kind: job.kind.rawValue, engine: job.engine, group: job.group, needs: job.needs.map { plan.jobs[$0].name },
            resources: JobRendering.view(of: job.resources), argv: launchLine(of: job) ?? enclosed(command, of: job) ?? command?.argv ?? [],
            environment: OrderedMap(
                uniqueKeysWithValues: (job.environment.map { ($0.key, Self.isSecret($0.key) ? "•••" : $0.value) }
                    + job.secrets.map { ($0, "•••") })
                    .sorted { $0.0 < $1.0 }),
            outputs: job.outputs,
            fits: shortfalls.isEmpty, reason: shortfalls.isEmpty ? nil : shortfalls.joined(separator: "; "), container: container(of: job))
    }

    /// The container of a job in short; `nil` for one that runs bare.
    private func container(of job: JobPlan) -> String? {
        guard let terms = job.container else { return nil }
        let setting = configuration.seen(from: configuration.cluster(job.terms.cluster)).containers
        let mounts = (setting.mounts + terms.mounts).map { mount in
            (mount.source == mount.target ? mount.source : "\(mount.source) as \(mount.target)") + (mount.isReadOnly ? " (read-only)" : "")
        }
        let network = terms.network.map { ", network \($0.rawValue)" } ?? ""
        let seen = mounts.isEmpty ? "" : ", sees \(mounts.joined(separator: ", "))"
        return "\(setting.runtime?.rawValue ?? "no runtime for") \(terms.image)\(network)\(seen)"
    }

    /// The command line of the container that the job runs in, with names in angle brackets for what is known only at the start.
    private func enclosed(_ command: WorkerCommand?, of job: JobPlan) -> [String]? {
        guard let command, let terms = job.container else { return nil }
        let cluster = configuration.cluster(job.terms.cluster)
        let id = "<attempt>"
        var launch = AttemptLaunch(
            directory: configuration.attemptDirectory(id), argv: command.argv,
            environment: (command.environment.map { ($0.name, $0.value) } + job.environment.map { ($0.key, $0.value) })
                + [("ANNEAL_URL", ""), ("ANNEAL_TOKEN", ""), ("CUDA_VISIBLE_DEVICES", "")],
            workingDirectory: job.workingDirectory ?? configuration.outputDirectory(jobID: "<job>"), jobDocument: .null)
        launch.secrets = job.secrets.map { ($0, "") }
        let gpus = (0..<job.resources.gpus).map { "<GPU \($0 + 1)>" }
        let attempt = EnclosedAttempt(
            id: id, jobID: "<job>", kind: job.kind,
            inputs: job.inputs.compactMap { if case .path(let path) = $0.source { path } else { nil } }, gpus: gpus,
            memoryBytes: job.resources.memoryBytes, cpus: job.resources.cpus)
        let enclosure = ContainerEnclosure(
            configuration: configuration.seen(from: cluster), terms: terms, cluster: cluster, hasDevices: hasDevices)
        do throws(ServiceError) {
            try enclosure.enclose(&launch, attempt: attempt, jobVariables: job.environment)
        } catch {
            // The submission says why.
            return nil
        }
        return launch.argv
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
