import APITypes
import JSON
import Terminal

/// How far generations are, as lines.
enum GenerationText {
    /// Passes that are shown one by one; of more the unfinished ones go first.
    private static let passesMax = 40
    private static let barColumns = 30

    /// The whole of it: sums, the present, and a bar for each pass.
    static func lines(_ view: GenerationsView, name: String) -> [StyledText] {
        var lines = [StyledText(name, .bold) + "  " + StateText.mark(view.state) + " " + StateText.name(view.state)]
        lines.append(StyledText(counts(view)))
        if let present = present(view) { lines.append(StyledText(present)) }
        let open = view.passes.filter { $0.state != "complete" }
        let shown = (view.passes.count <= passesMax ? view.passes : open + view.passes.filter { $0.state == "complete" }).prefix(passesMax)
        let names = shown.map { Self.name(of: $0, in: view) }
        let width = names.reduce(0) { max($0, $1.displayWidth) }
        for (name, pass) in zip(names, shown) { lines.append(line(of: pass, name: name, width: width)) }
        if view.passes.count > shown.count { lines.append(StyledText("… and \(view.passes.count - shown.count) more passes", .dim)) }
        return lines
    }

    /// Such as `1200 of 5000 generations · 3 failed · 200 taken over · 360000 tokens · 4.0 % cut`.
    static func counts(_ view: GenerationsView) -> String {
        var parts = ["\(view.done) of \(view.total) generations"]
        if view.failed > 0 { parts.append("\(view.failed) failed") }
        if view.reused > 0 { parts.append("\(view.reused) taken over from earlier jobs") }
        if view.tokens > 0 { parts.append("\(view.tokens) tokens") }
        if let share = view.truncatedShare, share > 0 { parts.append("\(NumberText.percent(share)) cut at the longest length") }
        return parts.joined(separator: " · ")
    }

    /// Such as `64 in flight · 1200 tokens/s · 4 records/s · about 3m 04s left`; `nil` where nothing runs.
    static func present(_ view: GenerationsView) -> String? {
        guard let flying = view.requestsInFlight else { return nil }
        var parts = ["\(flying) in flight"]
        if let rate = view.tokensPerSecond { parts.append("\(NumberText.significant(rate, digits: 4)) tokens/s") }
        if let rate = view.recordsPerSecond { parts.append("\(NumberText.significant(rate, digits: 3)) records/s") }
        if let left = view.etaSeconds, left > 0 { parts.append("about \(SpanText.exact(seconds: left)) left") }
        return parts.joined(separator: " · ")
    }

    private static func name(of pass: GenerationPassView, in view: GenerationsView) -> String {
        let hasChunks = view.passes.contains { $0.first != pass.first || $0.jobID != pass.jobID }
        return "seed \(pass.seed)" + (hasChunks ? " chunk \(pass.chunk)" : "")
    }

    private static func line(of pass: GenerationPassView, name: String, width: Int) -> StyledText {
        let share = pass.total > 0 ? Double(pass.done) / Double(pass.total) : 1
        let style: TextStyle? = pass.state == "complete" ? .green : pass.state == "incomplete" ? .red : nil
        var line = StyledText(name).padded(to: width, alignment: .left) + "  "
        line += StyledText(ProgressBar.text(fraction: share, width: barColumns), style)
        line += StyledText("  \(pass.done)/\(pass.total)")
        if pass.failed > 0 { line += StyledText("  \(pass.failed) failed", .red) }
        if pass.state != "running", pass.state != "complete" { line += StyledText("  \(pass.state)", .dim) }
        if !pass.missing.isEmpty {
            let stretches = pass.missing.map { $0.from == $0.to ? "\($0.from)" : "\($0.from)–\($0.to)" }.joined(separator: ", ")
            line += StyledText("  missing: \(stretches)", .dim)
        }
        return line
    }

    /// A sample: what was asked and what came, wrapped.
    static func lines(_ sample: GenerationSampleView, columns: Int) -> [StyledText] {
        var heading = "record \(sample.record.map { String($0) } ?? "?") · seed \(sample.seed)"
        if let tokens = sample.tokens { heading += " · \(tokens) tokens" }
        if let seconds = sample.seconds { heading += " · \(SpanText.exact(seconds: seconds))" }
        if let reason = sample.finishReason, reason != "stop" { heading += " · \(reason)" }
        var lines = [StyledText(""), StyledText(heading, .bold)]
        for (key, value) in sample.input?.object ?? [:] {
            lines += paragraphs("\(key): \(value.brief)", .dim, columns: columns)
        }
        lines += paragraphs(sample.generation + (sample.isCut ? " …" : ""), nil, columns: columns)
        return lines
    }

    static func paragraphs(_ text: String, _ style: TextStyle?, columns: Int) -> [StyledText] {
        text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).flatMap { paragraph in
            StyledText(String(paragraph), style).wrapped(to: columns - 2).map { "  " + $0 }
        }
    }

    /// What failed, a line each.
    static func table(_ failures: [GenerationFailureView]) -> Table {
        let rows: [[StyledText]] = failures.map { failure in
            [
                StyledText("\(failure.record)"), StyledText("\(failure.seed)"), StyledText(failure.cause, .red),
                StyledText("\(failure.tries)"), Moment.age(failure.at), StyledText(failure.message),
            ]
        }
        return Table(
            [
                .init("RECORD", .right), .init("SEED", .right), .init("CAUSE"), .init("TRIES", .right), .init("LAST"),
                .init("MESSAGE", elastic: true),
            ], rows: rows)
    }
}
