import Datasets
import Glibc
import JSON
import WebDataset

/// The step `webdataset`: shards of conversations about images.
struct PrepareShards {
    /// The format's name in the registry.
    static let format = "webdataset"

    /// Where the step stands in the spec.
    var pointer: JSONPointer
    /// The folder that images' paths start from.
    var images: String
    var options: WebDatasetOptions

    init(_ settings: RequestFields, _ inputs: (JSONPointer) -> String?) throws(WorkerFailure) {
        pointer = settings.pointer
        images = try settings.dataset("images", inputs)
        options = WebDatasetOptions()
        let seed = try settings.int("seed") ?? 42
        options.seed = try settings.bool("shuffle") == false ? nil : seed
        options.shardPattern = try settings.string("shard_pattern") ?? options.shardPattern
        options.samplesPerShard =
            try settings.int("samples_per_shard", in: 1...WebDatasetOptions.samplesPerShardLimit) ?? options.samplesPerShard
        options.shardBytes = try settings.int("shard_bytes", in: 1...WebDatasetOptions.shardBytesLimit) ?? options.shardBytes
        if settings.has("split") {
            let split = try settings.fields("split")
            options.ratios = EnergonSplit.Ratios(
                train: try split.double("train", in: 0...1e9) ?? 0.95, validation: try split.double("validation", in: 0...1e9) ?? 0.05,
                test: try split.double("test", in: 0...1e9) ?? 0)
        }
        switch try settings.word("shard_order", among: ["number", "text", "shuffled"]) {
        case "text"?: options.shardOrder = .text
        case "shuffled"?: options.shardOrder = .shuffled(seed: seed)
        default: options.shardOrder = .number
        }
        options.keys = try settings.word("keys", among: ["unique", "id"]) == "id" ? .identifier : .unique
        options.imageless = try settings.word("imageless", WebDatasetOptions.Imageless.self) ?? .refuse
    }

    /// Writes the shards of `records` beside them, and takes the records away.
    func run(_ records: Preparation.Output, context: WorkerContext, interruption: Interruption) throws -> PreparePacking.Made {
        let folder = "\(context.outputFolder)/\(Self.format)"
        WorkerLog.line("writing \(records.file.rows) records with their images from \(images) as shards")
        var progress = ProgressReport(metrics: context.metrics, prefix: "shards")
        let result: WebDatasetExport.Result
        do {
            result = try WebDatasetExport(records: records.file.path, images: images, options: options).run(folder: folder) { done, total in
                try interruption.check()
                try progress.update(done: done, total: total)
            }
        } catch var error as DatasetError {
            error.message = "\(pointer): \(error.message)"
            throw error
        }
        unlink(records.file.path)
        for shard in result.shards { WorkerLog.line("\(shard.name): \(shard.samples) samples, \(shard.bytes) bytes") }
        let parts = result.split.parts.map { "\($0.name) \(result.samples(of: $0.name)) in \($0.shards.count) shards" }
        WorkerLog.line("split: " + parts.joined(separator: ", "))
        if result.withoutImageToken > 0 {
            WorkerLog.line("warning: \(result.withoutImageToken) samples do not say in their first turn where the image goes (<image>)")
        }
        return made(result, folder: folder)
    }

    private func made(_ result: WebDatasetExport.Result, folder: String) -> PreparePacking.Made {
        func number(_ count: Int) -> JSONValue { .int(Int64(count)) }
        var made = PreparePacking.Made()
        made.outputs["dataset"] = [
            "type": "dataset", "path": .string(folder), "format": .string(Self.format), "rows": number(result.samples),
        ]
        let parts = result.split.parts.map { part in
            (part.name, ["shards": number(part.shards.count), "samples": number(result.samples(of: part.name))] as JSONValue)
        }
        made.summary = [
            "samples": number(result.samples), "shards": number(result.shards.count), "dropped": number(result.dropped),
            "without_image_token": number(result.withoutImageToken), "parts": .array(result.parts.map(JSONValue.string)),
            "split": .object(JSONObject(uniqueKeysWithValues: parts)),
        ]
        made.metrics = [
            (key: "shards/written", value: Double(result.shards.count)), (key: "shards/samples", value: Double(result.samples)),
        ]
        return made
    }
}
