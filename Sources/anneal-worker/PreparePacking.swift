import Datasets
import EventLoop
import JSON
import Packing

/// The step `pack`: a plan of which records share a training sequence.
struct PreparePacking {
    enum Method: String, CaseIterable { case sft, dpo }

    /// Where the step stands in the spec.
    var pointer: JSONPointer
    /// The folder of the model.
    var model: String
    var method: Method
    var options: PackingOptions
    var globalBatchSize: Int?
    var chatTemplate: String?
    var onlyFinalTurn: Bool

    init(_ settings: RequestFields, _ inputs: (JSONPointer) -> String?) throws(WorkerFailure) {
        pointer = settings.pointer
        // A model is resolved to its folder as a dataset is to its file.
        model = try settings.dataset("model", inputs)
        method = try settings.word("method", Method.self) ?? .sft
        let range = 1...PackingOptions.capacityMax
        guard let capacity = try settings.int("capacity", in: range) else { throw settings.failure("capacity", "is missing") }
        options = PackingOptions(capacity: capacity)
        options.packer = try settings.word("packer", Packer.self) ?? .firstFitDecreasing
        options.seed = try settings.int("seed") ?? 42
        options.minBinCount = try settings.int("min_bin_count", in: 0...PackingOptions.capacityMax)
        options.binCountMultiple = try settings.int("bin_count_multiple", in: range)
        options.padMultiple = try settings.int("pad_multiple", in: range) ?? 1
        options.maxSequenceLength = try settings.int("max_length", in: range) ?? (method == .dpo ? capacity / 2 : nil)
        options.overlong = try settings.word("overlong", PackingOptions.Overlong.self) ?? .refuse
        globalBatchSize = try settings.int("global_batch_size", in: 1...1_048_576)
        chatTemplate = try settings.string("chat_template")
        onlyFinalTurn = try settings.bool("only_final_turn") ?? false
    }

    /// What was made of the datasets.
    struct Made {
        /// Outputs of the job by name.
        var outputs = JSONObject()
        var summary = JSONObject()
        var metrics: [(key: String, value: Double)] = []
    }

    /// Plans each dataset, and writes the plans beside them.
    @LoopActor
    func run(_ datasets: [Preparation.Output], context: WorkerContext) async throws -> Made {
        var made = Made()
        for dataset in datasets {
            let isOnly = datasets.count == 1
            WorkerLog.line("measuring \(dataset.file.rows) records of \(dataset.name) by the tokenizer of \(model)")
            let measured = try await PrepareLengths(context: context, packing: self).measure(dataset.file.path, name: dataset.name)
            let plan = try plan(measured, dataset: dataset)
            let path = isOnly ? "\(context.outputFolder)/plan.jsonl" : "\(context.outputFolder)/plan-\(dataset.name).jsonl"
            let file = try Self.write(plan, provenance: measured.provenance, path: path)
            made.outputs[isOnly ? "plan" : "plan.\(dataset.name)"] = [
                "type": "file", "path": .string(path), "sha256": .string(file.sha256),
            ]
            let isTraining = dataset.name == "dataset" || dataset.name == "train"
            add(plan.statistics, of: dataset.name, isTraining: isTraining, isOnly: isOnly, to: &made)
        }
        return made
    }

    private func plan(_ measured: PrepareLengths.Measured, dataset: Preparation.Output) throws(WorkerFailure) -> PackingPlan {
        do throws(PackingError) {
            return try PackingPlan.make(lengths: measured.lengths, options: options)
        } catch {
            let name = dataset.file.path.split(separator: "/").last.map(String.init) ?? dataset.name
            guard error.code == .badData else { throw .badRequest(pointer.description, error.message) }
            guard let record = error.record, measured.lines.indices.contains(record) else { throw .badData("\(name): \(error.message)") }
            let line = measured.lines[record]
            throw .badData(
                "\(name), line \(line): \(error.message); 'overlong: drop' would leave it out",
                issues: [DatasetIssue(line: line, detail: error.message)])
        }
    }

    private static func write(_ plan: PackingPlan, provenance: PackingProvenance, path: String) throws -> WrittenFile {
        let file = try DatasetWriter(path: path)
        try PackingPlanWriter(plan, provenance: provenance).write { try file.append(line: copy $0) }
        return try file.finish()
    }

    private func add(_ statistics: PackingStatistics, of name: String, isTraining: Bool, isOnly: Bool, to made: inout Made) {
        var document = statistics.json(capacity: options.capacity).object ?? [:]
        let prefix = isOnly ? "packing/" : "packing/\(name)/"
        made.metrics += [
            (key: prefix + "bins", value: Double(statistics.binCount)),
            (key: prefix + "sequences", value: Double(statistics.sequenceCount)),
            (key: prefix + "packing_factor", value: statistics.sequencesPerBin),
            (key: prefix + "average_utilization", value: statistics.averageUtilization),
            (key: prefix + "bin_efficiency", value: statistics.binEfficiency),
            (key: prefix + "dropped", value: Double(statistics.droppedCount)),
        ]
        var text = "packed \(name): \(statistics.sequenceCount) sequences into \(statistics.binCount) bins of \(options.capacity) tokens"
        text += "; packing factor \(Self.rounded(statistics.sequencesPerBin)), "
        text += "efficiency \(Self.rounded(statistics.averageUtilization * 100)) %"
        if statistics.droppedCount > 0 { text += "; \(statistics.droppedCount) too long and left out" }
        WorkerLog.line(text)
        if isTraining, let globalBatchSize {
            let rescaled = statistics.rescaledGlobalBatchSize(globalBatchSize, multipleOf: options.binCountMultiple ?? 1)
            document["global_batch_size"] = .int(Int64(globalBatchSize))
            document["rescaled_global_batch_size"] = .int(Int64(rescaled))
            document["exact_global_batch_size"] = .double(statistics.exactGlobalBatchSize(globalBatchSize))
            made.metrics.append((key: prefix + "rescaled_global_batch_size", value: Double(rescaled)))
            WorkerLog.line("a global batch of \(globalBatchSize) samples is one of \(rescaled) bins")
            if statistics.binCount < rescaled {
                WorkerLog.line("warning: the \(statistics.binCount) bins are fewer than one global batch; no step could be made of them")
            }
        }
        made.summary[name] = .object(document)
    }

    private static func rounded(_ number: Double) -> String { "\((number * 100).rounded() / 100)" }
}
