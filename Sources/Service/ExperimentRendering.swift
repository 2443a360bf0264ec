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
                id: job.id, name: job.name, kind: job.kind.rawValue, group: job.group, state: job.state.rawValue,
                reason: job.reason?.rawValue)
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
                    id: job.id, name: job.name, kind: job.kind.rawValue, group: job.group, state: job.state.rawValue,
                    reason: job.reason?.rawValue,
                    progress: progress(job.id))
            })
    }

    private static func tags(_ document: JSONValue) -> OrderedMap<String> {
        (document.object ?? [:]).mapValues { $0.string ?? "" }
    }
}

/// Jobs as the API shows them.
enum JobRendering {
    static func view(of record: JobRecord, experiment: String, needs: [String], attempts: [AttemptRecord], progress: ProgressView?)
        -> JobView
    {
        JobView(
            id: record.id, experimentID: record.experimentID, experiment: experiment, name: record.name, kind: record.kind.rawValue,
            engine: record.engine, group: record.group, matrix: record.matrix, state: record.state.rawValue,
            reason: record.reason?.rawValue,
            message: record.message, priority: record.priority, resources: view(of: record.resources), needs: needs,
            outputs: record.outputs ?? .object([:]), summary: record.summary, cachedFrom: record.cachedFrom,
            createdAt: record.createdAt.description, queuedAt: record.queuedAt?.description, startedAt: record.startedAt?.description,
            finishedAt: record.finishedAt?.description, progress: progress, attempts: attempts.map(view(of:)))
    }

    static func view(of request: ResourceRequest) -> ResourcesView {
        ResourcesView(gpus: request.gpus, cpus: request.cpus, memoryBytes: request.memoryBytes)
    }

    private static func view(of record: AttemptRecord) -> AttemptView {
        AttemptView(
            id: record.id, number: record.number, state: record.state.rawValue, exitCode: record.exitCode, signal: record.signal,
            cause: record.cause?.rawValue, message: record.message, gpus: record.gpus, resumedFromStep: record.resumedFromStep,
            startedAt: record.startedAt?.description, finishedAt: record.finishedAt?.description)
    }
}
