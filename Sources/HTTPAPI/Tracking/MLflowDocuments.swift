import Domain
import JSON
import Service
import Store

/// Runs and experiments as MLflow's clients read them (mlflow/protos/service.proto).
enum MLflowDocuments {
    /// - Parameter artifacts: where the client finds the run's artifacts.
    static func run(_ run: TrackedRun, artifacts: String) -> JSONValue {
        var tags = run.tags.filter { $0.key != "mlflow.runName" }.map(pair)
        tags.append(pair(("mlflow.runName", run.name)))
        tags.append(pair(("anneal.job", run.jobID)))
        return [
            "info": info(run, artifacts: artifacts),
            "data": [
                "metrics": .array(
                    run.metrics.map { metric(key: $0.key, value: $0.lastValue, at: $0.lastAt.milliseconds, step: Int64($0.lastStep)) }),
                "params": .array(run.params.map(pair)), "tags": .array(tags),
            ],
            "inputs": ["dataset_inputs": .array(run.inputs.map(\.document))],
        ]
    }

    static func info(_ run: TrackedRun, artifacts: String) -> JSONValue {
        var members: JSONObject = [
            "run_id": .string(run.id), "run_uuid": .string(run.id), "run_name": .string(run.name),
            "experiment_id": .string(run.experimentID),
            "user_id": .string(run.user), "status": .string(run.status), "artifact_uri": .string(artifacts),
            "lifecycle_stage": run.isDeleted ? "deleted" : "active",
        ]
        members["start_time"] = .int(run.startedAt?.milliseconds ?? 0)
        if let end = run.endedAt { members["end_time"] = .int(end.milliseconds) }
        return .object(members)
    }

    /// - Parameter name: what the client calls it.
    static func experiment(_ experiment: ExperimentRecord, name: String) -> JSONValue {
        let moment = JSONValue.int(experiment.createdAt.milliseconds)
        return [
            "experiment_id": .string(experiment.id), "name": .string(name),
            "artifact_location": .string("mlflow-artifacts:/\(experiment.id)"),
            "lifecycle_stage": "active", "creation_time": moment,
            "last_update_time": .int((experiment.finishedAt ?? experiment.createdAt).milliseconds),
            "tags": .array([pair(("anneal.project", experiment.project)), pair(("anneal.state", experiment.state.rawValue))]),
        ]
    }

    static func metric(key: String, value: Double, at milliseconds: Int64, step: Int64) -> JSONValue {
        let number: JSONValue = value.isFinite ? .double(value) : value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity"
        return ["key": .string(key), "value": number, "timestamp": .int(milliseconds), "step": .int(step)]
    }

    private static func pair(_ pair: (key: String, value: String)) -> JSONValue {
        ["key": .string(pair.key), "value": .string(pair.value)]
    }
}
