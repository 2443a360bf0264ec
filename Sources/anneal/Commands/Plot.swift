import APITypes
import ArgumentParser
import JSON
import Terminal

struct Plot: ParsableCommand {
    /// Points of a curve that is smoothed: a mean over what the daemon has thinned to its extremes would be a mean of extremes.
    private static let smoothedPoints = 10_000
    private static let pointsMax = 100_000
    private static let columnsMax = 120

    static let configuration = CommandConfiguration(
        abstract: "Draw the curves of jobs.",
        discussion: HelpText.discussion(
            """
            Without --key the training and validation loss are drawn, or the first metric where there is none. Values that are not \
            finite leave a gap. With --follow the chart is drawn anew until the jobs end; where the output is no terminal, it is \
            printed once they have.
            """,
            examples: "anneal plot toy/sft", "anneal plot toy/sft-1 toy/sft-2 --key train/loss --smooth 0.9 --log",
            "anneal plot toy/sft --key 'reward/*' --by time --follow"))

    @Argument(help: ArgumentHelp("Jobs as EXPERIMENT/JOB or by their ids.", valueName: "job"))
    var jobs: [String]

    @Option(help: ArgumentHelp("A metric to draw; may be repeated. * stands for any characters.", valueName: "key"))
    var key: [String] = []

    @Flag(help: "Draw the values on a logarithmic axis.")
    var log = false

    @Option(help: ArgumentHelp("Smooth the curves by an exponential mean: from 0, not at all, to 1, the mean so far.", valueName: "0..1"))
    var smooth = 0.0

    @Option(help: "What the x axis stands for: steps, or the time since the job's first point.")
    var by = PlotChart.Axis.step

    @Option(help: ArgumentHelp("The most points of a curve; more are thinned so that extremes stay.", valueName: "count"))
    var points: Int?

    @Option(help: ArgumentHelp("Columns; those of the terminal by default.", valueName: "columns"))
    var width: Int?

    @Option(help: ArgumentHelp("Rows with axes and legend.", valueName: "rows"))
    var height = 18

    @Flag(name: .shortAndLong, help: "Draw the chart anew until the jobs end.")
    var follow = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard (BraillePlot.smallest.rows...500).contains(height) else {
            throw ValidationError("--height must be from \(BraillePlot.smallest.rows) to 500")
        }
        guard (BraillePlot.smallest.columns...2000).contains(width ?? 80) else {
            throw ValidationError("--width must be from \(BraillePlot.smallest.columns) to 2000")
        }
        guard (0...1).contains(smooth) else { throw ValidationError("--smooth must be from 0 to 1") }
        guard (1...Self.pointsMax).contains(points ?? 1) else { throw ValidationError("--points must be from 1 to \(Self.pointsMax)") }
        if follow, shared.json { throw ValidationError("--follow draws; the data as it comes is told by 'anneal metrics --follow --json'") }
    }

    func run() throws {
        let client = try shared.client()
        let references = References(client: client)
        var ids: [String] = []
        for id in try jobs.map(references.jobID) where !ids.contains(id) { ids.append(id) }
        let columns = columns(terminal: Output.columns)
        // A braille character is two points wide.
        let points = points ?? (smooth > 0 ? Self.smoothedPoints : columns * 2)
        let source = CurveSource(client: client, jobIDs: ids, keys: key, axis: by, points: points)
        if follow {
            let following = PlotFollow(source: source) { chart(terminal: $0, $1) }
            if Output.terminal.canRedraw { return try following.run() }
            try following.waitForEnd()
        }
        let views = try source.jobs()
        guard let answer = try source.curves(), !answer.view.curves.isEmpty else { throw try source.failure(views) }
        if shared.json { return Output.json(answer.body) }
        for key in source.missingKeys(in: answer.view.curves) { Output.complain("anneal: there is no metric '\(key)'".withoutControls) }
        Output.lines(chart(terminal: Output.columns, views).lines(answer.view.curves))
    }

    private func columns(terminal: Int?) -> Int { width ?? min(terminal ?? 80, Self.columnsMax) }

    private func chart(terminal: Int?, _ jobs: [JobView]) -> PlotChart {
        PlotChart(
            axis: by, isLogarithmic: log, smoothing: smooth, columns: columns(terminal: terminal), rows: height,
            names: Dictionary(jobs.map { ($0.id, $0.fullName) }, uniquingKeysWith: { $1 }))
    }
}
