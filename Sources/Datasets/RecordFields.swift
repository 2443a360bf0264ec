import JSON

extension PreparedRecord {
    /// The member at `path`: a key, or keys joined by points that lead into nested objects.
    func member(_ path: String) -> JSONValue? {
        if let direct = value[path] { return direct }
        guard path.utf8.contains(UInt8(ascii: ".")) else { return nil }
        var current: JSONValue? = value
        for key in path.split(separator: ".") { current = current?[String(key)] ?? Int(key).flatMap { current?[$0] } }
        return current
    }

    /// The text at `path`; numbers and booleans stand for their text in Python.
    func text(_ path: String) throws(DatasetError) -> String {
        guard let member = member(path), !member.isNull else { throw failure("'\(path)' is missing", at: path) }
        guard let text = member.plainText else {
            throw failure("'\(path)' is \(DatasetFormat.article(member)); it must be a text", at: path)
        }
        return text
    }

    /// An error of this record.
    func failure(_ detail: String, at path: String? = nil) -> DatasetError {
        let pointer = path.map { JSONPointer($0.split(separator: ".").map(String.init)).description } ?? ""
        return DatasetError(.badData, "line \(line): \(detail)", issues: [DatasetIssue(line: line, pointer: pointer, detail: detail)])
    }

    /// The same record with another object as its value.
    func replacing(_ members: JSONObject) -> PreparedRecord { PreparedRecord(value: .object(members), line: line) }
}

extension JSONValue {
    /// A text, or the text that Python's `str()` makes of a number or a boolean; `nil` for others.
    var plainText: String? {
        switch self {
        case .string(let text): text
        case .bool(let flag): flag ? "True" : "False"
        case .int, .double, .bigInteger: text(layout: .python)
        default: nil
        }
    }

    /// What Python takes for true.
    var isTruthy: Bool {
        switch self {
        case .null: false
        case .bool(let flag): flag
        case .int(let number): number != 0
        case .double(let number): number != 0
        case .bigInteger: true
        case .string(let text): !text.isEmpty
        case .array(let elements): !elements.isEmpty
        case .object(let members): !members.isEmpty
        }
    }
}

/// 128 bits of a SHA-256; two different texts do not share them in practice.
struct TextDigest: Hashable {
    var high: UInt64
    var low: UInt64
}

/// Makes digests of several texts as one, so that their borders count.
struct TextDigester {
    private var bytes: [UInt8] = []

    mutating func digest(_ parts: [String]) -> TextDigest {
        bytes.removeAll(keepingCapacity: true)
        for part in parts {
            bytes.append(contentsOf: part.utf8)
            // No text in UTF-8 holds this byte.
            bytes.append(0xFF)
        }
        return ContentHash.digest(of: bytes)
    }
}

/// Indexes of records with equal values of a key, in the order in which the values first came.
struct RecordGroups {
    var members: [[Int]] = []

    /// The records of `flow` as a collection, and their groups by the text at `key`.
    static func collect(
        _ flow: any RecordFlow, by keys: [String], report: StepReport, spool: @autoclosure () throws -> RecordSpool,
        look: (PreparedRecord) throws -> Void = { _ in }
    ) throws -> (records: any RecordCollection, groups: RecordGroups) {
        var groups = RecordGroups()
        var numbers: [TextDigest: Int] = [:]
        var digester = TextDigester()
        var index = 0
        func add(_ record: PreparedRecord) throws {
            report.counts.recordsIn += 1
            let digest = digester.digest(try keys.map { try record.groupText($0) })
            let number = numbers[digest, default: groups.members.count]
            if number == groups.members.count {
                numbers[digest] = number
                groups.members.append([])
            }
            groups.members[number].append(index)
            index += 1
            try look(record)
        }
        if let collection = flow as? any RecordCollection {
            try collection.drain(add)
            return (collection, groups)
        }
        let records = SpooledRecords(spool: try spool())
        try flow.drain { record in
            try add(record)
            try records.append(record)
        }
        return (records, groups)
    }
}

extension PreparedRecord {
    /// The text that groups are made by: a text as it stands, anything else as JSON with sorted keys.
    func groupText(_ key: String) throws(DatasetError) -> String {
        guard let member = member(key), !member.isNull else { throw failure("'\(key)' is missing", at: key) }
        return member.plainText ?? member.text(sortsKeys: true)
    }
}
