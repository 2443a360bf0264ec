import JSON
import Terminal

/// Names and values below each other, for what one thing is.
struct FactSheet {
    private var facts: [(name: String, value: StyledText)] = []

    /// Adds a fact; nothing where there is no value.
    mutating func add(_ name: String, _ value: StyledText?) {
        guard let value, value.width > 0 else { return }
        facts.append((name, value))
    }

    mutating func add(_ name: String, text: String?) { add(name, text.map { StyledText($0) }) }

    var lines: [StyledText] {
        let width = facts.reduce(0) { max($0, $1.name.displayWidth) }
        return facts.map { fact in StyledText(fact.name, .dim).padded(to: width, alignment: .left) + "  " + fact.value }
    }
}

extension JSONValue {
    /// The value in one line for a table: texts without quotes, numbers shortened, containers as JSON.
    var brief: String {
        switch self {
        case .string(let text): text
        case .double(let number): NumberText.significant(number, digits: 6)
        case .null: "–"
        default: text(layout: .python)
        }
    }
}
