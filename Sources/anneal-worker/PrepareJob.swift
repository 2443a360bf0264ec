import Datasets
import EventLoop
import Glibc
import JSON

/// A job of kind `prepare`.
struct PrepareJob {
    let context: WorkerContext
    let interruption: Interruption

    /// Does the work and returns the content of outputs.json.
    func run() async throws -> JSONObject {
        let request = try PrepareRequest(context: context)
        if case .pack? = request.ending { try PrepareLengths.check(context) }
        let preparation = Preparation(
            source: try await source(request.source), format: request.format, steps: request.steps, isOriginal: request.isOriginal,
            badRecords: request.badRecords)
        defer { unlink(downloadPath) }
        if let contradiction = preparation.contradiction { throw WorkerFailure.badRequest("/steps", contradiction) }
        let (result, last) = try prepare(preparation)
        let made = try await made(of: result, request.ending)
        try interruption.check()
        let ending = [(key: "progress/done", value: Double(last.done)), (key: "progress/total", value: Double(last.total))]
        try context.metrics.append(step: last.done, ending + Self.values(result.steps) + made.metrics)
        WorkerLog.line("done")
        return PrepareReport(result: result, ending: request.ending, made: made).document
    }

    private func prepare(_ preparation: Preparation) throws -> (Preparation.Result, last: PreparationProgress) {
        var report = ProgressReport(metrics: context.metrics)
        var rate = RecordRate()
        var last = PreparationProgress()
        let result = try preparation.run(
            folder: context.outputFolder, log: WorkerLog.line,
            progress: { progress in
                try interruption.check()
                try report.update(done: progress.done, total: progress.total) {
                    [(key: "progress/records_per_second", value: rate.update(progress.records))] + Self.values(progress.steps)
                }
                last = progress
            },
            runProgram: { run in
                let runner = StepProgram(environment: context.environment, interruption: interruption, log: WorkerLog.line)
                try runner.run(run)
            })
        try interruption.check()
        return (result, last)
    }

    /// What the last step makes of the finished records.
    private func made(of result: Preparation.Result, _ ending: PrepareRequest.Ending?) async throws -> PreparePacking.Made {
        switch ending {
        case nil: return PreparePacking.Made()
        case .pack(let packing)?: return try await packing.run(result.outputs, context: context)
        case .shards(let shards)?:
            guard let records = result.outputs.first, result.outputs.count == 1 else {
                throw WorkerFailure.badRequest(shards.pointer.description, "cannot come after 'split': Energon splits by shards")
            }
            return try shards.run(records, context: context, interruption: interruption)
        }
    }

    private var downloadPath: String { context.outputFolder + "/source.download" }

    private func source(_ source: PrepareRequest.Source) async throws -> Preparation.Source {
        switch source {
        case .files(let paths): return .files(paths)
        case .generator(let generator): return .generator(generator)
        case .interleave(let interleaving): return .interleave(interleaving)
        case .url(let url, let sha256):
            WorkerLog.line("fetching \(url)")
            let file = try await Download.fetch(url, sha256: sha256, to: downloadPath, interruption: interruption)
            WorkerLog.line("fetched \(file.bytes) bytes, sha256 \(file.sha256)")
            return .files([downloadPath])
        }
    }

    /// The metrics of the steps, such as `steps/2_filters/records_out`.
    private static func values(_ steps: [StepCounts]) -> [(key: String, value: Double)] {
        steps.flatMap { step in
            let prefix = "steps/\(step.position)_\(step.name)/"
            return [
                (key: prefix + "records_in", value: Double(step.recordsIn)), (key: prefix + "records_out", value: Double(step.recordsOut)),
                (key: prefix + "records_dropped", value: Double(step.droppedTotal)),
            ]
        }
    }
}

/// How many records are read in a second, from one report to the next.
private struct RecordRate {
    private var lastTime = SystemTime.monotonicNanoseconds()
    private var lastRecords = 0

    mutating func update(_ records: Int) -> Double {
        let now = SystemTime.monotonicNanoseconds()
        defer { (lastTime, lastRecords) = (now, records) }
        return now > lastTime ? Double(records - lastRecords) * 1e9 / Double(now - lastTime) : 0
    }
}
