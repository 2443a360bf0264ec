import JSON

/// How a stream of events is written.
enum StreamFormat: Sendable {
    /// Server-sent events (WHATWG HTML, section 9.2).
    case eventStream
    /// One JSON object a line.
    case lines

    var contentType: String {
        switch self {
        case .eventStream: "text/event-stream; charset=utf-8"
        case .lines: "application/x-ndjson"
        }
    }

    /// One event as bytes.
    ///
    /// - Parameter id: what a client sends back as `Last-Event-ID`; `nil` for an event that cannot be resumed from.
    func frame(type: String, id: String?, document: JSONValue) -> [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .eventStream:
            bytes.append(contentsOf: "event: \(type)\n".utf8)
            if let id { bytes.append(contentsOf: "id: \(id)\n".utf8) }
            bytes.append(contentsOf: "data: ".utf8)
            JSONWriter().append(document, to: &bytes)
            bytes.append(contentsOf: "\n\n".utf8)
        case .lines:
            JSONWriter().append(document, to: &bytes)
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }

    /// What keeps an idle connection alive; empty where the format has no comments.
    var ping: [UInt8] {
        switch self {
        case .eventStream: Array(": ping\n\n".utf8)
        case .lines: []
        }
    }
}
