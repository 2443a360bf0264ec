import APITypes
import JSON
import Terminal

/// Server-sent events of the daemon, taken up again where they broke off when the connection or the daemon is lost.
struct EventStream {
    /// What to do after an event.
    enum Next {
        case goOn, stop
    }

    let client: APIClient
    let path: [String]
    /// The query of a connection; `true` for one that takes the stream up again.
    let query: (_ isResumption: Bool) -> [(String, String)]

    /// Reads events until `onEvent` says stop, or until a connection has ended and `isOver` says that no more can come.
    ///
    /// - Parameter onConnection: Is told `true` when bytes come, and `false` when the connection is lost.
    func read(
        onConnection: (Bool) -> Void = { _ in }, isOver: () throws -> Bool, onEvent: (ServerSentEvent) throws -> Next
    ) throws {
        var parser = EventStreamParser()
        var outage = Outage()
        var hasConnected = false
        while true {
            var isConnected = false
            do {
                var headers = [("Accept", "text/event-stream")]
                if let id = parser.lastEventID { headers.append(("Last-Event-ID", id)) }
                var next = Next.goOn
                try client.stream(path, query: query(hasConnected), headers: headers) { chunk in
                    if !isConnected { onConnection(true) }
                    isConnected = true
                    hasConnected = true
                    for event in try parser.events(in: chunk) where next == .goOn { next = try onEvent(event) }
                    return next == .goOn
                }
                if next == .stop { return }
                if try isOver() { return }
                // The daemon has told all for now: an attempt has ended and another will follow.
                Outage.pause(seconds: 0.5)
            } catch let lost as APIClient.ConnectionLost {
                if isConnected { outage.end() }
                try retry(after: lost.reason, &outage, hasConnected: hasConnected, onConnection)
            } catch let failure as CommandFailure where failure.status == .unreachable {
                if isConnected { outage.end() }
                try retry(after: failure, &outage, hasConnected: hasConnected, onConnection)
            }
            // A half-read event comes again as a whole.
            parser = EventStreamParser(lastEventID: parser.lastEventID)
        }
    }

    private func retry(after failure: CommandFailure, _ outage: inout Outage, hasConnected: Bool, _ onConnection: (Bool) -> Void) throws {
        guard hasConnected else { throw failure }
        onConnection(false)
        try outage.wait(after: failure)
    }
}

extension ServerSentEvent {
    /// The event's data as `View`; an event that this version cannot read is a failure that says so.
    func decoded<View: Decodable>(_ type: View.Type) throws -> View {
        do {
            return try View(decoding: JSONParser.parse(data))
        } catch {
            throw CommandFailure(.failed, "an event '\(name)' is not what this version expects: \(error)", document: Array(data.utf8))
        }
    }
}
