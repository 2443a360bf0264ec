import Domain
import JSON
import Specification

/// The estimate of a planned training's memory, from its spec and the model's config.json.
struct TrainingMemory {
    let capacity: HostCapacity

    /// Sequences that each method computes for a sample; methods whose memory goes by other rules are not here.
    private static let sequencesPerSample = [
        "sft": 1, "pretrain": 1, "dpo": 2, "ipo": 2, "rpo_sq": 2, "rpo_bwd_kl": 2, "rpo_fwd_kl": 2, "reward": 2,
    ]
    /// A config.json is a few kilobytes.
    private static let configurationBytesMax = 1 << 20

    /// The estimate in words, and whether it is more than there is; `nil` where nothing can be said before the start.
    func estimate(of job: JobPlan) -> (text: String, isTooMuch: Bool)? {
        guard job.kind == .train, job.resources.gpus > 0 || job.resources.gpuShare > 0,
            let sequences = Self.sequencesPerSample[job.spec["method"]?.string ?? ""], let model = job.spec["model"]?.string,
            let shape = Self.shape(ofModel: model)
        else { return nil }
        var training = MemoryEstimate.Training()
        training.gpus = max(1, job.resources.gpus) * job.resources.nodes
        training.deviceBytes = deviceBytes(for: job.resources)
        let value = { (name: String) in job.spec["params"]?[name] ?? Self.defaultValue(name, method: job.spec["method"]?.string) }
        let length = min(value("max_length")?.int ?? 1024, 1 << 24)
        // A pack, whose capacity a plan says itself, has both sequences of its pairs.
        let row = min(value("packing")?["capacity"]?.int ?? sequences * length, 1 << 24)
        training.tokens = min(value("micro_batch_size")?.int ?? 1, 1 << 16) * row
        if let budget = value("dynamic_batching")?["tokens"]?.int { training.tokens = min(budget, 1 << 30) }
        training.is16Bit = value("precision")?.string != "fp32"
        training.recomputes = value("gradient_checkpointing")?.bool ?? false
        training.adapterRank = value("lora")?.object == nil ? nil : value("lora")?["rank"]?.int ?? 8
        // The reference of adapters is the model without them, and one that is asked ahead goes before the first step.
        training.hasReference = value("precompute_reference") == false && training.adapterRank == nil
        training.parallel = value("parallel")?.string ?? "auto"
        training.offloads = value("fsdp")?["cpu_offload"]?.bool ?? false
        if value("optimizer") == "adamw_8bit" { training.momentBytes = 2 }
        let estimate = MemoryEstimate(shape, training)
        return (estimate.text(gpus: training.gpus, deviceBytes: training.deviceBytes), estimate.isTooMuch(for: training.deviceBytes))
    }

    /// The memory of the smallest GPU that will do, or the job's share of it; 0 where there is none.
    private func deviceBytes(for request: ResourceRequest) -> Int64 {
        let least = capacity.slots.filter { $0.satisfies(request) }.map(\.memoryBytes).min() ?? 0
        return request.gpuShare > 0 ? least / 1000 * Int64(request.gpuShare) : least
    }

    private static func defaultValue(_ name: String, method: String?) -> JSONValue? {
        ParameterSchema.parameters(method: method ?? "").first { $0.name == name }?.defaultValue
    }

    /// What a local folder's config.json tells; `nil` for models that are not there yet.
    private static func shape(ofModel model: String) -> ModelShape? {
        // What cannot be read, or not as JSON, is told by the trainer, with its reason.
        guard model.hasPrefix("/"), let bytes = try? Folders.tail(of: model + "/config.json", limit: configurationBytesMax + 1) else {
            return nil
        }
        guard bytes.count <= configurationBytesMax else { return nil }
        // The same holds here.
        return (try? JSONParser.parse(bytes)).flatMap(ModelShape.init)
    }
}
