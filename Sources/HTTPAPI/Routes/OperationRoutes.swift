import EventLoop
import HTTPServer
import JSON
import Service

/// Backups, and the removal of what nobody needs.
@LoopActor
enum OperationRoutes {
    static func startBackup(_ call: Call) async throws -> Answer {
        guard let members = try await call.jsonBody(upTo: ServiceLimits.requestBytesMax).object,
            members.keys.allSatisfy({ ["target", "mode"].contains($0) }), let target = members["target"]?.string,
            (1...ServiceLimits.backupTargetLengthMax).contains(target.unicodeScalars.count)
        else {
            throw ServiceError(
                .badRequest,
                "the body must be an object with 'target', a path of up to \(ServiceLimits.backupTargetLengthMax) characters, "
                    + "and, if wanted, 'mode'")
        }
        let text = members["mode"] ?? .string(BackupMode.link.rawValue)
        guard let mode = text.string.flatMap(BackupMode.init(rawValue:)) else {
            let names = BackupMode.allCases.map(\.rawValue).joined(separator: ", ")
            throw ServiceError(
                .badRequest, "'mode' must be one of \(names)", errors: [.init(pointer: "/mode", detail: "must be one of \(names)")])
        }
        return try .json(try await call.service.beginBackup(to: target, mode: mode), status: .accepted, location: "/v1/backup")
    }

    static func backup(_ call: Call) async throws -> Answer { try .json(try call.service.backupStatus()) }

    static func cancelBackup(_ call: Call) async throws -> Answer {
        try call.service.cancelBackup()
        return Answer(status: .noContent, body: [])
    }

    static func garbage(_ call: Call) async throws -> Answer { try .json(try await call.service.garbage()) }

    static func collectGarbage(_ call: Call) async throws -> Answer { try .json(try await call.service.collectGarbage()) }
}
