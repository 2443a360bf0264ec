import Domain
import JSON
import Specification

/// A job of kind `convert` with the engine `nemo-rl`: turns a checkpoint of NeMo RL into a model in Hugging Face's format.
struct NemoRLExportJob: Sendable {
    let context: WorkerContext
    let interruption: Interruption

    /// Runs it to its end and returns the content of outputs.json.
    func run() async throws -> JSONObject {
        let spec = context.job["spec"]?.object ?? [:]
        guard let export = NemoRLExport(spec: spec), let path = spec["model"]?.string else {
            throw WorkerFailure.badRequest("", "'model' and 'root' must be given")
        }
        guard let checkpoint = NemoRLCheckpoints.Checkpoint(path: path) else {
            throw WorkerFailure.badRequest("/model", "'\(path)' is no checkpoint step_N of NeMo RL: it has no training_info.json")
        }
        let program = NemoRLProgram(context: context, interruption: interruption)
        let folder = try await program.export(checkpoint, by: export) {
            // Nothing is half done: the next attempt starts over.
            WorkerFailure.interrupted
        }
        return ["outputs": ["model": ["type": "checkpoint", "path": .string(folder), "metrics": checkpoint.output["metrics"] ?? [:]]]]
    }
}
