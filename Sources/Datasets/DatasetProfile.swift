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
    /// Lengths of the records' texts, in characters and in words (what stands between white space).
    public var characters = LengthSummary()
    public var words = LengthSummary()
    /// Records equal to an earlier one, members in any order.
    public var duplicates = 0
    /// The labels that stand most often, where they are few and short.
    public var labels: [Count] = []
    /// The member that they stand in, such as `label` or `messages[-1].content`; `nil` where there are none.
    public var labelMember: String?
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
    /// Counts by the member that holds a label; `nil` where it turned out to hold none.
    private var labels: [LabelMember: [String: Int]?] = [:]
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
        var size = TextSize()
        size.add(record)
        result.characters.add(size.characters)
        result.words.add(size.words)
        if !seen.insert(RecordHash.of(record)).inserted { result.duplicates += 1 }
        inRecord = []
        describe(record, at: "")
        for path in inRecord { fields[path]?.records += 1 }
        for member in LabelMember.allCases { count(member.value(in: record), of: member) }
        if (result.rows - 1).isMultiple(of: stride), result.samples.count < samplesMax { result.samples.append((line.number, record)) }
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
        case .int, .bigInteger: "integer"
        case .double: "number"
        }
    }

    private mutating func count(_ label: String?, of member: LabelMember) {
        guard let label, var counts = labels[member, default: [:]] else { return }
        if label.utf8.count <= Self.labelBytesMax { counts[label, default: 0] += 1 }
        let isLabel = label.utf8.count <= Self.labelBytesMax && counts.count <= Self.labelsMax
        labels[member] = .some(isLabel ? counts : nil)
    }

    mutating func finished() -> DatasetProfile {
        // The first member that holds labels, and repeats them: what differs from record to record is no label.
        for member in LabelMember.allCases {
            guard let counts = labels[member] ?? nil, counts.count == 1 || counts.count < counts.values.reduce(0, +) else { continue }
            result.labelMember = member.rawValue
            result.labels = counts.map { .init(value: $0.key, count: $0.value) }
                .sorted { ($1.count, $0.value) < ($0.count, $1.value) }.prefix(Self.labelsShown).map { $0 }
            break
        }
        result.fields = fields.map { .init(path: $0.key, types: $0.value.types.sorted(), records: $0.value.records) }
            .sorted { $0.path < $1.path }
        return result
    }
}

/// Where labels may stand, the surest place first.
private enum LabelMember: String, CaseIterable {
    case question = "jcqa_data.answer_index"
    case label
    case category
    case isCorrect = "is_correct"
    case expectedAnswer = "expected_answer"
    case answer
    case output
    case lastMessage = "messages[-1].content"

    /// The label of a record; `nil` where it has none there.
    func value(in record: JSONValue) -> String? {
        switch self {
        case .question: record["jcqa_data"]?["answer_index"]?.plainText
        case .lastMessage: record["messages"]?.array?.last?["content"]?.string
        default: record[rawValue]?.plainText
        }
    }
}

/// The size of all texts in a value.
private struct TextSize {
    var characters = 0
    var words = 0

    mutating func add(_ value: JSONValue) {
        switch value {
        case .string(let text):
            var isInWord = false
            for scalar in text.unicodeScalars {
                characters += 1
                let isWord = !scalar.properties.isWhitespace
                if isWord, !isInWord { words += 1 }
                isInWord = isWord
            }
        case .array(let items): for item in items { add(item) }
        case .object(let members): for (_, member) in members { add(member) }
        default: break
        }
    }
}
