import APITypes
import ArgumentParser
import JSON
import Terminal

struct Metrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the metrics of a job.",
        discussion: HelpText.discussion(
            """
            Without --key: what there is, with its extremes. With --key: the points of these curves. --csv prints \
            key,attempt,step,time,value.
            """,
            examples: "anneal metrics toy/sft", "anneal metrics toy/sft --key train/loss --points 20",
            "anneal metrics toy/sft --csv > curves.csv",
            "anneal metrics toy/sft --follow --key train/loss"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var job: String

    @Option(help: ArgumentHelp("A metric to print; may be repeated.", valueName: "key"))
    var key: [String] = []

    @Option(help: ArgumentHelp("The most points of a curve; more are thinned so that extremes stay.", valueName: "count"))
    var points: Int?

    @Option(help: ArgumentHelp("Only this attempt.", valueName: "number"))
    var attempt: Int?

    @Flag(name: .shortAndLong, help: "Print the points and go on as they come, until the job ends.")
    var follow = false

    @Flag(help: "Print comma-separated values.")
    var csv = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if csv, shared.json { throw ValidationError("--csv and --json exclude each other") }
        if let points, points < 1 { throw ValidationError("--points must be at least 1") }
        if let attempt, attempt < 1 { throw ValidationError("--attempt counts from 1") }
        if follow, points != nil { throw ValidationError("--points thins what there is; with --follow every point is printed") }
    }

    func run() throws {
        let client = try shared.client()
        let curves = Curves(client: client, jobID: try References(client: client).jobID(job))
        if csv { Output.write("key,attempt,step,time,value\n") }
        if follow { return try followMetrics(curves) }
        if key.isEmpty, !csv {
            let answer = try curves.summary()
            if shared.json { return Output.json(answer.body) }
            return Output.table(MetricTable.table(answer.view.keys), ifEmpty: "no metrics")
        }
        let keys = try key.isEmpty ? curves.summary().view.keys.map(\.key) : key
        for name in keys {
            let answer = try curves.curve(name, points: points, attempt: attempt)
            if shared.json { Output.json(answer.body) } else { show(answer.view) }
        }
    }

    private func show(_ curve: CurveView) {
        if csv {
            for point in curve.points {
                writeCSV(curve.key, attempt: point.attempt, step: point.step, time: point.time, value: point.value)
            }
            return
        }
        Output.line(StyledText(curve.key, .bold))
        let rows: [[StyledText]] = curve.points.map { point in
            [
                StyledText("\(point.step)"), StyledText(NumberText.significant(point.value.number, digits: 6)),
                StyledText("\(point.attempt)", .dim),
            ]
        }
        Output.table(Table([.init("STEP", .right), .init("VALUE", .right), .init("ATTEMPT", .right)], rows: rows), ifEmpty: "no points")
    }

    private func writeCSV(_ key: String, attempt: Int, step: Int, time: Double, value: MetricValue) {
        // RFC 4180 section 2: fields with quotes, commas or line breaks stand in quotes.
        let needsQuotes = key.contains { $0 == "," || $0 == "\"" || $0.isNewline }
        let name = needsQuotes ? "\"" + key.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\"" : key
        Output.write("\(name),\(attempt),\(step),\(NumberText.fixed(time, decimals: 3)),\(value.json.string ?? String(value.number))\n")
    }

    private func followMetrics(_ curves: Curves) throws {
        let client = curves.client
        func isOver() throws -> Bool { StateText.isTerminal(try client.get(JobView.self, ["v1", "jobs", curves.jobID]).view.state) }
        // The stream tells the whole story of a job, so that what there is comes first.
        let events = EventStream(client: client, path: ["v1", "stream"]) { _ in [("job", curves.jobID), ("types", "metric,end")] }
        try events.read(isOver: isOver) { event in
            guard event.name == "metric" else { return .goOn }
            let metric = try event.decoded(StreamEvent.self)
            if shared.json { Output.json(Array(event.data.utf8)) } else { show(try metric.payload(MetricEventData.self)) }
            return .goOn
        }
    }

    private func show(_ data: MetricEventData) {
        guard attempt == nil || attempt == data.attempt else { return }
        let points = data.points.filter { key.isEmpty || key.contains($0.key) }
        if csv {
            for point in points { writeCSV(point.key, attempt: data.attempt, step: point.step, time: point.time, value: point.value) }
            return
        }
        // The points of one step stand beside each other in an event, and so they do on one line.
        var line: (step: Int, text: StyledText)?
        for point in points {
            let text = StyledText("  \(point.key) ", .dim) + StyledText(NumberText.significant(point.value.number))
            if let open = line, open.step == point.step {
                line = (open.step, open.text + text)
            } else {
                if let open = line { Output.line(open.text) }
                line = (point.step, StyledText("step \(point.step)") + text)
            }
        }
        if let line { Output.line(line.text) }
    }
}

extension StreamEvent {
    /// The event's data as `View`.
    func payload<View: Decodable>(_ type: View.Type) throws -> View {
        do {
            return try View(decoding: data)
        } catch {
            throw CommandFailure(.failed, "the data of event \(seq) ('\(self.type)') is not what this version expects: \(error)")
        }
    }
}
