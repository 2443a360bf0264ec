import JSON

/// What a dataset looks like: how long its records are, what they are made of, and how many of them are the same.
public struct DatasetProfile: Sendable {
    /// How often a value stands in a place.
    public struct Count: Sendable, Equatable {
        public var value: String
        public var count: Int
    }

    /// A member that records have.
    public struct Field: Sendable, Equatable {
        /// Such as `messages[].content`.
        public var path: String
        /// Kinds of JSON values found there, in the order of the alphabet.
        public var types: [String]
        /// Records that have it.
        public var records: Int
    }

    public var rows = 0
    /// Lengths of the records' texts in characters: the least, the greatest, the mean, and quantiles of a sample.
    public var characters = LengthSummary()
    /// Records equal to an earlier one, members in any order.
    public var duplicates = 0
    /// The answers that stand most often (the last assistant turn, the output, or the index of the right choice), where they are few and short.
    public var labels: [Count] = []
    public var fields: [Field] = []
    /// Records from all parts of the file, evenly spread, with their line numbers.
    public var samples: [(line: Int, record: JSONValue)] = []

    /// Reads a file in one pass; what is kept of a record is its hash.
    ///
    /// - Parameter samples: how many records to show.
    /// - Throws: `FileError` where the file cannot be read. Lines that are no JSON objects are passed over.
    public static func of(path: String, rows: Int, samples: Int = 5) throws -> DatasetProfile {
        var pass = ProfilePass(rows: rows, samples: samples)
        try JSONLineReader(path: path).read(onChunk: { _ in }, onLine: { pass.look(at: $0) })
        return pass.finished()
    }
}

/// Lengths, as a histogram whose buckets double.
public struct LengthSummary: Sendable, Equatable {
    public private(set) var count = 0
    public private(set) var least = 0
    public private(set) var greatest = 0
    private var sum = 0
    /// `buckets[n]` counts lengths from 2^(n-1) up to but not including 2^n; the first counts zeros.
    public private(set) var buckets: [Int] = []

    public init() {}

    public mutating func add(_ length: Int) {
        least = count == 0 ? length : min(least, length)
        greatest = max(greatest, length)
        count += 1
        sum += length
        let bucket = Int.bitWidth - length.leadingZeroBitCount
        if bucket >= buckets.count { buckets += Array(repeating: 0, count: bucket - buckets.count + 1) }
        buckets[bucket] += 1
    }

    /// Not a number where nothing was added.
    public var mean: Double { Double(sum) / Double(count) }
}

private struct ProfilePass {
    /// More different answers than that are no labels.
    private static let labelsMax = 200
    private static let labelBytesMax = 64
    private static let labelsShown = 20
    private static let fieldsMax = 200

    private(set) var result = DatasetProfile()
    private let stride: Int
    private let samplesMax: Int
    private var seen: Set<UInt64> = []
    private var labels: [String: Int]? = [:]
    private var fields: [String: (types: Set<String>, records: Int)] = [:]
    private var inRecord: Set<String> = []

    init(rows: Int, samples: Int) {
        stride = max(1, rows / max(1, samples))
        samplesMax = samples
    }

    mutating func look(at line: JSONLineReader.Line) {
        guard !line.isTooLong else { return }
        // What is no JSON was refused when the dataset was registered; blank lines are between records.
        guard let record = try? JSONParser.parse(line.withoutByteOrderMark), record.object != nil else { return }
        result.rows += 1
        result.characters.add(Self.characters(record))
        if !seen.insert(RecordHash.of(record)).inserted { result.duplicates += 1 }
        inRecord = []
        describe(record, at: "")
        for path in inRecord { fields[path]?.records += 1 }
        count(Self.answer(of: record))
        if (result.rows - 1).isMultiple(of: stride), result.samples.count < samplesMax { result.samples.append((line.number, record)) }
    }

    private static func characters(_ value: JSONValue) -> Int {
        switch value {
        case .string(let text): text.unicodeScalars.count
        case .array(let items): items.reduce(0) { $0 + characters($1) }
        case .object(let members): members.reduce(0) { $0 + characters($1.value) }
        default: 0
        }
    }

    private mutating func describe(_ value: JSONValue, at path: String) {
        switch value {
        case .object(let members):
            for (key, member) in members { note(member, at: path.isEmpty ? key : path + "." + key) }
        case .array(let items):
            for item in items { note(item, at: path + "[]") }
        default: break
        }
    }

    private mutating func note(_ value: JSONValue, at path: String) {
        if fields[path] == nil {
            guard fields.count < Self.fieldsMax else { return }
            fields[path] = ([], 0)
        }
        inRecord.insert(path)
        fields[path]?.types.insert(Self.type(of: value))
        describe(value, at: path)
    }

    private static func type(of value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        default: "number"
        }
    }

    private static func answer(of record: JSONValue) -> String? {
        if let index = record["jcqa_data"]?["answer_index"]?.int { return String(index) }
        if let output = record["output"]?.string { return output }
        return record["messages"]?.array?.last?["content"]?.string
    }

    private mutating func count(_ answer: String?) {
        guard let answer, labels != nil else { return }
        guard answer.utf8.count <= Self.labelBytesMax else {
            labels = nil
            return
        }
        labels?[answer, default: 0] += 1
        if let count = labels?.count, count > Self.labelsMax { labels = nil }
    }

    mutating func finished() -> DatasetProfile {
        result.labels = (labels ?? [:]).map { .init(value: $0.key, count: $0.value) }
            .sorted { ($1.count, $0.value) < ($0.count, $1.value) }.prefix(Self.labelsShown).map { $0 }
        result.fields = fields.map { .init(path: $0.key, types: $0.value.types.sorted(), records: $0.value.records) }
            .sorted { $0.path < $1.path }
        return result
    }
}
