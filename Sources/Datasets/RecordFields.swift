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
        let issue = DatasetIssue(line: line, pointer: pointer, detail: detail)
        var error = DatasetError(.badData, "line \(line): \(detail)", issues: [issue])
        error.place = RecordPlace(file: file)
        return error
    }

    /// The same record with another object as its value.
    func replacing(_ members: JSONObject) -> PreparedRecord {
        PreparedRecord(value: .object(members), line: line, file: file)
    }
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
    ///
    /// A record that `look` or the keys throw at is left out of the groups where bad ones may be dropped.
    static func collect(
        _ flow: any RecordFlow, by keys: [String], report: StepReport, context: PreparationContext,
        look: (PreparedRecord) throws -> Void = { _ in }
    ) throws -> (records: any RecordCollection, groups: RecordGroups) {
        var groups = RecordGroups()
        var numbers: [TextDigest: Int] = [:]
        var digester = TextDigester()
        var index = 0
        /// Whether the record stays.
        func add(_ record: PreparedRecord) throws -> Bool {
            report.counts.recordsIn += 1
            var isGood = false
            try report.attempt(context.bad) {
                let digest = digester.digest(try keys.map { try record.groupText($0) })
                try look(record)
                let number = numbers[digest, default: groups.members.count]
                if number == groups.members.count {
                    numbers[digest] = number
                    groups.members.append([])
                }
                groups.members[number].append(index)
                index += 1
                isGood = true
            }
            return isGood
        }
        if let collection = flow as? any RecordCollection {
            var kept: [Int] = []
            for position in 0..<collection.count where try add(try collection.record(at: position)) { kept.append(position) }
            return (kept.count == collection.count ? collection : collection.selecting(kept), groups)
        }
        let records = SpooledRecords(spool: context.makeSpool())
        try flow.drain { if try add($0) { try records.append($0) } }
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

extension JSONValue {
    /// About the memory that the value takes.
    var approximateBytes: Int {
        let cell = MemoryLayout<JSONValue>.stride
        switch self {
        case .string(let text): return cell + text.utf8.count
        case .array(let elements): return elements.reduce(cell) { $0 + $1.approximateBytes }
        case .object(let members): return members.reduce(cell) { $0 + 2 * cell + $1.key.utf8.count + $1.value.approximateBytes }
        default: return cell
        }
    }
}
