import EventLoop
import HTTPServer
import Service
import Specification

/// Experiments that leave for another daemon, and that come from one.
@LoopActor
enum TransferRoutes {
    /// Bytes that may wait for the disk before the socket is read no further.
    private static let unwrittenBytesMax = 4 * 1024 * 1024

    static func export(_ call: Call) {
        Task { @LoopActor in
            do {
                let artifacts = try call.choice("artifacts", as: ExportChoice.Artifacts.self) ?? .all
                let checkpoints = call.query("checkpoints") == nil ? true : try call.flag("checkpoints")
                let export = try await call.service.beginExport(
                    call.parameter(), ExportChoice(artifacts: artifacts, checkpoints: checkpoints))
                defer { call.service.endExport(export) }
                var headers = HTTPHeaders()
                headers.set("Content-Type", "application/x-tar")
                headers.set("Content-Disposition", "attachment; filename=\"\(call.parameter()).tar\"")
                let transfers = call.service.transfers
                try await FileStreaming.send(call, headers: headers) { try await transfers.run { try export.next() } }
            } catch {
                call.fail(error)
            }
        }
    }

    static func `import`(_ call: Call) {
        do {
            let project = call.query("project")
            if let project, !NameRule.experiment.matches(project) {
                throw Call.invalid("project", "must be \(NameRule.experiment.description)")
            }
            let request = ImportRequest(project: project, copies: try call.flag("copy"))
            let announced = call.request.headers["content-length"].flatMap { Int64($0) }
            receive(try call.service.beginImport(announcedBytes: announced), request, call)
        } catch {
            call.fail(error)
        }
    }

    private static func receive(_ intake: ExperimentIntake, _ request: ImportRequest, _ call: Call) {
        let exchange = call.exchange
        exchange.bodyBytesMax = ImportLimits.standard.bytesMax
        exchange.streamBody { bytes in
            intake.append(bytes) { if intake.pendingBytes < unwrittenBytesMax { exchange.resumeBody() } }
            if intake.pendingBytes >= unwrittenBytesMax { exchange.pauseBody() }
        } onEnd: { error in
            if let error {
                intake.discard()
                let isTooLarge = if case .tooLarge = error { true } else { false }
                call.fail(ServiceError(isTooLarge ? .tooLarge : .badRequest, "the archive was not taken: \(error)"))
                return
            }
            call.task {
                let view = try await intake.finish(request, within: call.caller.reach)
                let isNew = !view.alreadyThere
                return try .json(view, status: isNew ? .created : .ok, location: isNew ? "/v1/experiments/\(view.id)" : nil)
            }
        }
    }
}
