/// Counts labels and keeps the order in which they were first seen, as Python's `Counter` does.
struct LabelCounts: Sendable, Equatable, CustomStringConvertible {
    /// Labels that are looked for one by one, which for so few is faster than hashing.
    private static let scannedMax = 8

    private(set) var labels: [String] = []
    private var numbers: [Int] = []
    /// Places of the labels.
    private var places: [String: Int] = [:]

    var total: Int { numbers.reduce(0, +) }

    var counts: [String: Int] { Dictionary(uniqueKeysWithValues: zip(labels, numbers)) }

    mutating func add(_ label: String) { numbers[place(of: label)] += 1 }

    /// The number of a label, in the order in which they were first seen.
    mutating func place(of label: String) -> Int {
        for place in 0..<min(labels.count, Self.scannedMax) where labels[place] == label { return place }
        if let known = places[label] { return known }
        places[label] = labels.count
        labels.append(label)
        numbers.append(0)
        return labels.count - 1
    }

    /// Python's text of the dictionary, such as `{'2': 3, '0': 1}`.
    var description: String {
        "{" + zip(labels, numbers).map { "'\($0)': \($1)" }.joined(separator: ", ") + "}"
    }
}
