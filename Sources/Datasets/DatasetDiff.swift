import Crypto
import JSON

/// What one dataset has that another has not, record by record, whatever their order.
public struct DatasetDiff: Sendable {
    /// Records that both have. One that stands twice here and once there is common once.
    public var common = 0
    /// Records of the newer that the older has not, and the other way round.
    public var added = 0
    public var removed = 0
    /// The first of them, with their line numbers.
    public var addedSamples: [(line: Int, record: JSONValue)] = []
    public var removedSamples: [(line: Int, record: JSONValue)] = []

    /// Reads both files once and one of them twice; of a record its hash is kept.
    ///
    /// - Throws: `FileError` where a file cannot be read. Lines that are no JSON objects are passed over.
    public static func of(from older: String, to newer: String, samples: Int = 5) throws -> DatasetDiff {
        var diff = DatasetDiff()
        var counts: [UInt64: Int] = [:]
        try read(older) { _, record in counts[RecordHash.of(record), default: 0] += 1 }
        try read(newer) { line, record in
            let hash = RecordHash.of(record)
            if let count = counts[hash], count > 0 {
                counts[hash] = count - 1
                diff.common += 1
            } else {
                diff.added += 1
                if diff.addedSamples.count < samples { diff.addedSamples.append((line, record)) }
            }
        }
        diff.removed = counts.values.reduce(0, +)
        guard diff.removed > 0 else { return diff }
        try read(older) { line, record in
            let hash = RecordHash.of(record)
            guard let count = counts[hash], count > 0, diff.removedSamples.count < samples else { return }
            counts[hash] = count - 1
            diff.removedSamples.append((line, record))
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

/// A number that tells records apart; equal for those whose members are equal in whatever order.
enum RecordHash {
    static func of(_ record: JSONValue) -> UInt64 {
        SHA256.hash(data: JSONWriter(sortsKeys: true).bytes(of: record)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension JSONLineReader.Line {
    /// The line's bytes, without the mark that some programs put before the first.
    var withoutByteOrderMark: UnsafeBufferPointer<UInt8> {
        number == 1 && bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? UnsafeBufferPointer(rebasing: bytes[3...]) : bytes
    }
}
