import JSON
import Specification
import Terminal

/// A guide to the keys of a spec, as text.
struct ParameterText {
    /// Where the output is no terminal, lines are broken all the same: they hold sentences.
    static let columnsWithoutTerminal = 100
    private static let columnsMin = 40
    private static let indent = 2

    private let columns: Int

    init(columns: Int) { self.columns = max(columns, Self.columnsMin) }

    func lines(_ guide: ParameterGuide) -> [StyledText] {
        var lines = [StyledText(guide.title, .bold)]
        lines += guide.entries.flatMap { self.lines($0, depth: 1) }
        let others = guide.title == "train" ? "; anneal explain-params train METHOD tells the 'params' of \(Self.methods)" : ""
        let isKind = !["job", "experiment"].contains(guide.title)
        if isKind, !guide.title.contains(" ") {
            lines += StyledText("anneal explain-params job tells the keys that jobs of every kind have\(others)", .dim).wrapped(to: columns)
        }
        return lines
    }

    private static var methods: String { ParameterSchema.methods.joined(separator: ", ") }

    private func lines(_ entry: ParameterGuide.Entry, depth: Int) -> [StyledText] {
        let schema = entry.schema
        var facts = schema.type.description
        if let unit = schema.unit { facts += unit == "fraction" ? ", as a fraction" : ", in \(unit)" }
        if schema.isRequired {
            facts += "; required"
        } else if let value = schema.defaultValue, value != .object([:]) {
            facts += "; default \(value.isNull ? "null" : value.brief)"
        }
        var lines = block(StyledText(schema.name, schema.isRequired ? .yellow : .cyan) + "  " + StyledText(facts), depth, hanging: true)
        lines += block(StyledText(schema.doc), depth + 2)
        if let source = schema.source { lines += block(StyledText("Default from \(source).", .dim), depth + 2) }
        return lines + entry.entries.flatMap { self.lines($0, depth: depth + 1) }
    }

    /// A text at its depth, broken at the last column; with `hanging` the further lines stand deeper than the first.
    private func block(_ text: StyledText, _ depth: Int, hanging: Bool = false) -> [StyledText] {
        let (first, further) = (depth * Self.indent, (depth + (hanging ? 2 : 0)) * Self.indent)
        let lines = text.wrapped(to: max(columns - further, Self.columnsMin / 2))
        return lines.enumerated().map { StyledText(String(repeating: " ", count: $0 == 0 ? first : further)) + $1 }
    }
}
