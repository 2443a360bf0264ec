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
    }

    /// In the order of their steps.
    let all: [Checkpoint]

    init(folder: String) {
        var found: [Checkpoint] = []
        // A folder that cannot be listed holds no checkpoint.
        for name in (try? Folder.names(in: folder)) ?? [] {
            guard let step = CheckpointFolder.step(of: name) else { continue }
            let path = "\(folder)/\(name)"
            guard access(path + "/training_info.json", F_OK) == 0 else { continue }
            // A checkpoint whose information cannot be read is complete all the same, and has no metrics.
            let information = try? WorkerContext.readDocument(path + "/training_info.json", options: .python)
            found.append(Checkpoint(path: path, step: step, information: information?.object ?? [:]))
        }
        all = found.sorted { $0.step < $1.step }
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
    var weightsForm: NemoRLRun.WeightsForm? {
        let weights = path + "/policy/weights"
        // A folder that cannot be listed has no iteration.
        let iterations = ((try? Folder.names(in: weights)) ?? []).filter { $0.hasPrefix("iter_") }.sorted()
        if let newest = iterations.last { return .megatron(iteration: newest) }
        let isDistributed = [weights, weights + "/model"].contains { access($0 + "/.metadata", F_OK) == 0 }
        return isDistributed ? .distributed : nil
    }

    private var metrics: JSONObject { information.filter { $0.value.double != nil && !["step", "total_steps"].contains($0.key) } }
}
