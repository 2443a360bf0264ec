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
        let result = try preparation.run(
            folder: context.outputFolder, log: WorkerLog.line,
            progress: { done, total in
                try interruption.check()
                try report.update(done: done, total: total)
            })
        try interruption.check()
        WorkerLog.line("done")
        return document(result)
    }

    private var downloadPath: String { context.outputFolder + "/source.download" }

    private func source(_ source: PrepareRequest.Source) async throws -> Preparation.Source {
        switch source {
        case .files(let paths): return .files(paths)
        case .generator(let generator): return .generator(generator)
        case .url(let url, let sha256):
            WorkerLog.line("fetching \(url)")
            let file = try await Download.fetch(url, sha256: sha256, to: downloadPath, interruption: interruption)
            WorkerLog.line("fetched \(file.bytes) bytes, sha256 \(file.sha256)")
            return .files([downloadPath])
        }
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
        if result.issues.count > 0 {
            summary["first_errors"] = .array(
                result.issues.first.map { ["line": .int(Int64($0.line)), "pointer": .string($0.pointer), "detail": .string($0.detail)] })
        }
        return ["outputs": .object(outputs), "summary": .object(summary)]
    }
}
