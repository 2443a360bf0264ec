import APITypes
import ArgumentParser
import JSON
import Terminal

struct Plot: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw the curves of a job.",
        discussion: HelpText.discussion(
            "Without --key the training and validation loss are drawn, or the first metric where there is none.",
            examples: "anneal plot toy/sft", "anneal plot toy/sft --key train/lr --height 10"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var job: String

    @Option(help: ArgumentHelp("A metric to draw; may be repeated.", valueName: "key"))
    var key: [String] = []

    @Option(help: ArgumentHelp("Columns; those of the terminal by default.", valueName: "columns"))
    var width: Int?

    @Option(help: ArgumentHelp("Rows with axes and legend.", valueName: "rows"))
    var height = 18

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard (BraillePlot.smallest.rows...500).contains(height) else {
            throw ValidationError("--height must be from \(BraillePlot.smallest.rows) to 500")
        }
        guard (BraillePlot.smallest.columns...2000).contains(width ?? 80) else {
            throw ValidationError("--width must be from \(BraillePlot.smallest.columns) to 2000")
        }
    }

    func run() throws {
        let client = try shared.client()
        let curves = Curves(client: client, jobID: try References(client: client).jobID(job))
        let columns = width ?? min(Output.columns ?? 80, 120)
        let keys = try key.isEmpty ? defaultKeys(curves) : key
        let answers = try keys.map { try curves.curve($0, points: columns * 2) }
        if shared.json { return answers.forEach { Output.json($0.body) } }
        Output.lines(Curves.plot(answers.map(\.view), columns: columns, rows: height))
    }

    private func defaultKeys(_ curves: Curves) throws -> [String] {
        let keys = try curves.summary().view.keys.map(\.key)
        let losses = Curves.lossKeys.filter(keys.contains)
        if !losses.isEmpty { return losses }
        guard let first = keys.first else { throw CommandFailure(.notFound, "the job '\(job)' has written no metrics") }
        return [first]
    }
}
