import APITypes
import Terminal

/// The picture of a watched experiment on a terminal of a given size.
struct WatchScreen {
    private static let plotRows = 9...14
    private static let columnsMax = 120
    private static let barWidth = 20

    let model: WatchModel
    let columns: Int
    let rows: Int

    func lines() -> [StyledText] {
        let plot = self.plot
        // Title, blank lines and the free row for the cursor.
        let room = max(1, rows - plot.count - 4)
        return [title] + jobLines(room: room) + (plot.isEmpty ? [] : [""] + plot)
    }

    private var title: StyledText {
        let experiment = model.experiment
        let took = Moment.span(from: experiment.createdAt, to: experiment.finishedAt)
        let lost = model.isConnectionLost ? StyledText("  daemon unreachable; jobs go on", .yellow) : ""
        return StateText.mark(experiment.state) + " " + StyledText(experiment.name, .bold) + " " + StateText.name(experiment.state) + "  "
            + took
            + StyledText("  \(experiment.id)", .dim) + lost
    }

    /// A line for each job; where they are too many, the ones that move or failed, and the number of the others.
    private func jobLines(room: Int) -> [StyledText] {
        let all = Array(model.jobs.values)
        guard all.count > room else { return all.map(line) }
        let notable = all.filter(\.isActive) + all.filter { $0.state == "failed" || $0.state == "lost" }
        let shown = Array(notable.prefix(max(0, room - 1)))
        let names = Set(shown.map(\.id))
        var counts: [String: Int] = [:]
        for job in all where !names.contains(job.id) { counts[job.state, default: 0] += 1 }
        let rest = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        return shown.map(line) + [StyledText("  … \(rest)", .dim)]
    }

    private func line(_ job: WatchedJob) -> StyledText {
        let nameWidth = min(24, model.jobs.values.reduce(0) { max($0, $1.name.displayWidth) })
        let kindWidth = model.jobs.values.reduce(0) { max($0, $1.kind.displayWidth) }
        var line = StateText.mark(job.state) + " " + StyledText(job.name).truncated(to: nameWidth).padded(to: nameWidth, alignment: .left)
        line += "  " + StyledText(job.kind, .dim).padded(to: kindWidth, alignment: .left) + "  "
        if job.isActive, let progress = job.progress, let total = progress.total, total > 0 {
            line += StyledText(ProgressBar.text(fraction: progress.done / total, width: Self.barWidth), .cyan)
            line += StyledText(" " + ProgressText.brief(progress))
            if let figure = job.headline {
                line += StyledText(" · \(figure.name) ") + StyledText(NumberText.significant(figure.value), .bold)
            }
            return line
        }
        line += StateText.name(job.state)
        if job.isActive, let progress = job.progress { line += StyledText(" " + ProgressText.brief(progress)) }
        line += StateText.reason(job.reason, of: job.state)
        if let message = job.message, StateText.isTerminal(job.state), job.state != "succeeded" { line += StyledText(" \(message)") }
        return line
    }

    /// The loss of the training that runs, or of the last one that has points.
    private var plot: [StyledText] {
        let trainings = model.jobs.values.filter { job in !Curves.lossKeys(among: Array(job.curves.keys)).isEmpty }
        guard let job = trainings.last(where: \.isActive) ?? trainings.last else { return [] }
        let height = min(Self.plotRows.upperBound, rows - min(model.jobs.count, 6) - 4)
        guard height >= Self.plotRows.lowerBound else { return [] }
        let curves = Curves.lossKeys(among: Array(job.curves.keys)).compactMap { key in
            job.curves[key].map { CurveView(jobID: job.id, key: key, points: $0.points) }
        }
        return Curves.plot(curves, columns: min(columns, Self.columnsMax), rows: height)
    }
}
