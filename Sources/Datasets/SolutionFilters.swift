import JSON

/// The filters of mathematical solutions, in the order of NeMo-Skills' data preparation.
public struct SolutionFilters: Sendable, Equatable {
    /// A version whose defaults are taken.
    public enum Era: String, Sendable, CaseIterable {
        /// July 2025: contaminated problems are removed, solutions are trimmed, both thinking tags are asked for.
        case seed
        /// November 2025: neither by default, and only the closing tag is asked for.
        case head
    }

    /// What lengths are counted in.
    public enum LengthUnit: String, Sendable, CaseIterable {
        case characters, words, bytes
    }

    /// Smallest and greatest length, both allowed.
    public struct LengthRange: Sendable, Equatable {
        public var min: Int
        public var max: Int
        public init(min: Int, max: Int) { (self.min, self.max) = (min, max) }
    }

    public var inputKey = "problem"
    public var outputKey = "generation"
    public var dropMultiBoxed = false
    /// A file of `{problem, contaminated}` lines; `nil` where contaminated problems stay.
    public var contaminationFile: String?
    public var removeCodeErrors = false
    public var removeMatplotlib = false
    public var removeNoCode = false
    public var removeNoThinkTags = false
    public var removeVerificationCode = false
    public var majorityFilter = false
    public var minMajorityVotes = 0.0
    public var minMajorityShare = 0.0
    public var trimPrefix = false
    public var trimSolutions: Bool
    public var dropIncorrectArithmetic = false
    public var splitArithmetic = false
    public var lengthUnit: LengthUnit?
    public var problemLength: LengthRange?
    public var solutionLength: LengthRange?
    public var era: Era

    public init(era: Era) {
        self.era = era
        trimSolutions = era == .seed
    }

    /// Problems that `contaminationFile` lists.
    func contaminatedProblems() throws -> Set<String> {
        guard let contaminationFile else { return [] }
        var problems: Set<String> = []
        _ = try RecordLoader(path: contaminationFile, mode: .standard).load(onEvent: { event in
            switch event {
            case .issue(let issue): throw DatasetError(.badData, "\(contaminationFile), \(issue)", issues: [issue])
            case .record(let value, let line):
                let record = PreparedRecord(value: value, line: line)
                guard let mark = record.member("contaminated") else {
                    throw DatasetError(.badData, "\(contaminationFile), line \(line): 'contaminated' is missing")
                }
                if mark.isTruthy { problems.insert(try record.text(inputKey)) }
            }
        })
        return problems
    }
}

/// Runs the filters over records.
struct SolutionFiltering: RecordTransform {
    private let filters: SolutionFilters
    private let contaminated: Set<String>

    init(_ filters: SolutionFilters) throws {
        self.filters = filters
        contaminated = try filters.contaminatedProblems()
    }

    // What the filters look for, as it stands in the texts of models and of code sandboxes.
    private static let codeErrors = ["Traceback (most recent call last)", "<output cut>", "Timed out", "SyntaxError"]
    private static let plotting = ["from matplotlib", "import matplotlib"]
    private static let verification = [
        "Let's verify this with Python", "Let's verify this using Python", "Let's confirm this with Python", "Let's use Python to plot",
        "Let's verify this solution using Python", "Let's use Python to verify", "Let's confirm this result with some Python",
    ]
    private static let prefix = "My solution:\n"

    func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        guard case .object(var members) = record.value else { throw record.failure("the record must be an object") }
        let original = try record.text(filters.outputKey)
        var solution = original
        let problem = contaminated.isEmpty && filters.problemLength == nil ? "" : try record.text(filters.inputKey)
        if let reason = reasonToDrop(record, problem: problem, solution: solution) { return report.drop(reason) }
        if filters.trimPrefix, solution.hasPrefix(Self.prefix) { solution.removeFirst(Self.prefix.count) }
        if filters.trimSolutions { solution = BoxedAnswer.trimmed(solution) }
        if filters.dropIncorrectArithmetic, Arithmetic.holdsWrongEquation(solution) { return report.drop("incorrect_arithmetic") }
        if filters.splitArithmetic { solution = Arithmetic.expanded(solution) }
        if let range = filters.problemLength, isOutside(problem, range) { return report.drop("problem_length") }
        if let range = filters.solutionLength, isOutside(solution, range) { return report.drop("solution_length") }
        guard solution != original else { return try next(record) }
        report.note("modified")
        members[filters.outputKey] = .string(solution)
        try next(record.replacing(members))
    }

    private func reasonToDrop(_ record: PreparedRecord, problem: String, solution: String) -> String? {
        if filters.dropMultiBoxed, BoxedAnswer.count(in: solution, atMost: 2) > 1 { return "multi_boxed" }
        if contaminated.contains(problem) { return "contaminated" }
        if filters.removeCodeErrors, Self.codeErrors.contains(where: solution.containsBytes) { return "code_errors" }
        if filters.removeMatplotlib, Self.plotting.contains(where: solution.containsBytes) { return "matplotlib" }
        if filters.removeNoCode, !solution.containsBytes("<tool_call>") || !solution.containsBytes("</tool_call>") { return "no_code" }
        if filters.removeNoThinkTags {
            // Chat templates that open the thinking themselves leave only the closing tag in the answer.
            let needsOpening = filters.era == .seed && !solution.containsBytes("<think>")
            if needsOpening || !solution.containsBytes("</think>") { return "no_think_tags" }
        }
        if filters.removeVerificationCode, Self.verification.contains(where: solution.containsBytes) { return "verification_code" }
        return filters.majorityFilter && isMinority(record) ? "majority" : nil
    }

    /// Records without votes pass.
    private func isMinority(_ record: PreparedRecord) -> Bool {
        guard let votes = record.member("majority_votes")?.double, let total = record.member("total_votes")?.double else { return false }
        return votes < filters.minMajorityVotes || votes < total * filters.minMajorityShare
    }

    private func isOutside(_ text: String, _ range: SolutionFilters.LengthRange) -> Bool {
        let length =
            switch filters.lengthUnit {
            case .words?: text.split(whereSeparator: \.isWhitespace).count
            case .bytes?: text.utf8.count
            case .characters?, nil: text.unicodeScalars.count
            }
        return length < range.min || length > range.max
    }
}

extension String {
    /// Whether `text` stands in this text, byte for byte.
    func containsBytes(_ text: String) -> Bool { firstBytes(text, from: utf8.startIndex) != nil }

    /// The place of `text` from `start` on, byte for byte.
    func firstBytes(_ text: String, from start: String.Index) -> Range<String.Index>? {
        self[start...].utf8.firstRange(of: text.utf8)
    }
}

/// The last `\boxed{…}` of a solution.
enum BoxedAnswer {
    private static let marker = "\\boxed{"

    /// How many boxes with a closing brace stand in `text`, counted up to a limit.
    static func count(in text: String, atMost limit: Int) -> Int {
        var count = 0
        var start = text.startIndex
        while count < limit, let range = text.firstBytes(marker, from: start),
            let end = text.utf8[range.upperBound...].firstIndex(of: UInt8(ascii: "}"))
        {
            count += 1
            start = text.utf8.index(after: end)
        }
        return count
    }

    /// Where the last box ends; `nil` where there is none or its braces do not match.
    static func lastEnd(in text: String) -> String.Index? {
        var found: String.Index?
        var start = text.startIndex
        while let range = text.firstBytes(marker, from: start) {
            found = range.upperBound
            start = range.upperBound
        }
        guard let found else { return nil }
        var depth = 1
        for index in text.utf8[found...].indices {
            if text.utf8[index] == UInt8(ascii: "{") { depth += 1 }
            if text.utf8[index] == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return text.utf8.index(after: index) }
        }
        return nil
    }

    /// The text up to the end of the line on which its last box ends.
    static func trimmed(_ text: String) -> String {
        guard let end = lastEnd(in: text), let lineFeed = text.utf8[end...].firstIndex(of: UInt8(ascii: "\n")) else { return text }
        return String(text[..<lineFeed])
    }
}
