/// One line of the journal that a worker keeps of a generation, beside the ledger that holds the texts.
///
/// The ledger is the truth; the journal is what the daemon can follow without reading every text. A line is words with one space
/// between them, and is written after what it tells of is on file:
///
///     pass SEED CHUNK CHUNKS FIRST TOTAL FINGERPRINT   an attempt begins a pass: records FIRST… of the data, TOTAL of them
///     have SEED FROM-TO FROM-TO …                      positions that the ledger held when the attempt began
///     done SEED POSITION TOKENS FINISH TIME            a record came; TOKENS is `-` where the server did not tell
///     copy SEED POSITION TOKENS FINISH TIME            a record was taken over from an earlier job
///     fail SEED POSITION CAUSE TRIES TIME MESSAGE      a record was given up
///
/// Positions count from 0 in the pass; times are milliseconds since 1970.
public enum GenerationEntry: Sendable, Equatable {
    /// Why a model stopped.
    public enum Finish: String, Sendable, CaseIterable {
        case stop
        /// The longest generation was reached: the text is cut.
        case length
        case toolCalls = "tool_calls"
        case other

        /// - Parameter reason: as a server names it.
        public init(reason: String) {
            switch reason {
            case "", "stop", "eos", "eos_token", "end_turn": self = .stop
            case "length", "max_tokens": self = .length
            case "tool_calls", "function_call": self = .toolCalls
            default: self = .other
            }
        }
    }

    /// One pass over (a chunk of) the records with one seed.
    public struct Pass: Sendable, Equatable {
        public var seed: Int
        public var chunk: Int
        public var chunks: Int
        /// The place of the pass's first record in the data.
        public var first: Int
        public var total: Int
        /// Equal where equal records get equal requests.
        public var fingerprint: String

        public init(seed: Int, chunk: Int, chunks: Int, first: Int, total: Int, fingerprint: String) {
            (self.seed, self.chunk, self.chunks) = (seed, chunk, chunks)
            (self.first, self.total, self.fingerprint) = (first, total, fingerprint)
        }
    }

    /// A record that came.
    public struct Record: Sendable, Equatable {
        public var position: Int
        public var tokens: Int?
        public var finish: Finish
        public var at: Timestamp
        /// Whether it was taken over from an earlier job.
        public var isCopy: Bool

        public init(position: Int, tokens: Int?, finish: Finish, at: Timestamp, isCopy: Bool = false) {
            (self.position, self.tokens, self.finish, self.at, self.isCopy) = (position, tokens, finish, at, isCopy)
        }
    }

    /// A record that was given up.
    public struct Failure: Sendable, Equatable {
        public var position: Int
        public var cause: String
        public var tries: Int
        public var at: Timestamp
        public var message: String

        public init(position: Int, cause: String, tries: Int, at: Timestamp, message: String) {
            (self.position, self.cause, self.tries, self.at, self.message) = (position, cause, tries, at, message)
        }
    }

    case pass(Pass)
    case have(seed: Int, ranges: [ClosedRange<Int>])
    case done(seed: Int, Record)
    case failed(seed: Int, Failure)

    /// Ranges of one line; more of them take further lines.
    public static let rangesMax = 1000
    /// Bytes of a failure's message; the rest is cut.
    public static let messageBytesMax = 1000

    /// The line, with its end.
    public var line: [UInt8] {
        switch self {
        case .pass(let pass):
            Array("pass \(pass.seed) \(pass.chunk) \(pass.chunks) \(pass.first) \(pass.total) \(pass.fingerprint)\n".utf8)
        case .have(let seed, let ranges):
            Array("have \(seed)\(ranges.map { " \($0.lowerBound)-\($0.upperBound)" }.joined())\n".utf8)
        case .done(let seed, let record):
            Array(
                ((record.isCopy ? "copy" : "done")
                    + " \(seed) \(record.position) \(record.tokens.map(String.init) ?? "-") \(record.finish.rawValue) "
                    + "\(record.at.milliseconds)\n").utf8)
        case .failed(let seed, let failure):
            Array(
                ("fail \(seed) \(failure.position) \(failure.cause) \(failure.tries) \(failure.at.milliseconds) "
                    + "\(Self.cut(failure.message))\n").utf8)
        }
    }

    private static func cut(_ message: String) -> String {
        let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        guard line.utf8.count > messageBytesMax else { return line }
        return String(decoding: line.utf8.prefix(messageBytesMax), as: UTF8.self) + "…"
    }

    /// Reads a line without its end; `nil` where it is none.
    public init?(line: some Collection<UInt8>) {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 6, omittingEmptySubsequences: false)
        func text(_ index: Int) -> String? { index < words.count ? String(decoding: words[index], as: UTF8.self) : nil }
        func count(_ index: Int) -> Int? { text(index).flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil } }
        guard let name = text(0), let seed = count(1) else { return nil }
        switch name {
        case "pass":
            guard let chunk = count(2), let chunks = count(3), let first = count(4), let total = count(5), let print = text(6) else {
                return nil
            }
            self = .pass(Pass(seed: seed, chunk: chunk, chunks: chunks, first: first, total: total, fingerprint: print))
        case "have":
            let ranges = line.split(separator: UInt8(ascii: " ")).dropFirst(2).map { Self.range($0) }
            guard !ranges.contains(nil) else { return nil }
            self = .have(seed: seed, ranges: ranges.compactMap(\.self))
        case "done", "copy":
            guard let position = count(2), let finish = text(4).flatMap(Finish.init(rawValue:)), let at = count(5), words.count == 6,
                text(3) == "-" || count(3) != nil
            else { return nil }
            self = .done(
                seed: seed,
                Record(
                    position: position, tokens: count(3), finish: finish, at: Timestamp(milliseconds: Int64(at)), isCopy: name == "copy"))
        case "fail":
            guard let position = count(2), let cause = text(3), let tries = count(4), let at = count(5), let message = text(6) else {
                return nil
            }
            self = .failed(
                seed: seed,
                Failure(position: position, cause: cause, tries: tries, at: Timestamp(milliseconds: Int64(at)), message: message))
        default: return nil
        }
    }

    private static func range(_ text: some Collection<UInt8>) -> ClosedRange<Int>? {
        let ends = String(decoding: text, as: UTF8.self).split(separator: "-").compactMap { Int($0) }
        return ends.count == 2 && ends[0] <= ends[1] ? ends[0]...ends[1] : nil
    }
}

/// The file in the attempt's folder that holds the entries.
public enum GenerationJournalFile {
    public static let name = "generations.journal"
}
