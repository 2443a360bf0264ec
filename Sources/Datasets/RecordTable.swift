import JSON

/// Records held as text, one line each in Python's layout, so that a dataset takes about its own size in memory.
public struct RecordTable: Sendable {
    private struct Row: Sendable {
        var start: Int
        var count: Int
        var line: Int
        /// The label of a JCommonsenseQA record.
        var label: String?
    }

    public internal(set) var format: DatasetFormat
    private var text: [UInt8] = []
    private var rows: [Row] = []
    private let writer = JSONWriter(layout: .python)

    public init(format: DatasetFormat) { self.format = format }

    public var count: Int { rows.count }

    /// Appends `record`, which starts on `line` of its source.
    public mutating func append(_ record: JSONValue, line: Int) {
        rows.append(place(record, line: line))
    }

    private mutating func place(_ record: JSONValue, line: Int) -> Row {
        let start = text.count
        writer.append(record, to: &text)
        return Row(start: start, count: text.count - start, line: line, label: JCommonsenseQA.label(of: record))
    }

    /// The line of the source on which a record starts.
    public func line(at index: Int) -> Int { rows[index].line }

    /// The number of the right choice as text, for questions of JCommonsenseQA and messages made from them; empty where a
    /// question has no answer, `nil` for other records.
    func label(at index: Int) -> String? { rows[index].label }

    /// The labels of all records; `nil` where some record has none.
    var labels: [String]? {
        let labels = rows.compactMap(\.label)
        return labels.count == rows.count ? labels : nil
    }

    var labelCounts: LabelCounts {
        var counts = LabelCounts()
        for label in rows.compactMap(\.label) { counts.add(label) }
        return counts
    }

    /// The text of a record.
    public func bytes(at index: Int) -> ArraySlice<UInt8> { text[rows[index].start..<(rows[index].start + rows[index].count)] }

    /// A record, read again from its text.
    public func record(at index: Int) throws(JSONError) -> JSONValue {
        var options = JSONParser.Options.python
        options.depthMax = 1000
        return try JSONParser.parse(bytes(at: index), options: options)
    }

    /// Puts `record` in the place of another; the old text stays allocated until the table goes.
    mutating func replace(at index: Int, with record: JSONValue) {
        rows[index] = place(record, line: rows[index].line)
    }

    /// Keeps the records of these indexes, in this order.
    mutating func keep(_ indexes: some Sequence<Int>) { rows = indexes.map { rows[$0] } }

    /// A table of these records, in this order.
    func selecting(_ indexes: some Sequence<Int>) -> RecordTable {
        var copy = self
        copy.keep(indexes)
        return copy
    }

    /// Writes all records to `path`.
    public func write(to path: String) throws(FileError) -> WrittenFile {
        let output = try DatasetWriter(path: path)
        for index in rows.indices { try output.append(line: bytes(at: index)) }
        return try output.finish()
    }
}
