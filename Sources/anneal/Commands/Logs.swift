import APITypes
import ArgumentParser
import JSON

struct Logs: ParsableCommand {
    /// Which of a worker's outputs to print.
    enum Stream: String, ExpressibleByArgument, CaseIterable {
        case stdout, stderr, all
    }

    static let configuration = CommandConfiguration(
        abstract: "Print what a job's worker wrote.",
        discussion: HelpText.discussion(
            """
            With --follow the command ends with the job, or with the attempt that was asked for. It survives restarts of the daemon. \
            --json prints pieces with their places in the log.
            """,
            examples: "anneal logs toy/sft", "anneal logs toy/sft --follow", "anneal logs toy/sft --stream stderr --tail 50 --attempt 1"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var job: String

    @Flag(name: .shortAndLong, help: "Go on until the job ends.")
    var follow = false

    @Option(help: "Which output to print.")
    var stream = Stream.all

    @Option(help: ArgumentHelp("Begin with the last lines, this many.", valueName: "lines"))
    var tail: Int?

    @Option(help: ArgumentHelp("The attempt's number; the newest by default.", valueName: "number"))
    var attempt: Int?

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if let tail, tail < 0 { throw ValidationError("--tail must not be negative") }
        if let attempt, attempt < 1 { throw ValidationError("--attempt counts from 1") }
    }

    func run() throws {
        let client = try shared.client()
        let id = try References(client: client).jobID(job)
        var query = [("stream", stream.rawValue)]
        if let tail { query.append(("tail", String(tail))) }
        if let attempt { query.append(("attempt", String(attempt))) }
        let path = ["v1", "jobs", id, "logs"]
        if follow || shared.json { return try printEvents(client, path: path, query: query, jobID: id) }
        do {
            try client.stream(path, query: query, headers: [("Accept", "text/plain")]) { chunk in
                Output.write(chunk)
                return true
            }
        } catch let lost as APIClient.ConnectionLost {
            throw lost.reason
        }
    }

    private func printEvents(_ client: APIClient, path: [String], query: [(String, String)], jobID: String) throws {
        let events = EventStream(client: client, path: path) { isResumption in
            // Taken up again, the logs come from their beginning, and what has been printed is passed over: between the
            // connections more than the last lines may have been written, and by another attempt.
            let begin = isResumption ? query.filter { $0.0 != "tail" } : query
            return follow ? begin + [("follow", "true")] : begin
        }
        var printed = PrintedLog()
        try events.read(
            isOver: { try !follow || attempt != nil || StateText.isTerminal(client.get(JobView.self, ["v1", "jobs", jobID]).view.state) },
            onEvent: { event in
                guard event.name == "log" else { return .goOn }
                let piece = try event.decoded(LogEventData.self)
                guard let text = printed.unseen(of: piece) else { return .goOn }
                if shared.json { Output.json(Array(event.data.utf8)) } else { Output.write(text) }
                return .goOn
            })
    }
}

/// How much of each log has been printed, so that pieces which come again after a reconnection are printed once.
private struct PrintedLog {
    private struct Place: Hashable {
        var attempt: String?
        var stream: String
    }

    private var ends: [Place: Int64] = [:]

    /// The part of a piece that is new; `nil` where all of it has been printed.
    mutating func unseen(of piece: LogEventData) -> String? {
        let place = Place(attempt: piece.attemptID, stream: piece.stream)
        let printed = ends[place] ?? 0
        guard piece.end > printed else { return nil }
        ends[place] = piece.end
        let overlap = Int(max(0, printed - piece.offset))
        // Bytes that were not UTF-8 have changed the length; such a piece is printed whole rather than cut at a wrong place.
        guard overlap > 0, Int64(piece.text.utf8.count) == piece.end - piece.offset else { return piece.text }
        return String(decoding: piece.text.utf8.dropFirst(overlap), as: UTF8.self)
    }
}
