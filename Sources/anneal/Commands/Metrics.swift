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
            key,attempt,step,time,value. With --follow: a line 'step key value time' for each point, and the exit code is 1 if the \
            job does not succeed; its states, and gaps in what is told, stand on standard error. It survives restarts of the daemon. \
            --delete deletes the named keys of a job that has ended, or all, and gives their space back to the disk.
            """,
            examples: "anneal metrics toy/sft", "anneal metrics toy/sft --key train/loss --points 20",
            "anneal metrics toy/sft --csv > curves.csv",
            "anneal metrics toy/sft --follow --key train/loss", "anneal metrics toy/sft --delete --key 'debug/*'"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var job: String

    @Option(help: ArgumentHelp("A metric; may be repeated. With --follow and --delete, * stands for any characters.", valueName: "key"))
    var key: [String] = []

    @Option(help: ArgumentHelp("The most points of a curve; more are thinned so that extremes stay.", valueName: "count"))
    var points: Int?

    @Option(help: ArgumentHelp("Only this attempt.", valueName: "number"))
    var attempt: Int?

    @Flag(name: .shortAndLong, help: "Print the points and go on as they come, until the job ends.")
    var follow = false

    @Flag(help: "Delete the points instead of printing them.")
    var delete = false

    @Flag(help: "Print comma-separated values.")
    var csv = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if csv, shared.json { throw ValidationError("--csv and --json exclude each other") }
        if let points, points < 1 { throw ValidationError("--points must be at least 1") }
        if let attempt, attempt < 1 { throw ValidationError("--attempt counts from 1") }
        if delete, csv || follow || points != nil {
            throw ValidationError("--delete prints no points: leave --csv, --follow and --points out")
        }
        if follow, points != nil { throw ValidationError("--points thins what there is; with --follow every point is printed") }
    }

    func run() throws {
        let client = try shared.client()
        let curves = Curves(client: client, jobID: try References(client: client).jobID(job))
        if delete { return try deletePoints(of: curves.jobID, client) }
        if csv { MetricLine.writeCSVHeading() }
        if follow { return try MetricFollow(client: client, jobID: curves.jobID, keys: key, attempt: attempt, format: format).run() }
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

    private func deletePoints(of jobID: String, _ client: APIClient) throws {
        let query = key.map { ("key", $0) } + (attempt.map { [("attempt", String($0))] } ?? [])
        let answer = try client.send("DELETE", ["v1", "jobs", jobID, "metrics"], query: query)
        if shared.json { return Output.json(answer) }
        let count = try JSONParser.parse(answer)["deleted"]?.int ?? 0
        Output.write(count == 1 ? "1 point deleted\n" : "\(count) points deleted\n")
    }

    private func show(_ curve: CurveView) {
        if csv {
            for point in curve.points {
                MetricLine.writeCSV(curve.key, attempt: point.attempt, step: point.step, time: point.time, value: point.value)
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

    private var format: MetricFollow.Format { shared.json ? .json : csv ? .csv : .lines }
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
