/// One server-sent event.
public struct ServerSentEvent: Sendable, Equatable {
    /// The `event:` field; `message` where the stream gives none.
    public var name: String
    /// The `data:` lines, joined by line feeds.
    public var data: String
    /// The last `id:` seen on the stream so far.
    public var id: String?
}

/// Reads server-sent events from the bytes of a `text/event-stream` body (WHATWG HTML, section 9.2.6), however they are cut.
public struct EventStreamParser: Sendable {
    /// An event larger than the limit.
    public struct TooLarge: Error, Sendable, Equatable {}

    /// The most bytes of one event that are held.
    public static let eventBytesMax = 8 << 20

    /// The `id:` to send as `Last-Event-ID` when the stream is taken up again.
    public private(set) var lastEventID: String?
    /// The wait in milliseconds before a reconnection, where the server named one.
    public private(set) var retryMilliseconds: Int?

    private var line: [UInt8] = []
    private var previousWasReturn = false
    private var isAtStart = true
    private var name = ""
    private var data: [String] = []
    private var eventBytes = 0
    private var pendingID: String?

    public init(lastEventID: String? = nil) {
        self.lastEventID = lastEventID
        pendingID = lastEventID
    }

    /// Takes the next bytes and returns the events that they complete.
    public mutating func events(in bytes: some Sequence<UInt8>) throws(TooLarge) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            // A line ends with CR, LF or CRLF.
            if byte == 0x0A, previousWasReturn { previousWasReturn = false; continue }
            previousWasReturn = byte == 0x0D
            if byte == 0x0A || byte == 0x0D {
                if let event = endLine() { events.append(event) }
                continue
            }
            line.append(byte)
            eventBytes += 1
            guard eventBytes <= Self.eventBytesMax else { throw TooLarge() }
        }
        return events
    }

    private mutating func endLine() -> ServerSentEvent? {
        if isAtStart, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        isAtStart = false
        defer { line.removeAll(keepingCapacity: true) }
        if line.isEmpty { return dispatch() }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        var value = line[colon...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        field(String(decoding: line[..<colon], as: UTF8.self), value: String(decoding: value, as: UTF8.self))
        return nil
    }

    private mutating func field(_ field: String, value: String) {
        switch field {
        case "event": name = value
        case "data": data.append(value)
        case "id": if !value.contains("\0") { pendingID = value }
        case "retry": if let wait = Int(value), wait >= 0 { retryMilliseconds = wait }
        default: break  // An empty field name is a comment, such as a ping; others are passed over.
        }
    }

    private mutating func dispatch() -> ServerSentEvent? {
        defer {
            name = ""
            data = []
            eventBytes = 0
        }
        lastEventID = pendingID
        guard !data.isEmpty else { return nil }
        return ServerSentEvent(name: name.isEmpty ? "message" : name, data: data.joined(separator: "\n"), id: lastEventID)
    }
}
