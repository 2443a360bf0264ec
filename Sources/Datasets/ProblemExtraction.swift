import JSON

/// Cuts the problems out of a model's list `Problem 1: … Problem 2: …`.
public struct ProblemExtraction: Sendable, Equatable {
    public var generationKey: String
    /// Whether text before the first heading is a problem, too, as in the original.
    public var keepsPreamble: Bool

    public init(generationKey: String = "generation", keepsPreamble: Bool = false) {
        (self.generationKey, self.keepsPreamble) = (generationKey, keepsPreamble)
    }

    private static let refusals = [
        "no problems identified", "no problem identified", "no problems were identified", "no problem was identified",
    ]

    /// Whether a model says that it found none.
    static func saysNone(_ text: String) -> Bool {
        let lower = text.lowercased()
        return refusals.contains { lower.containsBytes($0) }
    }

    /// The pieces between headings `Problem N:`, and whether the first stands before the first heading.
    static func pieces(of text: String) -> (pieces: [String], hasPreamble: Bool) {
        let heading = #/Problem\s+\d+\s*:/#
        let pieces = text.split(separator: heading, omittingEmptySubsequences: false)
        guard pieces.count > 1 else { return ([trimmed(text[...])].filter { !$0.isEmpty }, false) }
        let texts = pieces.map { trimmed($0) }
        let hasPreamble = !(texts.first?.isEmpty ?? true)
        return (texts.filter { !$0.isEmpty }, hasPreamble)
    }

    private static func trimmed(_ text: Substring) -> String {
        let start = text.drop { $0.isWhitespace }
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...last])
    }
}

/// Extracts problems; records without one go to a file of their own.
struct ProblemExtractor: RecordTransform {
    private let extraction: ProblemExtraction
    private let dropped: DatasetWriter

    init(_ extraction: ProblemExtraction, dropped: DatasetWriter) { (self.extraction, self.dropped) = (extraction, dropped) }

    func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        let text = try record.text(extraction.generationKey)
        guard case .object(let members) = record.value, !ProblemExtraction.saysNone(text) else {
            report.drop("no_problems")
            return try dropped.append(line: record.value.text(layout: .python).utf8)
        }
        var (pieces, hasPreamble) = ProblemExtraction.pieces(of: text)
        if hasPreamble, !extraction.keepsPreamble {
            pieces.removeFirst()
            report.note("preambles_left_out")
        }
        guard !pieces.isEmpty else {
            report.drop("empty")
            return try dropped.append(line: record.value.text(layout: .python).utf8)
        }
        for (index, problem) in pieces.enumerated() {
            var made = members
            made[extraction.generationKey] = nil
            made["problem"] = .string(problem)
            made["extracted_problem_idx"] = .int(Int64(index))
            made["problem_extraction_gen"] = .string(text)
            try next(record.replacing(made))
        }
    }
}
