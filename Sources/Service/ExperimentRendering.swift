import APITypes
import Domain
import JSON
import Store

/// Experiments as the API shows them.
enum ExperimentRendering {
    /// A submission as it was just accepted.
    static func view(of record: ExperimentRecord, jobs: [JobRecord]) -> ExperimentView {
        var view = view(of: record, jobs: [StoredJobSummary](), progress: { _ in nil })
        view.jobs = jobs.map { job in
            APITypes.JobSummary(
                id: job.id, name: job.name, kind: job.kind.rawValue, group: job.group, matrix: job.matrix,
                state: job.state.rawValue, reason: job.reason?.rawValue)
        }
        return view
    }

    static func view(of record: ExperimentRecord, jobs: [StoredJobSummary], withSpec: Bool = true, progress: (String) -> ProgressView?)
        -> ExperimentView
    {
        ExperimentView(
            id: record.id, name: record.name, project: record.project, state: record.state.rawValue, reason: record.reason?.rawValue,
            message: record.message,
            description: record.description, tags: tags(record.tags), createdAt: record.createdAt.description,
            finishedAt: record.finishedAt?.description, spec: withSpec ? record.spec : nil,
            jobs: jobs.map { job in
                APITypes.JobSummary(
                    id: job.id, name: job.name, kind: job.kind.rawValue, group: job.group, matrix: job.matrix,
                    state: job.state.rawValue, reason: job.reason?.rawValue, progress: progress(job.id))
            })
    }

    private static func tags(_ document: JSONValue) -> OrderedMap<String> {
        (document.object ?? [:]).mapValues { $0.string ?? "" }
    }
}

/// Jobs as the API shows them.
enum JobRendering {
    static func view(
        of record: JobRecord, experiment: String, project: String, needs: [String], attempts: [AttemptRecord], progress: ProgressView?
    ) -> JobView {
        var view = JobView(
            id: record.id, experimentID: record.experimentID, experiment: experiment, name: record.name, kind: record.kind.rawValue,
            engine: record.engine, group: record.group, matrix: record.matrix, state: record.state.rawValue,
            reason: record.reason?.rawValue,
            message: record.message, priority: record.priority, resources: view(of: record.resources), needs: needs,
            outputs: record.outputs ?? .object([:]), summary: record.summary, cachedFrom: record.cachedFrom,
            createdAt: record.createdAt.description, queuedAt: record.queuedAt?.description, startedAt: record.startedAt?.description,
            finishedAt: record.finishedAt?.description, progress: progress, attempts: attempts.map(self.view(of:)))
        view.project = project
        view.preemptible = record.terms.isPreemptible
        view.held = record.isHeld
        view.concurrencyGroup = record.terms.concurrency?.name
        view.cluster = record.terms.cluster
        view.timeoutSeconds = record.timeout?.inSeconds
        return view
    }

    static func view(of request: ResourceRequest) -> ResourcesView {
        var view = ResourcesView(gpus: request.gpus, cpus: request.cpus, memoryBytes: request.memoryBytes)
        view.gpusMax = request.gpusMax
        view.gpuShare = Double(request.gpuShare) / 1000
        view.gpuMemoryBytes = request.gpuMemoryBytes
        view.model = request.gpuModel
        (view.nodes, view.exclusive) = (request.nodes, request.isExclusive)
        for (name, units) in request.counters.sorted(by: { $0.key < $1.key }) { view.counters[name] = units }
        view.anyOf = request.alternatives.map(self.view(of:))
        return view
    }

    private static func view(of record: AttemptRecord) -> AttemptView {
        var view = AttemptView(
            id: record.id, number: record.number, state: record.state.rawValue, exitCode: record.exitCode, signal: record.signal,
            cause: record.cause?.rawValue, message: record.message, gpus: record.gpus, resumedFromStep: record.resumedFromStep,
            startedAt: record.startedAt?.description, finishedAt: record.finishedAt?.description)
        view.gpuShare = Double(record.gpuShare) / 1000
        view.evidence = evidence(of: record)
        (view.cluster, view.externalID) = (record.cluster, record.externalID)
        return view
    }

    /// What was kept of the cause of an attempt's end.
    static func evidence(of record: AttemptRecord) -> [EvidenceView] {
        (record.evidence?.array ?? []).map { entry in
            EvidenceView(
                kind: entry["kind"]?.string ?? "", message: entry["message"]?.string ?? "", attemptID: record.id, data: entry["data"])
        }
    }
}
