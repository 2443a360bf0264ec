import Terminal

/// How the states of experiments, jobs and attempts look.
enum StateText {
    /// A mark of one column in the state's colour.
    static func mark(_ state: String) -> StyledText { StyledText(symbol(state), style(state)) }

    /// The state's name in its colour.
    static func name(_ state: String) -> StyledText { StyledText(state, style(state)) }

    /// The reason for a column beside the state; nothing where it only repeats the state.
    static func reasonCell(_ reason: String?, of state: String) -> StyledText { StyledText(reason == state ? "" : reason ?? "") }

    /// The reason in brackets after a state; nothing where it only repeats the state.
    static func reason(_ reason: String?, of state: String) -> StyledText {
        guard let reason, reason != state else { return "" }
        return StyledText(" (\(reason))", .dim)
    }

    static func isTerminal(_ state: String) -> Bool {
        switch state {
        case "succeeded", "failed", "cancelled", "skipped", "lost": true
        default: false
        }
    }

    private static func symbol(_ state: String) -> String {
        switch state {
        case "waiting", "pending": "·"
        case "queued": "○"
        case "starting": "◔"
        case "running": "●"
        case "stopping": "◐"
        case "paused": "‖"
        case "succeeded": "✓"
        case "failed": "✗"
        case "cancelled": "⊘"
        case "skipped": "–"
        default: "?"
        }
    }

    private static func style(_ state: String) -> TextStyle? {
        switch state {
        case "succeeded": .green
        case "failed", "lost": .red
        case "cancelled", "paused", "stopping": .yellow
        case "starting", "running": .cyan
        case "waiting", "pending", "skipped": .dim
        default: nil
        }
    }
}
