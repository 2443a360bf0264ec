import Domain
import EventLoop
import HTTPServer
import JSON
import Service
import Store

/// MLflow's REST API, as far as its clients, Hugging Face's Trainer and NeMo RL call it: runs are jobs, and their histories the jobs'
/// curves.
@LoopActor
enum MLflowRoutes {
    private typealias Handler = @LoopActor @Sendable (Call, MLflowRequest) async throws -> JSONValue

    nonisolated static let base = "/api/2.0/mlflow"

    nonisolated static let routes: [Route] = [
        route(.get, "experiments/get-by-name", access: .read, experimentByName), route(.get, "experiments/get", access: .read, experiment),
        route(.post, "experiments/create", access: .log, createExperiment),
        route(.post, "experiments/search", access: .read, searchExperiments),
        route(.get, "experiments/search", access: .read, searchExperiments),
        route(.post, "experiments/set-experiment-tag", access: .log, acceptSilently),
        route(.post, "experiments/update", access: .log, refuseExperimentChange),
        route(.post, "experiments/delete", access: .log, refuseExperimentChange),
        route(.post, "experiments/restore", access: .log, refuseExperimentChange),
        route(.post, "runs/create", access: .log, createRun), route(.get, "runs/get", access: .read, run),
        route(.post, "runs/update", access: .log, updateRun),
        route(.post, "runs/delete", access: .log, deleteRun), route(.post, "runs/restore", access: .log, restoreRun),
        route(.post, "runs/search", access: .read, searchRuns),
        route(.post, "runs/log-batch", access: .log, logBatch), route(.post, "runs/log-metric", access: .log, logMetric),
        route(.post, "runs/log-parameter", access: .log, logParameter),
        route(.post, "runs/set-tag", access: .log, setTag), route(.post, "runs/delete-tag", access: .log, deleteTag),
        route(.post, "runs/log-inputs", access: .log, logInputs),
        // Clients look here for models before they list artifacts; models are checkpoints here.
        route(.post, "logged-models/search", access: .read) { _, _ in ["models": []] },
        route(.get, "metrics/get-history", access: .read, history), route(.get, "artifacts/list", access: .read, MLflowArtifacts.list),
    ]

    /// What a request names stands in its body; the handlers hold it against the caller's reach.
    private nonisolated static func route(
        _ method: HTTPMethod, _ path: String, access: Route.Access, _ body: @escaping Handler
    ) -> Route {
        Route(method, base + "/" + path, "mlflow", access: access, bound: .filtered, anyQuery: true) { call in
            do {
                return .json(bytes: JSONWriter().bytes(of: try await body(call, try await MLflowRequest(call))))
            } catch {
                return MLflowProblem.answer(error)
            }
        }
    }

    // MARK: Experiments

    private static func experimentByName(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let name = try request.required("experiment_name")
        guard let found = try await call.service.trackedExperiment(named: name, attemptID: call.caller.attemptID),
            call.caller.reach.covers(experiment: found.id, project: found.project)
        else {
            throw ServiceError(.notFound, "Could not find experiment with name '\(name)'")
        }
        return ["experiment": MLflowDocuments.experiment(found, name: name)]
    }

    private static func experiment(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let id = try request.required("experiment_id")
        guard let found = try await call.service.store.read({ try $0.experiment(id) }),
            call.caller.reach.covers(experiment: id, project: found.project)
        else {
            throw ServiceError(.notFound, "No Experiment with id=\(id) exists")
        }
        return ["experiment": MLflowDocuments.experiment(found, name: found.name)]
    }

    /// A worker's runs belong to its own experiment, whatever it calls it; nobody else makes experiments here but by submitting them.
    private static func createExperiment(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let name = try request.required("name")
        guard let attempt = call.caller.attemptID, let own = try await call.service.trackedExperiment(named: name, attemptID: attempt)
        else {
            throw ServiceError(
                .forbidden, "experiments are made by submitting a spec (POST /v1/experiments); a job's program is attached to its own")
        }
        return ["experiment_id": .string(own.id)]
    }

    private static func refuseExperimentChange(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        throw ServiceError(.forbidden, "experiments are changed through /v1/experiments, not by tracking clients")
    }

    private static func acceptSilently(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        _ = try request.required("experiment_id")
        return [:]
    }

    private static func searchExperiments(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let filter = try MLflowFilter(try request.text("filter") ?? "")
        let limit = min(max(1, try request.integer("max_results") ?? 1000), 1000)
        let after = try request.text("page_token").flatMap { $0.isEmpty ? nil : $0 }
        let visible = ExperimentFilter(reach: call.caller.reach)
        let page = try await call.service.store.read { try $0.experiments(visible, limit: limit, after: after) }
        let matching = page.items.filter { filter.matches(MLflowFilter.Subject(experiment: $0)) }
        var answer: JSONObject = ["experiments": .array(matching.map { MLflowDocuments.experiment($0, name: $0.name) })]
        if page.hasMore, let last = page.items.last { answer["next_page_token"] = .string(last.id) }
        return .object(answer)
    }

    // MARK: Runs

    private static func document(_ call: Call, _ run: TrackedRun) -> JSONValue {
        MLflowDocuments.run(run, artifacts: MLflowArtifacts.location(of: run, for: call))
    }

    private static func run(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        ["run": document(call, try await call.service.trackedRun(try await readable(call, try request.run())))]
    }

    private static func createRun(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        guard let attempt = call.caller.attemptID else {
            throw ServiceError(
                .forbidden, "runs belong to jobs: submit a job of kind command, whose environment attaches the client to its run")
        }
        let tags = try request.objects("tags", max: TrackingLimits.tagsPerBatchMax).map { tag in
            try MLflowRequest.pair({ tag[$0] }, valueMax: TrackingLimits.tagLengthMax)
        }
        let name = try request.text("run_name") ?? tags.first { $0.key == "mlflow.runName" }?.value
        let run = try await call.service.createRun(
            attemptID: attempt, name: name, user: try request.text("user_id") ?? "", tags: tags)
        return ["run": document(call, run)]
    }

    private static func updateRun(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let id = try await writable(call, try request.run())
        let status = try request.text("status")
        let known = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
        if let status, !known.contains(status) {
            throw ServiceError(.badRequest, "Invalid status '\(status)'; it is one of \(known.joined(separator: ", "))")
        }
        let run = try await call.service.updateRun(
            id, status: status, name: try request.text("run_name"),
            endedAt: try request.integer("end_time").map { Timestamp(milliseconds: Int64($0)) })
        return ["run_info": MLflowDocuments.info(run, artifacts: MLflowArtifacts.location(of: run, for: call))]
    }

    private static func deleteRun(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        _ = try await call.service.updateRun(
            try await writable(call, try request.run()), status: nil, name: nil, endedAt: nil, isDeleted: true)
        return [:]
    }

    private static func restoreRun(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        _ = try await call.service.updateRun(
            try await writable(call, try request.run()), status: nil, name: nil, endedAt: nil, isDeleted: false)
        return [:]
    }

    /// The run, if the caller may see it.
    static func readable(_ call: Call, _ id: String) async throws -> String {
        try await call.service.require(.run, id, within: call.caller.reach)
        return id
    }

    /// The run, if the caller may write to it: a worker to those of its own job.
    static func writable(_ call: Call, _ id: String) async throws -> String {
        guard let attempt = call.caller.attemptID else { return try await readable(call, id) }
        let own = try await call.service.jobID(ofAttempt: attempt)
        if id == own { return id }
        let run = try await call.service.trackedRun(id)
        guard run.jobID == own else { throw ServiceError(.forbidden, "an attempt's token may write to the runs of its own job only") }
        return id
    }

    private static func searchRuns(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let filter = try MLflowFilter(try request.text("filter") ?? "")
        let order = try request.texts("order_by").map(MLflowOrder.init)
        let view = try request.text("run_view_type") ?? "ACTIVE_ONLY"
        let limit = try request.integer("max_results") ?? 1000
        guard (1...TrackingLimits.searchPageMax).contains(limit) else {
            throw ServiceError(
                .badRequest, "Invalid value for parameter 'max_results' supplied: it is from 1 to \(TrackingLimits.searchPageMax)")
        }
        let start = try request.text("page_token").flatMap { $0.isEmpty ? nil : Int($0) } ?? 0
        let reach = call.caller.reach
        let asked = try request.texts("experiment_ids")
        let visible = try await call.service.store.read { reader in
            try asked.filter { reach.covers(experiment: $0, project: try reader.projectName(ofExperiment: $0)) }
        }
        let found = try await call.service.trackedRuns(experiments: visible)
        let matching = found.filter { run in
            (view == "ALL" || run.isDeleted == (view == "DELETED_ONLY")) && filter.matches(MLflowFilter.Subject(run: run))
        }
        let sorted = MLflowOrder.sort(matching, by: order)
        let page = sorted.dropFirst(max(0, start)).prefix(limit)
        var answer: JSONObject = ["runs": .array(page.map { document(call, $0) })]
        if page.endIndex < sorted.endIndex { answer["next_page_token"] = .string(String(page.endIndex)) }
        return .object(answer)
    }

    // MARK: What runs say

    private static func logBatch(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        var batch = TrackedBatch()
        let metrics = try request.objects("metrics", max: TrackingLimits.metricsPerBatchMax)
        let params = try request.objects("params", max: TrackingLimits.paramsPerBatchMax)
        let tags = try request.objects("tags", max: TrackingLimits.tagsPerBatchMax)
        let items = metrics.count + params.count + tags.count
        guard items <= TrackingLimits.itemsPerBatchMax else {
            throw ServiceError(
                .badRequest,
                "A batch logging request can contain at most \(TrackingLimits.itemsPerBatchMax) metrics, params, and tags. Got \(items). Please split it up."
            )
        }
        batch.metrics = try metrics.map { metric in try MLflowRequest.point { metric[$0] } }
        batch.params = try params.map { param in try MLflowRequest.pair({ param[$0] }, valueMax: TrackingLimits.paramLengthMax) }
        batch.tags = try tags.map { tag in try MLflowRequest.pair({ tag[$0] }, valueMax: TrackingLimits.tagLengthMax) }
        return try await log(call, request, batch)
    }

    private static func logMetric(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        var batch = TrackedBatch()
        batch.metrics = [try MLflowRequest.point { request[$0] }]
        return try await log(call, request, batch)
    }

    private static func logParameter(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        var batch = TrackedBatch()
        batch.params = [try MLflowRequest.pair({ request[$0] }, valueMax: TrackingLimits.paramLengthMax)]
        return try await log(call, request, batch)
    }

    private static func setTag(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        var batch = TrackedBatch()
        batch.tags = [try MLflowRequest.pair({ request[$0] }, valueMax: TrackingLimits.tagLengthMax)]
        return try await log(call, request, batch)
    }

    private static func log(_ call: Call, _ request: MLflowRequest, _ batch: TrackedBatch) async throws -> JSONValue {
        try await call.service.track(
            batch, run: try await writable(call, try request.run()), attemptID: call.caller.attemptID, source: .mlflow)
        return [:]
    }

    private static func deleteTag(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let (run, key) = (try await writable(call, try request.run()), try request.required("key"))
        guard try await call.service.deleteTag(run: run, key: key) else {
            throw ServiceError(.notFound, "No tag with name: \(key) in run with id \(run)")
        }
        return [:]
    }

    private static func logInputs(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let inputs = try request.objects("datasets", max: TrackingLimits.itemsPerBatchMax).map { input -> RunInputRecord in
            guard let name = input["dataset"]?["name"]?.string, (1...500).contains(name.count) else {
                throw ServiceError(.badRequest, "Missing value for required parameter 'datasets[].dataset.name'")
            }
            return RunInputRecord(name: name, digest: input["dataset"]?["digest"]?.string ?? "", document: input)
        }
        try await call.service.addInputs(inputs, run: try await writable(call, try request.run()))
        return [:]
    }

    private static func history(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let (id, key) = (try request.run(), try request.required("metric_key"))
        let limit = min(max(1, try request.integer("max_results") ?? TrackingLimits.historyPageMax), TrackingLimits.historyPageMax)
        let start = try request.text("page_token").flatMap { $0.isEmpty ? nil : Int($0) } ?? 0
        let run = try await call.service.trackedRun(try await readable(call, id))
        let curve = try await call.service.store.read {
            try $0.curve(job: run.jobID, CurveQuery(key: run.prefix + key, axis: .time))
        }
        let page = (0..<curve.count).dropFirst(max(0, start)).prefix(limit)
        let metrics = page.map { index in
            MLflowDocuments.metric(
                key: key, value: curve.points.values[index], at: curve.points.times[index], step: curve.points.steps[index])
        }
        var answer: JSONObject = ["metrics": .array(metrics)]
        if page.endIndex < curve.count { answer["next_page_token"] = .string(String(page.endIndex)) }
        return .object(answer)
    }
}
