import JSON

/// Writes a JSON Lines file in another layout or form, where nothing is lost by it.
public struct DatasetExport: Sendable {
    /// How the records lie in the file.
    public enum Layout: String, Sendable, CaseIterable {
        case jsonLines = "jsonl"
        /// One array.
        case json
        /// A table with a heading; only for records without nested values.
        case csv
    }

    /// What the records become.
    public enum Conversion: String, Sendable, CaseIterable {
        case messages
        case inputOutput = "input_output"
    }

    public var layout: Layout
    public var conversion: Conversion?

    public init(layout: Layout, conversion: Conversion? = nil) {
        self.layout = layout
        self.conversion = conversion
    }

    /// Writes the records of `source` to `target`, which gets its name when it is complete.
    ///
    /// - Throws: `FileError`, and `DatasetError` with the line of a record that would lose something.
    @discardableResult
    public func write(from source: String, to target: String) throws -> WrittenFile {
        let writer = try DatasetWriter(path: target)
        let text = JSONWriter(layout: .python)
        switch layout {
        case .jsonLines: try read(source) { record, _ in try writer.append(line: text.bytes(of: record)) }
        case .json:
            var isFirst = true
            try writer.append(bytes: Array("[".utf8))
            try read(source) { record, _ in
                try writer.append(bytes: Array((isFirst ? "\n" : ",\n").utf8) + text.bytes(of: record))
                isFirst = false
            }
            try writer.append(bytes: Array("\n]\n".utf8))
        case .csv: try writeTable(source, writer)
        }
        return try writer.finish()
    }

    private func read(_ path: String, _ body: (JSONValue, Int) throws -> Void) throws {
        try JSONLineReader(path: path).read { line in
            let bytes = line.withoutByteOrderMark
            if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { return }
            let record: JSONValue
            do throws(JSONError) { record = try JSONParser.parse(bytes) } catch { throw Self.failure(line.number, "", "\(error)") }
            try body(try converted(record, line: line.number), line.number)
        }
    }

    private static func failure(_ line: Int, _ pointer: String, _ detail: String) -> DatasetError {
        let issue = DatasetIssue(line: line, pointer: pointer, detail: detail)
        return DatasetError(.badData, issue.description, issues: [issue])
    }

    // MARK: Forms

    private func converted(_ record: JSONValue, line: Int) throws(DatasetError) -> JSONValue {
        guard let members = record.object else { throw Self.failure(line, "", "is no object") }
        switch conversion {
        case nil: return record
        case .messages where members["messages"] != nil, .inputOutput where members["messages"] == nil && members["input"] != nil:
            return record
        case .messages:
            guard let input = members["input"]?.string, let output = members["output"]?.string else {
                throw Self.failure(line, "", "has no texts 'input' and 'output' that messages could be made of")
            }
            let messages: JSONValue = [["role": "user", "content": .string(input)], ["role": "assistant", "content": .string(output)]]
            return Self.replacing(["input", "output"], of: members, by: ["messages": messages])
        case .inputOutput:
            let turns = members["messages"]?.array ?? []
            guard turns.count == 2, let input = Self.content(turns[0], of: "user"), let output = Self.content(turns[1], of: "assistant")
            else {
                throw Self.failure(
                    line, "/messages",
                    "is not one turn of the user and one of the assistant, each with a text alone: something would be lost")
            }
            return Self.replacing(["messages"], of: members, by: ["input": .string(input), "output": .string(output)])
        }
    }

    private static func content(_ turn: JSONValue, of role: String) -> String? {
        guard let members = turn.object, members.count == 2, members["role"]?.string == role else { return nil }
        return members["content"]?.string
    }

    private static func replacing(_ keys: Set<String>, of members: JSONObject, by others: JSONObject) -> JSONValue {
        var result = others
        for (key, value) in members where !keys.contains(key) { result[key] = value }
        return .object(result)
    }

    // MARK: Tables

    /// RFC 4180: fields with a comma, a quote or a line end are quoted, quotes are doubled.
    private func writeTable(_ source: String, _ writer: DatasetWriter) throws {
        var columns: [String] = []
        var known: Set<String> = []
        try read(source) { record, line in
            for (key, value) in record.object ?? [:] {
                switch value {
                case .array, .object:
                    throw Self.failure(
                        line, (JSONPointer() / key).description, "is \(DatasetFormat.article(value)); a table holds no nested values")
                default: if known.insert(key).inserted { columns.append(key) }
                }
            }
        }
        try writer.append(bytes: Self.row(columns))
        try read(source) { record, _ in
            try writer.append(
                bytes: Self.row(
                    columns.map { key in
                        switch record[key] {
                        case nil, .null?: ""
                        case .string(let text)?: text
                        case let other?: other.text()
                        }
                    }))
        }
    }

    private static func row(_ fields: [String]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (index, field) in fields.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            let needsQuotes = field.utf8.contains { [0x22, 0x2C, 0x0A, 0x0D].contains($0) } || (fields.count == 1 && field.isEmpty)
            guard needsQuotes else {
                bytes.append(contentsOf: field.utf8)
                continue
            }
            bytes.append(0x22)
            for byte in field.utf8 {
                if byte == 0x22 { bytes.append(0x22) }
                bytes.append(byte)
            }
            bytes.append(0x22)
        }
        return bytes + [0x0D, 0x0A]
    }
}
