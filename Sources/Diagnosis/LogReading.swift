import Domain
import JSON

/// What the ends of an attempt's logs tell.
///
/// A program that fails says why at its end. So the last exception counts more than what was logged, and perhaps handled, before it. Two
/// things stand above their place: running out of GPU memory and a fault of a GPU, after which the other processes of a group fail with
/// errors of communication that are louder and later.
struct LogReading {
    private struct Hit {
        var stream: String
        /// What the line tells; `nil` for an exception that no pattern knows.
        var match: CausePatterns.Match?
        /// True where the line is an exception's own, as Python prints it below a traceback.
        var isException: Bool
    }

    private static let linesMax = 2_000
    private static let evidenceMax = 5
    private static let lineBytesMax = 400
    /// Of the last words that a message quotes.
    private static let tailBytesMax = 4096
    /// Causes that bring about others, which are logged after them.
    private static let roots: Set<Reason> = [.cudaOOM, .gpuFault, .hostOOM]
    private static let consequences: Set<Reason> = [.ncclError, .network, .killed]

    private var hits: [Hit] = []
    private let last: [Substring]
    private let lastStream: String

    init(_ facts: AttemptEvidence, patterns: CausePatterns) {
        let stderr = Self.lines(facts.stderrTail)
        let stdout = Self.lines(facts.stdoutTail)
        last = (stderr.isEmpty ? stdout : stderr).suffix(3)
        lastStream = stderr.isEmpty ? "stdout" : "stderr"
        for (stream, lines) in [("stdout", stdout), ("stderr", stderr)] {
            var isAfterTraceback = false
            for line in lines.suffix(Self.linesMax) {
                let text = Self.withoutRank(line)
                if text.hasPrefix("Traceback (most recent call last)") { isAfterTraceback = true }
                let isException = isAfterTraceback && text.first.map { !$0.isWhitespace } == true && !text.hasPrefix("Traceback")
                if isException { isAfterTraceback = false }
                let match = patterns.match(String(text))
                if match != nil || isException { hits.append(Hit(stream: stream, match: match, isException: isException)) }
            }
        }
    }

    private static func lines(_ text: String) -> [Substring] {
        text.split(whereSeparator: \.isNewline).filter { !$0.allSatisfy(\.isWhitespace) }
    }

    /// torchrun puts `[rank0]: ` or `[default0]:` before each line.
    private static func withoutRank(_ line: Substring) -> Substring {
        guard line.hasPrefix("["), let end = line.range(of: "]:") else { return line }
        let name = line[line.index(after: line.startIndex)..<end.lowerBound]
        guard name.hasPrefix("rank") || name.hasPrefix("default"), name.drop(while: \.isLetter).allSatisfy(\.isNumber) else { return line }
        let rest = line[end.upperBound...]
        // Only the space that belongs to the name: what is indented is no exception's own line.
        return rest.hasPrefix(" ") ? rest.dropFirst() : rest
    }

    /// The line that tells the cause. An exception that no pattern knows tells none, and what was logged before it does not count.
    var decisive: CausePatterns.Match? {
        let latest = hits.last(where: \.isException) ?? hits.last
        let root = hits.compactMap(\.match).last { Self.roots.contains($0.cause) }
        guard let match = latest?.match else { return nil }
        return Self.consequences.contains(match.cause) ? root ?? match : match
    }

    func hint(for cause: Reason) -> String? { hits.compactMap(\.match).last { $0.cause == cause }?.hint }

    /// The last words of the worker, to be put behind a sentence.
    var tail: String { last.isEmpty ? "" : ": " + last.joined(separator: " | ").suffixBytes(Self.tailBytesMax) }

    func evidence(for cause: Reason) -> [Evidence] {
        let fitting = hits.filter { $0.match?.cause == cause }.suffix(Self.evidenceMax)
        if fitting.isEmpty {
            return last.map { line in
                Evidence(kind: "log", message: String(line).prefixBytes(Self.lineBytesMax), data: ["stream": .string(lastStream)])
            }
        }
        return fitting.compactMap { hit in
            hit.match.map { match in
                Evidence(
                    kind: "log", message: match.line.prefixBytes(Self.lineBytesMax),
                    data: ["stream": .string(hit.stream), "pattern": .string(match.pattern), "cause": .string(match.cause.rawValue)])
            }
        }
    }
}

extension StringProtocol {
    /// The beginning of the text, of at most so many bytes, and no character cut in two.
    func prefixBytes(_ count: Int) -> String {
        guard utf8.count > count else { return String(self) }
        var length = 0
        return String(
            prefix { character in
                length += character.utf8.count
                return length <= count
            })
    }

    /// The end of the text, of at most so many bytes, and no character cut in two.
    func suffixBytes(_ count: Int) -> String {
        guard utf8.count > count else { return String(self) }
        var length = 0
        let kept = reversed().prefix { character in
            length += character.utf8.count
            return length <= count
        }
        return String(kept.reversed())
    }

    /// Where a text first stands.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start != endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            formIndex(after: &start)
        }
        return nil
    }
}
