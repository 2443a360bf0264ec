import APITypes
import JSON
import Terminal

/// All that a user wants to know of one job, on one screen.
struct JobSheet {
    private static let metricsMax = 12

    let job: JobView
    let metrics: MetricSummaryView
    /// What the jobs of its experiment are called, by id.
    var names: [String: String] = [:]

    func lines(columns: Int?) -> [StyledText] {
        var lines = [
            StateText.mark(job.state) + " " + StyledText("\(job.experiment)/\(job.name)", .bold) + " " + StateText.name(job.state)
                + StateText.reason(job.reason, of: job.state)
        ]
        if let message = job.message { lines += message.split(separator: "\n").map { StyledText("  \($0)") } }
        lines += facts.lines
        lines += section("outputs", outputs, columns: columns)
        lines += section("summary", summary, columns: columns)
        lines += section("metrics", metricTable, columns: columns)
        lines += section("attempts", attempts, columns: columns)
        return lines
    }

    private func section(_ title: String, _ table: Table, columns: Int?) -> [StyledText] {
        table.rows.isEmpty ? [] : ["", StyledText(title, .bold)] + table.lines(width: columns)
    }

    private var facts: FactSheet {
        var facts = FactSheet()
        facts.add("id", text: job.id)
        facts.add("kind", text: job.engine.map { "\(job.kind), engine \($0)" } ?? job.kind)
        facts.add("group", text: job.group)
        facts.add("matrix", text: job.matrix?.object.map { $0.map { "\($0.key)=\($0.value.brief)" }.joined(separator: " ") })
        facts.add("resources", text: ResourceText.brief(job.resources))
        facts.add("runs on", text: job.cluster)
        facts.add("priority", text: String(job.priority))
        facts.add("needs", text: job.needs.isEmpty ? nil : job.needs.map { names[$0] ?? $0 }.joined(separator: ", "))
        facts.add("cached from", text: job.cachedFrom)
        facts.add("endpoint", text: job.endpoint.map { "\($0.url), model \($0.model)" })
        facts.add("progress", text: job.progress.map(ProgressText.brief))
        facts.add("created", Moment.age(job.createdAt) + StyledText("  \(job.createdAt)", .dim))
        if job.startedAt != nil { facts.add("ran", Moment.span(from: job.startedAt, to: job.finishedAt)) }
        return facts
    }

    private var outputs: Table {
        let rows: [[StyledText]] = (job.outputs.object ?? [:]).map { name, output in
            [
                StyledText(name), StyledText(output["type"]?.brief ?? "–"), StyledText(output["id"]?.brief ?? "–", .dim),
                StyledText(output["path"]?.brief ?? ""),
            ]
        }
        return Table([.init("NAME"), .init("TYPE"), .init("ID"), .init("PATH", elastic: true)], rows: rows)
    }

    private var summary: Table {
        let rows: [[StyledText]] = (job.summary?.object ?? [:]).filter { $0.value != .null }.map {
            [StyledText($0.key), StyledText($0.value.brief)]
        }
        return Table([.init("FIGURE"), .init("VALUE", elastic: true)], rows: rows)
    }

    private var metricTable: Table {
        let ranked = metrics.keys.enumerated().sorted { (Self.rank($0.element), $0.offset) < (Self.rank($1.element), $1.offset) }
        return MetricTable.table(ranked.prefix(Self.metricsMax).map(\.element))
    }

    /// How soon a key is looked for: losses, what else tells how good the model is, curves, and then what is said once or rarely read.
    private static func rank(_ summary: MetricKeySummary) -> Int {
        let key = summary.key
        if (Curves.trainingLossKeys + Curves.validationLossKeys + Curves.rewardKeys).contains(key) { return 0 }
        if ["timing/", "progress/"].contains(where: key.hasPrefix) { return 5 }
        if ["data/", "packing/"].contains(where: key.hasPrefix) { return 4 }
        if summary.count > 1, let least = summary.min, least.number == summary.max?.number { return 3 }
        return ["validation/", "eval/"].contains(where: key.hasPrefix) || key.contains("reward") ? 1 : 2
    }

    private var attempts: Table {
        let isElsewhere = job.attempts.contains { $0.cluster != nil }
        let rows: [[StyledText]] = job.attempts.map { attempt in
            let end = attempt.signal.map { "signal \($0)" } ?? attempt.exitCode.map { "exit \($0)" } ?? "–"
            return [
                StyledText("\(attempt.number)"), StateText.name(attempt.state), StyledText(end), StyledText(attempt.cause ?? "–"),
                StyledText(attempt.resumedFromStep.map { "step \($0)" } ?? "–"),
                StyledText(attempt.gpus.isEmpty ? "–" : "\(attempt.gpus.count)"),
            ] + (isElsewhere ? [StyledText(attempt.externalID ?? "–")] : []) + [
                Moment.age(attempt.startedAt), Moment.span(from: attempt.startedAt, to: attempt.finishedAt),
                StyledText(attempt.message ?? ""),
            ]
        }
        let columns: [Table.Column] =
            [.init("#", .right), .init("STATE"), .init("END"), .init("CAUSE"), .init("RESUMED FROM"), .init("GPUS")]
            + (isElsewhere ? [.init("CLUSTER JOB")] : []) + [.init("STARTED"), .init("RAN", .right), .init("MESSAGE", elastic: true)]
        return Table(columns, rows: rows)
    }
}

/// The metric keys of a job with their extremes.
enum MetricTable {
    static func table(_ keys: [MetricKeySummary]) -> Table {
        func text(_ value: MetricValue?) -> StyledText { StyledText(value.map { NumberText.significant($0.number) } ?? "–") }
        let rows: [[StyledText]] = keys.map { key in
            let steps = key.firstStep == key.lastStep ? "\(key.lastStep)" : "\(key.firstStep)–\(key.lastStep)"
            return [StyledText(key.key), StyledText("\(key.count)"), StyledText(steps), text(key.last), text(key.min), text(key.max)]
        }
        return Table(
            [
                .init("KEY", elastic: true), .init("POINTS", .right), .init("STEPS", .right), .init("LAST", .right), .init("MIN", .right),
                .init("MAX", .right),
            ], rows: rows)
    }
}
