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
        /// What the client may see.
        var reach = Reach.everything
        var experiment: String?
        var job: String?
        /// Event types wanted; `nil` for all.
        var types: Set<String>?
        /// Keys of metrics wanted; `nil` for all.
        var keys: [KeyPattern]?

        /// True for events of the stream's subject, whatever their type.
        func covers(_ event: EventRecord) -> Bool {
            (experiment == nil || event.experimentID == experiment) && (job == nil || event.jobID == job)
        }

        func wants(_ event: EventRecord) -> Bool { types?.contains(event.type) ?? true }

        var wantsMetrics: Bool { types?.contains("metric") ?? true }

        /// What is read from the database: states too, since they tell when the stream ends.
        var stored: EventFilter {
            EventFilter(experimentID: experiment, jobID: job, types: types.map { $0.union(["state"]) }, reach: reach)
        }

        /// Its subject, whatever the type of what is told of it.
        var subject: EventFilter { EventFilter(experimentID: experiment, jobID: job, reach: reach) }

        /// Whether an event as it happens says by itself if it is within; else the database is asked.
        var isTold: Bool { reach == .everything || experiment != nil || job != nil }
    }

    private static let pingEvery: Duration = .seconds(15)
    /// After a read that found no room.
    private static let retryPause: Duration = .milliseconds(200)

    private let call: Call
    private let service: AnnealService
    private let filter: Filter
    private let format: StreamFormat
    private let writer: HTTPBodyWriter
    private let frames: FrameCache
    /// What was sent or looked at.
    private var place: StreamPosition
    /// What is still to be told of the curves as they were when the stream began; `nil` before it was looked up.
    private var history: [HistorySeries]?
    /// Points of the history that the client has from an earlier connection.
    private var pointsToSkip = 0
    /// Up to which number the missing points of each job were told of.
    private var gapsTold: [String: Int64] = [:]
    private var isLive = false
    private var isReading = false
    private var isClosed = false
    private var token: EventHub.Token?
    private var ping: LoopTimer?
    private var retry: LoopTimer?

    init(_ call: Call, filter: Filter, format: StreamFormat, after place: StreamPosition) {
        self.call = call
        service = call.service
        self.filter = filter
        self.format = format
        self.place = place
        frames = call.frames
        if case .history(_, let points) = place { pointsToSkip = points }
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
        // Clients come back to the next daemon; this one need not wait for them.
        call.exchange.onShutdown = { self.breakOff() }
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

    private var position: Int64 { place.events }

    /// An event as it happens; only a client that has everything before it gets it from here.
    private func receive(_ event: EventRecord) {
        guard isLive, !isClosed, event.seq > position else { return }
        guard filter.isTold else {
            isLive = false
            return catchUp()
        }
        place = .events(event.seq)
        pass(event)
        if writer.bufferedBytes > ServiceLimits.streamBufferBytesMax { isLive = false }
    }

    /// Sends an event that is wanted, and ends the stream after the event that is its last.
    private func pass(_ event: EventRecord) {
        guard filter.covers(event) else { return }
        if filter.wants(event) {
            let isPlain = place == .events(event.seq)
            let frame =
                isPlain
                ? frames.frame(event, format, keys: filter.keys)
                : frames.render(event, format, keys: filter.keys, id: place.identifier)
            if !frame.isEmpty { writer.write(frame) }
        }
        // A retried subject has earlier ends in its history; only its end as it is now ends the stream.
        if isLive, endsStream(event) { finish() }
    }

    private func resume() {
        if !isLive, !isClosed { catchUp() }
    }

    /// Reads on where the client is: curves first, then the other events; goes live once the client has all that were published.
    private func catchUp() {
        guard !isReading, !goesLiveAtOnce() else { return }
        isReading = true
        Task { @LoopActor in
            defer { isReading = false }
            do {
                if case .history(let snapshot, let points) = place {
                    let goesOn = try await tellHistory(as: snapshot, told: points)
                    isReading = false
                    if goesOn, !isClosed { catchUp() }
                    return
                }
                let (filter, after) = (filter, position)
                // What lies before the snapshot was told with the curves.
                var metricsAfter = after
                if case .catchingUp(let snapshot, _) = place { metricsAfter = snapshot }
                // Looked for with every page: points may be let go while a client is slow.
                let wantsGaps = filter.wantsMetrics
                let (page, newest, gaps) = try await service.streamReads.read { [metricsAfter] reader in
                    (
                        try reader.events(after: after, filter.stored, limit: ServiceLimits.streamPageEvents), try reader.lastEventSeq(),
                        wantsGaps
                            ? try reader.metricGaps(after: metricsAfter, filter.subject)
                            : []
                    )
                }
                isReading = false
                if !gaps.isEmpty, after == 0, place == .events(0) {
                    // The beginning of the story is in the curves alone.
                    place = .history(snapshot: newest, points: 0)
                    return catchUp()
                }
                for gap in gaps { tell(gap, after: metricsAfter) }
                deliver(
                    page.items.filter { $0.metrics == nil || $0.seq > metricsAfter }, upTo: page.items.last?.seq, hasMore: page.hasMore,
                    newest: newest)
            } catch let error as StoreError where error.code == .busy {
                retry = LoopTimer(after: Self.retryPause) { [weak self] in self?.resume() }
            } catch {
                service.log.error("a stream could not read events", metadata: ["error": "\(error)"])
                close()
            }
        }
    }

    /// Makes a stream of everything live without a look at the database, where nothing has happened since the place it begins at.
    private func goesLiveAtOnce() -> Bool {
        guard filter.experiment == nil, filter.job == nil, place == .events(service.hub.latestSequence) else { return false }
        isLive = true
        return true
    }

    /// Tells of the next curve. False where the client has to read first; it goes on when it has.
    private func tellHistory(as snapshot: Int64, told: Int) async throws -> Bool {
        let filter = filter
        if history == nil {
            let all = try await service.streamReads.read { try $0.history(filter.subject) }
            history = all.filter { one in filter.keys.map { $0.contains { $0.matches(one.key) } } ?? true }.reversed()
        }
        guard let one = history?.popLast() else {
            place = .catchingUp(snapshot: snapshot, events: 0)
            return true
        }
        guard let points = try await service.streamReads.read({ try $0.points(of: one, asOf: snapshot) }) else {
            tell(MetricGap(experimentID: one.experimentID, jobID: one.jobID, through: snapshot), after: 0)
            return true
        }
        let skipped = min(pointsToSkip, points.count)
        pointsToSkip -= skipped
        var rest = points[skipped...]
        var count = told
        while !rest.isEmpty, !isClosed {
            let part = rest.prefix(service.store.limits.metricPointsPerEventMax)
            rest = rest.dropFirst(part.count)
            count += part.count
            place = .history(snapshot: snapshot, points: count)
            let event = EventRecord(
                seq: snapshot, at: part[part.endIndex - 1].at, type: "metric", experimentID: one.experimentID, jobID: one.jobID,
                attemptID: one.attemptID, payload: [:], metrics: MetricEvent(attempt: one.attempt, points: part))
            writer.write(frames.render(event, format, keys: nil, id: place.identifier))
        }
        return writer.bufferedBytes <= ServiceLimits.streamBufferBytesMax
    }

    /// Says that points are no longer told one by one, and where they are.
    private func tell(_ gap: MetricGap, after position: Int64) {
        let after = max(position, gapsTold[gap.jobID] ?? 0)
        guard gap.through > after else { return }
        gapsTold[gap.jobID] = gap.through
        let document: JSONValue = [
            "seq": .int(gap.through), "type": "gap", "experiment_id": .string(gap.experimentID), "job_id": .string(gap.jobID),
            "data": [
                "from": .int(after), "to": .int(gap.through), "job_id": .string(gap.jobID),
                "fetch": .string("/v1/metrics?job=\(gap.jobID)&key=*"),
            ],
        ]
        writer.write(format.frame(type: "gap", id: nil, document: document))
    }

    /// - Parameter newest: the newest event of all when the page was read.
    private func deliver(_ page: [EventRecord], upTo last: Int64?, hasMore: Bool, newest: Int64) {
        for event in page where event.seq > position && !isClosed {
            place = place.moved(to: event.seq)
            pass(event)
            // Batches of points can be large; what is not sent now is read again when the client has taken this.
            if writer.bufferedBytes > ServiceLimits.streamBufferBytesMax { return }
        }
        guard !isClosed else { return }
        if let last, last > position { place = place.moved(to: last) }
        if !hasMore {
            place = .events(max(position, newest))
            if service.hub.latestSequence <= position {
                isLive = true
                return finishIfOver()
            }
        }
        // A client that has not read what it got is fed on when it has.
        if writer.bufferedBytes <= ServiceLimits.streamBufferBytesMax { catchUp() }
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
            let isOver = try? await service.streamReads.read { reader in  // A failed look leaves the stream open, which is harmless.
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

    /// Ends the answer without the event that says that there is no more to tell.
    private func breakOff() {
        guard !isClosed else { return }
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
        retry?.cancel()
        writer.onDrain = nil
    }
}
