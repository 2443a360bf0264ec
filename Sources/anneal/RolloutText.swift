import APITypes
import Terminal

/// Responses that a reinforcement job learned from, as text.
enum RolloutText {
    /// A line each.
    static func table(_ rollouts: [RolloutView]) -> Table {
        let rows: [[StyledText]] = rollouts.map { rollout in
            [
                StyledText("\(rollout.line)"), number(rollout.reward), number(rollout.advantage),
                StyledText("\(rollout.tokens)" + (rollout.truncated ? "✂" : "")), StyledText(oneLine(rollout.expected ?? "–")),
                StyledText(oneLine(rollout.completion)), StyledText(oneLine(rollout.prompt), .dim),
            ]
        }
        return Table(
            [
                .init("LINE", .right), .init("REWARD", .right), .init("ADVANTAGE", .right), .init("TOKENS", .right), .init("EXPECTED"),
                .init("COMPLETION", elastic: true), .init("PROMPT", elastic: true),
            ], rows: rows)
    }

    /// One response whole, wrapped.
    static func lines(_ rollout: RolloutView, columns: Int) -> [StyledText] {
        var heading = "line \(rollout.line) · reward \(NumberText.significant(rollout.reward))"
        if rollout.rewards.count > 1 {
            let parts = rollout.rewards.sorted { $0.key < $1.key }.map { "\($0.key) \(NumberText.significant($0.value))" }
            heading += " (\(parts.joined(separator: ", ")))"
        }
        heading += " · advantage \(NumberText.significant(rollout.advantage)) · \(rollout.tokens) tokens"
        if rollout.truncated { heading += " · cut at the longest length" }
        var lines = [StyledText(""), StyledText(heading, .bold)]
        lines += GenerationText.paragraphs(rollout.prompt, .dim, columns: columns)
        if let expected = rollout.expected { lines += GenerationText.paragraphs("expected: \(expected)", .dim, columns: columns) }
        return lines + GenerationText.paragraphs(rollout.completion + (rollout.isCut ? " …" : ""), nil, columns: columns)
    }

    private static func number(_ value: Double) -> StyledText {
        StyledText(NumberText.significant(value, digits: 4), value > 0 ? .green : value < 0 ? .red : nil)
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: "⏎")
    }
}
