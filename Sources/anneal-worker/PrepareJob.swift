import Datasets
import Glibc
import JSON

/// A job of kind `prepare`.
struct PrepareJob {
    let context: WorkerContext
    let interruption: Interruption

    /// Does the work and returns the content of outputs.json.
    func run() async throws -> JSONObject {
        let request = try PrepareRequest(context: context)
        let preparation = Preparation(
            source: try await source(request.source), format: request.format, steps: request.steps, isOriginal: request.isOriginal)
        defer { unlink(downloadPath) }
        if let contradiction = preparation.contradiction { throw WorkerFailure.badRequest("/steps", contradiction) }
        var report = ProgressReport(metrics: context.metrics)
        var last = PreparationProgress()
        let result = try preparation.run(
            folder: context.outputFolder, log: WorkerLog.line,
            progress: { progress in
                try interruption.check()
                try report.update(done: progress.done, total: progress.total) { Self.values(progress.steps) }
                last = progress
            },
            runProgram: { run in
                let runner = StepProgram(environment: context.environment, interruption: interruption, log: WorkerLog.line)
                try runner.run(run)
            })
        try interruption.check()
        let ending = [(key: "progress/done", value: Double(last.done)), (key: "progress/total", value: Double(last.total))]
        try context.metrics.append(step: last.done, ending + Self.values(result.steps))
        WorkerLog.line("done")
        return document(result)
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

    private static func json(_ counts: StepCounts) -> JSONValue {
        func numbers(_ values: [String: Int]) -> JSONValue {
            .object(JSONObject(uniqueKeysWithValues: values.sorted { $0.key < $1.key }.map { ($0.key, .int(Int64($0.value))) }))
        }
        var members: JSONObject = [
            "position": .int(Int64(counts.position)), "name": .string(counts.name), "records_in": .int(Int64(counts.recordsIn)),
            "records_out": .int(Int64(counts.recordsOut)),
        ]
        if !counts.dropped.isEmpty { members["dropped"] = numbers(counts.dropped) }
        if !counts.others.isEmpty { members["counts"] = numbers(counts.others) }
        return .object(members)
    }

    private func document(_ result: Preparation.Result) -> JSONObject {
        var outputs = JSONObject()
        var summary: JSONObject = ["records_read": .int(Int64(result.recordsRead)), "errors": .int(Int64(result.issues.count))]
        for output in result.outputs {
            outputs[output.name] = [
                "type": "dataset", "path": .string(output.file.path), "format": .string(output.format.rawValue),
                "rows": .int(Int64(output.file.rows)), "bytes": .int(output.file.bytes), "sha256": .string(output.file.sha256),
            ]
            summary[output.name + "_rows"] = .int(Int64(output.file.rows))
        }
        if !result.steps.isEmpty { summary["steps"] = .array(result.steps.map(Self.json)) }
        if !result.files.isEmpty {
            summary["files"] = .array(
                result.files.map { ["path": .string($0.path), "bytes": .int($0.bytes), "sha256": .string($0.sha256)] })
        }
        if result.issues.count > 0 {
            summary["first_errors"] = .array(
                result.issues.first.map { ["line": .int(Int64($0.line)), "pointer": .string($0.pointer), "detail": .string($0.detail)] })
        }
        return ["outputs": .object(outputs), "summary": .object(summary)]
    }
}
