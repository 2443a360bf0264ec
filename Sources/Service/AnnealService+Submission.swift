import APITypes
import Domain
import JSON
import Specification
import Store

/// A spec on its way in.
public struct SubmissionRequest: Sendable {
    public var document: [UInt8]
    public var format: SpecDocument.Format
    /// `a.b=c` overrides, in order.
    public var overrides: [String]
    /// The folder that relative paths start from; `nil` where the client named none.
    public var baseDirectory: String?
    /// What the submitter may see and touch.
    public var reach: Reach

    public init(
        document: [UInt8], format: SpecDocument.Format, overrides: [String], baseDirectory: String?, reach: Reach = .everything
    ) {
        self.reach = reach
        self.document = document
        self.format = format
        self.overrides = overrides
        self.baseDirectory = baseDirectory
    }
}

// Submission: from a document to jobs in the database.
extension AnnealService {
    /// Validates a spec and shows what it would do, without doing it.
    public func plan(_ request: SubmissionRequest) async throws -> PlanView {
        let rendering = PlanRendering(configuration: configuration, capacity: capacity, hasDevices: devices.source != "simulated")
        do {
            return try await view(of: try await makePlan(request), rendering)
        } catch let error as ServiceError where error.code == .unresolvedSpec {
            // The spec may be meant for a machine that has the files; what is missing here is then a warning.
            guard let submission = try? await makePlan(request, assumesFiles: true) else { throw error }
            var view = try await view(of: submission, rendering)
            view.warnings += error.errors.map { "\($0.pointer): \($0.detail)" }
            return view
        }
    }

    private func view(of submission: CheckedSubmission, _ rendering: PlanRendering) async throws -> PlanView {
        var view = try await planner.run { rendering.view(of: submission.plan) }
        view.warnings += submission.warnings
        let missing = try await missingSecrets(of: submission.plan, submission.document)
        view.warnings += (missing + missingRuntimes(of: submission.plan, submission.document)).map(\.detail)
        return view
    }

    /// Accepts a spec: when this returns, the experiment is on disk.
    ///
    /// - Parameter alongside: further writes of the same transaction, such as the stored answer of an idempotency key.
    public func submit(
        _ request: SubmissionRequest, alongside: @escaping @Sendable (WriteTransaction, ExperimentView) throws -> Void = { _, _ in }
    ) async throws -> ExperimentView {
        let submission = try await makePlan(request)
        let (document, plan) = (submission.document, submission.plan)
        try refuseWhatCannotFit(plan, document)
        try await checkQuota(project: plan.project, newJobs: plan.jobs.count)
        defer { endWay(plan.project, plan.jobs.count) }
        let missing = try await missingSecrets(of: plan, document) + missingRuntimes(of: plan, document)
        guard missing.isEmpty else { throw ServiceError(.unresolvedSpec, missing[0].detail, errors: missing) }
        let moment = now
        let experiment = ExperimentRecord(
            id: identifiers.next(.experiment), name: plan.name, project: plan.project, description: plan.description,
            tags: Self.document(plan.tags),
            spec: document.value, document: String(decoding: request.document, as: UTF8.self), createdAt: moment)
        let (records, needs) = makeJobs(plan, experiment: experiment, at: moment)
        var rendering = ExperimentRendering.view(of: experiment, jobs: records)
        if !submission.warnings.isEmpty { rendering.warnings = submission.warnings }
        let view = rendering
        try await store.write { writer in
            if let active = try writer.experiment(named: experiment.name, project: experiment.project, activeOnly: true) {
                throw ServiceError(
                    .conflict,
                    "the experiment '\(experiment.name)' of project '\(experiment.project)' is still \(active.state.rawValue) as \(active.id)"
                )
            }
            try writer.insert(experiment: experiment)
            try writer.insert(jobs: records)
            for (job, needed) in needs { try writer.insert(needs: needed, of: job) }
            try alongside(writer, view)
        }
        log.info(
            "experiment accepted", metadata: ["experiment": "\(experiment.id)", "name": "\(experiment.name)", "jobs": "\(records.count)"])
        admit(records, project: plan.project, needs: needs)
        return view
    }

    private func refuseWhatCannotFit(_ plan: ExperimentPlan, _ document: SpecDocument) throws {
        let errors = plan.jobs.flatMap { job in
            let pointer = JSONPointer(["jobs", job.group ?? job.name, "resources"])
            return configuration.shortfalls(of: job.resources, on: job.terms.cluster, capacity: capacity).map {
                ServiceError.Detail(
                    pointer: pointer.description, line: document.position(of: pointer)?.line, detail: "job '\(job.name)' \($0)")
            } + misfits(of: job, besideItsServersIn: plan, document, at: pointer)
        }
        guard errors.isEmpty else {
            throw ServiceError(
                .cannotFit,
                "\(errors.count == 1 ? "a job asks" : "jobs ask") for more than this machine can ever offer: \(errors[0].detail)",
                errors: errors)
        }
    }

    /// Says so where jobs ask for containers that cannot be run where they are to run.
    private func missingRuntimes(of plan: ExperimentPlan, _ document: SpecDocument) -> [ServiceError.Detail] {
        var told: Set<String> = []
        return plan.jobs.flatMap { job -> [ServiceError.Detail] in
            guard let terms = job.container else { return [] }
            let own = JSONPointer(["jobs", job.group ?? job.name, "container"])
            let pointer = document.value[own] == nil ? JSONPointer(["container"]) : own
            let cluster = configuration.cluster(job.terms.cluster)
            let problems: [String] =
                switch configuration.seen(from: cluster).containers.runtime {
                case nil: [ContainerEnclosure.noRuntime(on: cluster).detail]
                case .pyxis? where cluster == nil: ["pyxis runs containers on Slurm clusters alone"]
                case let runtime?: ContainerCommand.shortfalls(of: runtime, terms, nodes: job.resources.nodes)
                }
            return problems.filter { told.insert("\(pointer) \($0)").inserted }.map {
                ServiceError.Detail(pointer: pointer.description, line: document.position(of: pointer)?.line, detail: $0)
            }
        }
    }

    /// The secrets that the jobs name and the daemon cannot give, each once with the place that names it first.
    private func missingSecrets(of plan: ExperimentPlan, _ document: SpecDocument) async throws -> [ServiceError.Detail] {
        var places: [(name: String, pointer: JSONPointer)] = []
        for job in plan.jobs {
            for name in job.secrets where !places.contains(where: { $0.name == name }) {
                places.append((name, Self.place(ofSecret: name, in: job, document)))
            }
        }
        guard !places.isEmpty else { return [] }
        let (secrets, names) = (secrets, places.map(\.name))
        let problems = try await files.run { secrets.problems(with: names) }
        return problems.compactMap { problem in
            guard let pointer = places.first(where: { $0.name == problem.name })?.pointer else { return nil }
            return ServiceError.Detail(pointer: pointer.description, line: document.position(of: pointer)?.line, detail: problem.problem)
        }
    }

    private nonisolated static func place(ofSecret name: String, in job: JobPlan, _ document: SpecDocument) -> JSONPointer {
        for path in [["jobs", job.group ?? job.name, "secrets"], ["secrets"]] {
            let pointer = JSONPointer(path)
            if let index = document.value[pointer]?.array?.firstIndex(of: .string(name)) { return pointer / index }
        }
        return JSONPointer(["secrets"])
    }

    /// Why a job could never run beside the servers that it uses.
    private func misfits(
        of job: JobPlan, besideItsServersIn plan: ExperimentPlan, _ document: SpecDocument, at pointer: JSONPointer
    ) -> [ServiceError.Detail] {
        guard !job.servers.isEmpty else { return [] }
        let servers = job.servers.map { plan.jobs[$0] }
        // What runs elsewhere takes nothing here.
        let together = ServerFit.together(([job] + servers).map { $0.terms.cluster == nil ? $0.resources : $0.resources.besideCluster })
        let names = servers.map { "'\($0.name)'" }.joined(separator: " and ")
        return capacity.shortfalls(of: together).map {
            ServiceError.Detail(
                pointer: pointer.description, line: document.position(of: pointer)?.line,
                detail:
                    "job '\(job.name)' runs beside the server \(names) that it uses, and together they ask for more: '\(job.name)' \($0)")
        }
    }

    private nonisolated static func document(_ texts: [String: String]) -> JSONValue {
        .object(JSONObject(texts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }, uniquingKeysWith: { _, last in last }))
    }

    private func makeJobs(_ plan: ExperimentPlan, experiment: ExperimentRecord, at moment: Timestamp) -> ([JobRecord], [String: [String]]) {
        var ids: [String: String] = [:]
        for job in plan.jobs { ids[job.name] = identifiers.next(.job) }
        var needs: [String: [String]] = [:]
        let records = plan.jobs.enumerated().map { position, job in
            let id = ids[job.name] ?? ""
            needs[id] = job.needs.compactMap { ids[plan.jobs[$0].name] }
            var record = JobRecord(
                id: id, experimentID: experiment.id, position: position, name: job.name, kind: job.kind,
                reason: job.needs.isEmpty ? nil : .needsPending, priority: job.priority, resources: job.resources, retry: job.retry,
                cacheEnabled: job.cache, environment: Self.document(job.environment), spec: job.spec, createdAt: moment)
            record.terms = job.terms
            record.isHeld = job.terms.isHeld
            record.engine = job.engine
            record.group = job.group
            record.matrix = job.matrix.map(JSONValue.object)
            record.timeout = job.timeout
            record.grace = job.grace
            record.workingDirectory = job.workingDirectory
            record.condition = job.condition?.description
            return record
        }
        return (records, needs)
    }
}
