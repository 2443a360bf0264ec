import Crypto
import JSON

/// What one dataset has that another has not, record by record, whatever their order.
public struct DatasetDiff: Sendable {
    /// A record with its line.
    public typealias Sample = (line: Int, record: JSONValue)

    /// Records that both have. One that stands twice here and once there is common once.
    public var common = 0
    /// Records of the newer that answer the same as one of the older (see `RecordHash.question`), in another way.
    public var changed = 0
    /// Further records of the newer that the older has not, and the other way round.
    public var added = 0
    public var removed = 0
    /// The first of them, with their line numbers.
    public var changedSamples: [(from: Sample, to: Sample)] = []
    public var addedSamples: [Sample] = []
    public var removedSamples: [Sample] = []

    /// Reads each file twice; what is kept of a record is its hash.
    ///
    /// - Throws: `FileError` where a file cannot be read. Lines that are no JSON objects are passed over.
    public static func of(from older: String, to newer: String, samples: Int = 5) throws -> DatasetDiff {
        var diff = DatasetDiff()
        var counts: [UInt64: Int] = [:]
        try read(older) { _, record in counts[RecordHash.of(record), default: 0] += 1 }
        /// Records of the newer alone, and those of them that stand for a changed one, by their line.
        var news: [(line: Int, question: UInt64?)] = []
        try read(newer) { line, record in
            let hash = RecordHash.of(record)
            if let count = counts[hash], count > 0 {
                counts[hash] = count - 1
                diff.common += 1
            } else {
                news.append((line, RecordHash.question(of: record)))
            }
        }
        var waiting: [UInt64: [Int]] = [:]
        for item in news.reversed() { if let question = item.question { waiting[question, default: []].append(item.line) } }
        var pairs: [Int: Sample] = [:]
        var changedLines: Set<Int> = []
        try read(older) { line, record in
            let hash = RecordHash.of(record)
            guard let count = counts[hash], count > 0 else { return }
            counts[hash] = count - 1
            if let question = RecordHash.question(of: record), let successor = waiting[question]?.popLast() {
                diff.changed += 1
                changedLines.insert(successor)
                if pairs.count < samples { pairs[successor] = (line, record) }
            } else {
                diff.removed += 1
                if diff.removedSamples.count < samples { diff.removedSamples.append((line, record)) }
            }
        }
        diff.added = news.count - diff.changed
        let shown = Set(news.lazy.map(\.line).filter { !changedLines.contains($0) }.prefix(samples))
        guard !shown.isEmpty || !pairs.isEmpty else { return diff }
        try read(newer) { line, record in
            if let before = pairs[line] { diff.changedSamples.append((from: before, to: (line, record))) }
            if shown.contains(line) { diff.addedSamples.append((line, record)) }
        }
        return diff
    }

    private static func read(_ path: String, _ body: (_ line: Int, _ record: JSONValue) -> Void) throws {
        try JSONLineReader(path: path).read(onChunk: { _ in }) { line in
            // What is no JSON was refused when the dataset was registered; blank lines are between records.
            guard !line.isTooLong, let record = try? JSONParser.parse(line.withoutByteOrderMark), record.object != nil else { return }
            body(line.number, record)
        }
    }
}

/// Numbers that tell records apart; equal for those whose members are equal in whatever order.
enum RecordHash {
    static func of(_ record: JSONValue) -> UInt64 {
        SHA256.hash(data: JSONWriter(sortsKeys: true).bytes(of: record)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static let identifiers = ["id", "q_id", "uuid", "question_id"]
    private static let questions = ["question", "problem", "prompt", "input"]

    /// What a record is about, as a hash: its identifier, else its question; `nil` where it has neither.
    static func question(of record: JSONValue) -> UInt64? {
        for key in identifiers { if let value = record[key], value.plainText != nil { return of([.string(key), value]) } }
        if let question = record["jcqa_data"]?["question"] { return of(["jcqa_data", question]) }
        for key in questions { if let value = record[key] { return of([.string(key), value]) } }
        if let messages = record["messages"]?.array { return of(["messages", .array(messages.dropLast())]) }
        if let first = record["conversations"]?.array?.first { return of(["conversations", record["image"] ?? .null, first]) }
        return nil
    }
}

extension JSONLineReader.Line {
    /// The line's bytes, without the mark that some programs put before the first.
    var withoutByteOrderMark: UnsafeBufferPointer<UInt8> {
        number == 1 && bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? UnsafeBufferPointer(rebasing: bytes[3...]) : bytes
    }
}
