import Domain
import Glibc
import JSON
import Specification

/// The checkpoints that NeMo RL left in its folder: `step_<N>`, each with what `training_info.json` tells.
struct NemoRLCheckpoints {
    struct Checkpoint {
        var path: String
        var step: Int
        /// Numbers of `training_info.json`, among them the ranked metric under its full name, such as `val:val_loss`.
        var information: JSONObject

        /// - Returns: `nil` for a folder that is no complete `step_<N>`.
        init?(path: String) {
            guard let name = path.split(separator: "/").last, let step = CheckpointFolder.step(of: String(name)),
                access(path + "/training_info.json", F_OK) == 0
            else { return nil }
            (self.path, self.step) = (path, step)
            // A checkpoint whose information cannot be read is complete all the same, and has no metrics.
            information = (try? WorkerContext.readDocument(path + "/training_info.json", options: .python))?.object ?? [:]
        }
    }

    /// In the order of their steps.
    let all: [Checkpoint]

    init(folder: String) {
        // A folder that cannot be listed holds no checkpoint.
        let names = (try? Folder.names(in: folder)) ?? []
        all = names.compactMap { Checkpoint(path: "\(folder)/\($0)") }.sorted { $0.step < $1.step }
    }

    var last: Checkpoint? { all.last }

    /// The best by a metric, the later one of equals; the last where none has the metric, as NeMo RL itself has it.
    func best(by metric: String?, higherIsBetter: Bool) -> Checkpoint? {
        guard let metric else { return last }
        let ranked = all.filter { $0.information[metric]?.double?.isNaN == false }
        let best = ranked.max { left, right in
            let (a, b) = (left.information[metric]?.double ?? 0, right.information[metric]?.double ?? 0)
            return a == b ? left.step < right.step : higherIsBetter ? a < b : a > b
        }
        return best ?? last
    }
}

extension NemoRLCheckpoints.Checkpoint {
    /// The checkpoint as an output of the job.
    var output: JSONValue {
        ["type": "checkpoint", "path": .string(path), "step": .int(Int64(step)), "metrics": .object(metrics)]
    }

    /// How its weights lie there; `nil` where none of NeMo RL's converters reads them: adapters alone, or safetensors in parts.
    var weightsForm: NemoRLExport.WeightsForm? {
        let weights = path + "/policy/weights"
        // A folder that cannot be listed has no iteration.
        let iterations = ((try? Folder.names(in: weights)) ?? []).filter { $0.hasPrefix("iter_") }.sorted()
        if let newest = iterations.last { return .megatron(iteration: newest) }
        let isDistributed = [weights, weights + "/model"].contains { access($0 + "/.metadata", F_OK) == 0 }
        return isDistributed ? .distributed : nil
    }

    private var metrics: JSONObject { information.filter { $0.value.double != nil && !["step", "total_steps"].contains($0.key) } }
}
