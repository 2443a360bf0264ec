import EventLoop
import HTTPServer
import Service
import Store

/// What of a request goes into the audit log: never its query, its headers or its body, which may hold secrets.
@LoopActor
enum Auditing {
    /// Bytes of a path that are kept.
    private static let pathBytesMax = 500

    /// Notes a request that changes something with the status of its answer.
    ///
    /// - Parameter headers: those of the answer; where it made something, they say where that is.
    static func note(
        _ request: HTTPRequest, _ route: Route, _ parameters: [String], _ caller: Caller, status: Int, headers: HTTPHeaders,
        in service: AnnealService
    ) {
        guard route.isWrite else { return }
        let (kind, name) = caller.audited
        let made = (headers["Location"] ?? headers["Content-Location"]).flatMap { $0.split(separator: "/").last }.map { [String($0)] } ?? []
        // Refused before anything of it was looked at: what such requests name is anybody's invention, and they come in floods.
        let isStranger = status == 401 || status == 429
        let record = AuditRecord(
            at: Store.systemTime(), actorKind: kind, actor: name, address: caller.address, operation: route.operation,
            method: request.method.rawValue, path: isStranger ? route.path : cut(request.path),
            targets: isStranger ? [] : parameters.map(cut) + made, status: status)
        service.audit(record, isFrequent: route.access == .log || isStranger)
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= pathBytesMax ? text : String(decoding: text.utf8.prefix(pathBytesMax), as: UTF8.self) + "…"
    }
}
