import APITypes
import JSON
import Terminal

/// What an experiment came to: its jobs, its evaluations, and why it failed where it did.
struct ExperimentSummary {
    private static let logLines = 12
    /// Failures shown with their logs; a matrix of a thousand equal failures is told by a few.
    private static let failuresMax = 5

    let client: APIClient
    let experiment: ExperimentView

    func show() throws {
        Output.line(StateText.mark(experiment.state) + " " + StyledText(experiment.name, .bold) + " " + StateText.name(experiment.state))
        Output.table(JobTable.table(experiment.jobs), ifEmpty: "no jobs")
        try showEvaluations()
        try showFailures()
    }

    func showEvaluations() throws {
        let found = try EvaluationSearch(client: client).evaluations(of: experiment)
        guard !found.isEmpty else { return }
        Output.write("\n")
        Output.lines(EvaluationTable.table(found).lines(width: Output.columns))
    }

    /// The failed jobs with reason, message and the last lines of their logs.
    func showFailures() throws {
        let failed = experiment.jobs.filter { $0.state == "failed" || $0.state == "lost" }
        for job in failed.prefix(Self.failuresMax) {
            let view = try client.get(JobView.self, ["v1", "jobs", job.id]).view
            Output.write("\n")
            Output.line(
                StateText.mark(view.state) + " " + StyledText(view.name, .bold) + ": " + StyledText(view.reason ?? view.state, .red))
            if let message = view.message { Output.lines(message.split(separator: "\n").map { StyledText("  \($0)") }) }
            try showLog(of: view)
        }
        if failed.count > Self.failuresMax { Output.line(StyledText("… and \(failed.count - Self.failuresMax) more failed jobs", .dim)) }
    }

    private func showLog(of job: JobView) throws {
        guard !job.attempts.isEmpty else { return }
        for stream in ["stderr", "stdout"] {
            let query = [("stream", stream), ("tail", String(Self.logLines))]
            let log = try client.send("GET", ["v1", "jobs", job.id, "logs"], query: query, headers: [("Accept", "text/plain")])
            let lines = String(decoding: log, as: UTF8.self).split(whereSeparator: \.isNewline)
            guard !lines.isEmpty else { continue }
            Output.line(StyledText("  last lines of \(stream):", .dim))
            Output.lines(lines.suffix(Self.logLines).map { StyledText("  │ ", .dim) + StyledText(String($0)) })
            return
        }
    }
}

/// The jobs of an experiment as a table.
enum JobTable {
    static func table(_ jobs: [JobSummary]) -> Table {
        let rows: [[StyledText]] = jobs.map { job in
            [
                StateText.mark(job.state), StyledText(job.name) + StyledText(job.matrixText, .dim), StyledText(job.kind),
                StateText.name(job.state),
                StateText.reasonCell(job.reason, of: job.state),
                StyledText(job.progress.map(ProgressText.brief) ?? ""),
            ]
        }
        let columns: [Table.Column] = [
            .init(""), .init("JOB", elastic: true), .init("KIND"), .init("STATE"), .init("REASON", elastic: true), .init("PROGRESS"),
        ]
        // Reasons and progress are for jobs that wait, run or failed; when all is well there are none.
        let shown = columns.indices.filter { column in column < 4 || rows.contains { row in row[column].width > 0 } }
        return Table(shown.map { columns[$0] }, rows: rows.map { row in shown.map { row[$0] } })
    }
}

extension JobSummary {
    /// What tells a member of a matrix from the others, such as `  method=ipo beta=0.1`; empty for other jobs.
    var matrixText: String {
        let values = (matrix?.object ?? [:]).map { "\($0.key)=\($0.value.brief)" }
        return values.isEmpty ? "" : "  " + values.joined(separator: " ")
    }
}
