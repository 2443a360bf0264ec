import APITypes
import Domain
import JSON
import Terminal

/// Prints the points of a job, those there are and those that come, until the job ends.
struct MetricFollow {
    enum Format {
        case lines, csv, json
    }

    /// The data of a `gap` event: what the stream cannot tell any more.
    private struct Gap: Decodable {
        /// The request that tells it.
        var fetch: String?
    }

    let client: APIClient
    let jobID: String
    let keys: [String]
    let attempt: Int?
    let format: Format

    /// Throws where the job did not succeed.
    func run() throws {
        let query = [("job", jobID), ("types", "metric,state")] + keys.map { ("key", $0) }
        // The stream tells the whole story of a job, so that what there is comes first.
        let events = EventStream(client: client, path: ["v1", "stream"]) { _ in query }
        var end: JobView?
        var width = 0
        var isLost = false
        try events.read(
            onConnection: { isConnected in
                // Each try fails anew, and is told once.
                if isConnected, isLost { Output.complain("anneal: the daemon answers again") }
                if !isConnected, !isLost { Output.complain("anneal: the daemon does not answer; the job goes on, trying again") }
                isLost = !isConnected
            },
            isOver: {
                let job = try client.get(JobView.self, ["v1", "jobs", jobID]).view
                if StateText.isTerminal(job.state) { end = job }
                return end != nil
            },
            onEvent: { event in
                try show(event, keyWidth: &width)
                return .goOn
            })
        if let end { try Self.check(end) }
    }

    private static func check(_ job: JobView) throws {
        guard job.state != "succeeded" else { return }
        let verb = ["failed": "failed", "lost": "is lost"][job.state] ?? "was \(job.state)"
        throw CommandFailure(.failed, "the job '\(job.experiment)/\(job.name)' \(verb)" + (job.message.map { ": \($0)" } ?? ""))
    }

    private func show(_ event: ServerSentEvent, keyWidth: inout Int) throws {
        if event.name == "gap" { try tellGap(event) }
        if case .json = format { return Output.json(Array(event.data.utf8)) }
        switch event.name {
        case "metric":
            let data = try event.decoded(StreamEvent.self).payload(MetricEventData.self)
            guard attempt == nil || attempt == data.attempt else { return }
            for point in data.points {
                if case .csv = format {
                    MetricLine.writeCSV(point.key, attempt: data.attempt, step: point.step, time: point.time, value: point.value)
                } else {
                    MetricLine.write(point, keyWidth: &keyWidth)
                }
            }
        case "state": try tellState(event.decoded(StreamEvent.self))
        default: break
        }
    }

    private func tellGap(_ event: ServerSentEvent) throws {
        let gap = try event.decoded(StreamEvent.self).payload(Gap.self)
        let place = gap.fetch.map { "GET \($0)" } ?? "'anneal metrics'"
        Output.complain(
            "anneal: some points were thinned before they could be told here; what is left of them is in \(place)".withoutControls)
    }

    private func tellState(_ event: StreamEvent) throws {
        // The states of attempts are told by those of their job.
        guard event.attemptID == nil else { return }
        let data = try event.payload(StateEventData.self)
        let reason = StateText.reason(data.reason, of: data.state).text(coloured: false)
        let text = "\(event.at.dropFirst(11).prefix(8))Z \(data.state)\(reason)" + (data.message.map { ": \($0)" } ?? "")
        Output.complain(text.withoutControls)
    }
}

/// One point of a curve as a line of text.
enum MetricLine {
    /// `step key value time`: lined up on a terminal, elsewhere with single spaces and every digit.
    static func write(_ point: MetricEventPoint, keyWidth: inout Int) {
        let time = moment(point.time)
        guard Output.terminal.isTerminal else {
            return Output.write("\(point.step) \(point.key) \(exact(point.value)) \(time)".withoutControls + "\n")
        }
        keyWidth = max(keyWidth, point.key.displayWidth)
        let value = StyledText(NumberText.significant(point.value.number, digits: 6), point.value.number.isFinite ? nil : .red)
        Output.line(
            StyledText("\(point.step)").padded(to: 8, alignment: .right) + "  "
                + StyledText(point.key, .dim).padded(to: keyWidth, alignment: .left) + "  " + value.padded(to: 12, alignment: .right)
                + StyledText("  \(time)", .dim))
    }

    static func writeCSVHeading() { Output.write("key,attempt,step,time,value\n") }

    static func writeCSV(_ key: String, attempt: Int, step: Int, time: Double, value: MetricValue) {
        // RFC 4180 section 2: fields with quotes, commas or line breaks stand in quotes.
        let needsQuotes = key.contains { $0 == "," || $0 == "\"" || $0.isNewline }
        let name = needsQuotes ? "\"" + key.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\"" : key
        Output.write("\(name),\(attempt),\(step),\(NumberText.fixed(time, decimals: 3)),\(exact(value))\n")
    }

    private static func exact(_ value: MetricValue) -> String { value.json.string ?? String(value.number) }

    /// RFC 3339; a dash for a time that no calendar has.
    private static func moment(_ seconds: Double) -> String {
        guard seconds.magnitude < 1e11 else { return "–" }
        return Timestamp(milliseconds: Int64((seconds * 1000).rounded())).description
    }
}
