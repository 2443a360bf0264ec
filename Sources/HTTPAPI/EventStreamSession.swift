import APITypes
import Domain
import EventLoop
import HTTPServer
import JSON
import Service
import Store

/// One client that listens to events: history first, then live, without a gap and without a repeat.
///
/// Events come from the database until the client has all of them, then straight from the hub. A client that reads too slowly
/// falls back to the database and is fed at its own pace, so its unsent bytes stay bounded and it still misses nothing.
@LoopActor
final class EventStreamSession {
    struct Filter: Sendable {
        var experiment: String?
        var job: String?
        /// Event types wanted; `nil` for all.
        var types: Set<String>?

        /// True for events of the stream's subject, whatever their type.
        func covers(_ event: EventRecord) -> Bool {
            (experiment == nil || event.experimentID == experiment) && (job == nil || event.jobID == job)
        }

        func wants(_ event: EventRecord) -> Bool { types?.contains(event.type) ?? true }

        /// What is read from the database: states too, since they tell when the stream ends.
        var stored: EventFilter { EventFilter(experimentID: experiment, jobID: job, types: types.map { $0.union(["state"]) }) }
    }

    private static let pingEvery: Duration = .seconds(15)

    private let call: Call
    private let service: AnnealService
    private let filter: Filter
    private let format: StreamFormat
    private let writer: HTTPBodyWriter
    /// The sequence number of the last event that was sent or looked at.
    private var position: Int64
    private var isLive = false
    private var isReading = false
    private var isClosed = false
    private var token: EventHub.Token?
    private var ping: LoopTimer?

    init(_ call: Call, filter: Filter, format: StreamFormat, after position: Int64) {
        self.call = call
        service = call.service
        self.filter = filter
        self.format = format
        self.position = position
        var headers = HTTPHeaders()
        headers.set("Content-Type", format.contentType)
        headers.set("Cache-Control", "no-store")
        // Proxies such as nginx would otherwise hold events back.
        headers.set("X-Accel-Buffering", "no")
        writer = call.exchange.startStreaming(.ok, headers: headers)
    }

    /// Runs until the client goes, the subject of the stream ends, or the daemon stops.
    func start() {
        call.exchange.onDisconnect = { self.close() }
        writer.onDrain = { self.resume() }
        token = service.hub.listen { event in self.receive(event) }
        ping = LoopTimer(after: Self.pingEvery, every: Self.pingEvery) { [weak self] in self?.sendPing() }
        if format.ping.isEmpty == false { writer.write(format.ping) }
        catchUp()
    }

    private func sendPing() {
        guard !isClosed, writer.bufferedBytes == 0, !format.ping.isEmpty else { return }
        writer.write(format.ping)
    }

    /// An event as it happens; only a client that has everything before it gets it from here.
    private func receive(_ event: EventRecord) {
        guard isLive, !isClosed, event.seq > position else { return }
        position = event.seq
        pass(event)
        if writer.bufferedBytes > ServiceLimits.streamBufferBytesMax { isLive = false }
    }

    /// Sends an event that is wanted, and ends the stream after the event that is its last.
    private func pass(_ event: EventRecord) {
        guard filter.covers(event) else { return }
        if filter.wants(event) { writer.write(format.frame(type: event.type, id: event.seq, document: document(event))) }
        // A retried subject has earlier ends in its history; only its end as it is now ends the stream.
        if isLive, endsStream(event) { finish() }
    }

    private func resume() {
        if !isLive, !isClosed { catchUp() }
    }

    /// Reads the next page of events; goes live once the client has all that were published.
    private func catchUp() {
        guard !isReading else { return }
        isReading = true
        let (filter, after) = (filter, position)
        Task { @LoopActor in
            defer { isReading = false }
            do {
                let (page, newest) = try await service.store.read { reader in
                    (try reader.events(after: after, filter.stored, limit: ServiceLimits.streamPageEvents), try reader.lastEventSeq())
                }
                isReading = false
                deliver(page.items, hasMore: page.hasMore, newest: newest)
            } catch {
                service.log.error("a stream could not read events", metadata: ["error": "\(error)"])
                close()
            }
        }
    }

    /// - Parameter newest: the newest event of all when the page was read.
    private func deliver(_ page: [EventRecord], hasMore: Bool, newest: Int64) {
        for event in page where event.seq > position && !isClosed {
            position = event.seq
            pass(event)
        }
        guard !isClosed else { return }
        if !hasMore {
            position = max(position, newest)
            if service.hub.latestSequence <= position {
                isLive = true
                return finishIfOver()
            }
        }
        // A client that has not read what it got is fed on when it has.
        if writer.bufferedBytes <= ServiceLimits.streamBufferBytesMax { catchUp() }
    }

    private func document(_ event: EventRecord) -> JSONValue {
        var members: JSONObject = ["seq": .int(event.seq), "type": .string(event.type), "at": .string(event.at.description)]
        members["experiment_id"] = event.experimentID.map(JSONValue.string) ?? .null
        members["job_id"] = event.jobID.map(JSONValue.string) ?? .null
        members["attempt_id"] = event.attemptID.map(JSONValue.string) ?? .null
        var data = event.payload
        // How far the job is now travels with its metrics; it is not part of the record.
        if event.type == "metric", let job = event.jobID, let progress = service.progressDocument(job), case .object(var fields) = data {
            fields["progress"] = progress
            data = .object(fields)
        }
        members["data"] = data
        return .object(members)
    }

    // MARK: The end

    /// True for the event after which a filtered stream has nothing more to tell.
    private func endsStream(_ event: EventRecord) -> Bool {
        guard event.type == "state", event.attemptID == nil, let state = event.payload["state"]?.string else { return false }
        if let job = filter.job { return event.jobID == job && JobState(rawValue: state)?.isTerminal == true }
        guard filter.experiment != nil, event.jobID == nil else { return false }
        return ExperimentState(rawValue: state)?.isTerminal == true
    }

    /// Ends a stream whose subject had ended before the stream began.
    private func finishIfOver() {
        guard filter.experiment != nil || filter.job != nil else { return }
        let filter = filter
        Task { @LoopActor in
            let isOver = try? await service.store.read { reader in  // A failed look leaves the stream open, which is harmless.
                if let job = filter.job { return try reader.job(job)?.state.isTerminal ?? true }
                return try filter.experiment.flatMap { try reader.experiment($0) }?.state.isTerminal ?? true
            }
            if isOver == true, !isClosed { finish() }
        }
    }

    private func finish() {
        guard !isClosed else { return }
        writer.write(format.frame(type: "end", id: nil, document: ["type": "end", "seq": .int(position), "data": [:]]))
        writer.finish()
        release()
    }

    private func close() {
        guard !isClosed else { return }
        writer.abort()
        release()
    }

    private func release() {
        isClosed = true
        token.map(service.hub.cancel)
        ping?.cancel()
        writer.onDrain = nil
    }
}
