/// Counts labels and keeps the order in which they were first seen, as Python's `Counter` does.
struct LabelCounts: Sendable, Equatable, CustomStringConvertible {
    private(set) var labels: [String] = []
    private(set) var counts: [String: Int] = [:]

    var total: Int { counts.values.reduce(0, +) }

    mutating func add(_ label: String) {
        if counts[label] == nil { labels.append(label) }
        counts[label, default: 0] += 1
    }

    /// Python's text of the dictionary, such as `{'2': 3, '0': 1}`.
    var description: String {
        "{" + labels.map { "'\($0)': \(counts[$0] ?? 0)" }.joined(separator: ", ") + "}"
    }
}
