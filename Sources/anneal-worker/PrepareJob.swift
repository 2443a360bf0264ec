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
        do {
            let document = try await prepare()
            PartialDownload.remove(downloadPath)
            return document
        } catch {
            // Another attempt goes on with what has come, unless it would fail for the same reason.
            let code = WorkerFailure(error).exitCode
            if code == WorkerFailure.ExitCode.badData || code == WorkerFailure.ExitCode.badRequest { PartialDownload.remove(downloadPath) }
            throw error
        }
    }

    private func prepare() async throws -> JSONObject {
        let request = try PrepareRequest(context: context)
        if case .pack? = request.ending { try PrepareLengths.check(context) }
        var preparation = Preparation(
            source: .files([]), format: request.format, steps: request.steps, isOriginal: request.isOriginal, badRecords: request.badRecords
        )
        if case .generator(let generator) = request.source { preparation.source = .generator(generator) }
        if let contradiction = preparation.contradiction { throw WorkerFailure.badRequest("/steps", contradiction) }
        preparation.source = try await source(request.source)
        // Steps over what was fetched are further progress after that of the download.
        let fetched = if case .url = request.source { try FileReader(path: downloadPath).size } else { 0 }
        let isAsFetched = if case .url = request.source { request.steps.isEmpty && request.ending == nil } else { false }
        if isAsFetched, let result = try unchanged(format: request.format) {
            return PrepareReport(result: result, ending: nil, made: PreparePacking.Made()).document
        }
        let (result, last) = try prepare(preparation, fetched: fetched)
        let made = try await made(of: result, request.ending)
        try interruption.check()
        let (done, total) = (fetched + last.done, fetched + last.total)
        let ending = [(key: "progress/done", value: Double(done)), (key: "progress/total", value: Double(total))]
        try context.metrics.append(step: done, ending + Self.values(result.steps) + made.metrics)
        WorkerLog.line("done")
        return PrepareReport(result: result, ending: request.ending, made: made).document
    }

    /// - Parameter fetched: bytes of progress that came before.
    private func prepare(_ preparation: Preparation, fetched: Int) throws -> (Preparation.Result, last: PreparationProgress) {
        var report = ProgressReport(metrics: context.metrics)
        var rate = RecordRate()
        var last = PreparationProgress()
        let result = try preparation.run(
            folder: context.outputFolder, log: WorkerLog.line,
            progress: { progress in
                try interruption.check()
                try report.update(done: fetched + progress.done, total: fetched + progress.total) {
                    [(key: "progress/records_per_second", value: rate.update(progress.records))] + Self.values(progress.steps)
                }
                last = progress
            },
            runProgram: { run in
                let runner = StepProgram(environment: context.environment, interruption: interruption)
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
        case .url(let url, let sha256, let bytesMax):
            WorkerLog.line("fetching \(url)")
            let progress = await DownloadProgress(metrics: context.metrics)
            let download = await Download(
                url: url, sha256: sha256, bytesMax: bytesMax ?? DownloadLimits.bytesUsual, interruption: interruption, progress: progress)
            let file = try await download.fetch(to: downloadPath)
            try await progress.end(file.bytes)
            WorkerLog.line("fetched \(file.bytes) bytes, sha256 \(file.sha256)")
            if let complaint = try DatasetInspection.complaint(aboutFile: downloadPath) {
                throw WorkerFailure.badData("what came from \(url) \(complaint)")
            }
            return .files([downloadPath])
        }
    }

    /// What was fetched as it is, where it is sound JSON Lines: a file that no step changes keeps its bytes and its hash.
    private func unchanged(format: DatasetFormat?) throws -> Preparation.Result? {
        let facts = try DatasetInspection.inspect(path: downloadPath, format: format)
        guard facts.errorCount == 0, facts.rows > 0, let found = facts.format else { return nil }
        let path = context.outputFolder + "/dataset.jsonl"
        guard rename(downloadPath, path) == 0 else { throw FileError(call: "rename", path: path, code: errno) }
        let total = Double(facts.bytes * 2)
        try context.metrics.append(
            step: Int(facts.bytes * 2), [(key: "progress/done", value: total), (key: "progress/total", value: total)])
        WorkerLog.line("\(facts.rows) records of format \(found.rawValue), kept byte for byte")
        let file = WrittenFile(path: path, rows: facts.rows, bytes: facts.bytes, sha256: facts.sha256)
        return Preparation.Result(
            outputs: [.init(name: "dataset", format: found, file: file)], recordsRead: facts.rows, issues: DatasetIssueLog(), steps: [],
            files: [])
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
