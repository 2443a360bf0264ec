import JSON

/// A record between two steps.
struct PreparedRecord {
    var value: JSONValue
    /// The line of its source on which the record starts.
    var line: Int
    /// The number of its source's file.
    var file: UInt16 = 0
}

/// Records that come one after the other; a step in the middle is made from the flow before it.
///
/// Nothing is read before `drain` is called. A flow that is no collection can be drained once.
protocol RecordFlow: AnyObject {
    /// Hands every record to `body`, in order.
    func drain(_ body: (PreparedRecord) throws -> Void) throws
}

/// Records that can be had in any order, each at the cost of an index entry in memory.
protocol RecordCollection: RecordFlow {
    var count: Int { get }
    func record(at index: Int) throws -> PreparedRecord
    /// The number of the right choice of a JCommonsenseQA record; `nil` for other records.
    func label(at index: Int) throws -> String?
    /// Appends the record's text in Python's layout, without a line feed.
    func appendText(at index: Int, to output: inout [UInt8]) throws
}

extension RecordCollection {
    func drain(_ body: (PreparedRecord) throws -> Void) throws {
        for index in 0..<count { try body(try record(at: index)) }
    }

    /// The labels of all records, each as its number; `nil` where some record has none, or where there are more than a split in
    /// proportion is of use for.
    func labels() throws -> [UInt16]? {
        var names = LabelCounts()
        var labels: [UInt16] = []
        labels.reserveCapacity(count)
        for index in 0..<count {
            guard let label = try label(at: index) else { return nil }
            let place = names.place(of: label)
            guard place < SpooledRecords.labelsMax else { return nil }
            labels.append(UInt16(place))
        }
        return labels
    }

    /// How often each label occurs, in the order of the records.
    func labelCounts() throws -> LabelCounts {
        var counts = LabelCounts()
        for index in 0..<count { if let label = try label(at: index) { counts.add(label) } }
        return counts
    }

    /// These records in this order; an index may stand several times.
    func selecting(_ order: [Int]) -> any RecordCollection { selecting(order.map { UInt32($0) }) }

    /// These records in this order; an index may stand several times.
    func selecting(_ order: [UInt32]) -> any RecordCollection {
        if let ordered = self as? OrderedRecords { return OrderedRecords(ordered.base, order: order.map { ordered.order[Int($0)] }) }
        return OrderedRecords(self, order: order)
    }
}

/// Records of another collection in an order of their own.
final class OrderedRecords: RecordCollection {
    let base: any RecordCollection
    let order: [UInt32]

    init(_ base: any RecordCollection, order: [UInt32]) { (self.base, self.order) = (base, order) }

    var count: Int { order.count }
    func record(at index: Int) throws -> PreparedRecord { try base.record(at: Int(order[index])) }
    func label(at index: Int) throws -> String? { try base.label(at: Int(order[index])) }
    func appendText(at index: Int, to output: inout [UInt8]) throws { try base.appendText(at: Int(order[index]), to: &output) }
}

/// Records as text in a spool, with an index of their places, lines and labels.
final class SpooledRecords: RecordCollection {
    private let spool: RecordSpool
    private var starts: [Int] = [0]
    private var lines: [Int32] = []
    /// Of each record; empty while all come from the first file.
    private var files: [UInt16] = []
    /// Positions in `labelNames`; 0 for none.
    private var labelCodes: [UInt16] = []
    private var labelNames: [String] = [""]
    private var labelNumbers: [String: UInt16] = [:]
    private let writer = JSONWriter(layout: .python)
    private var text: [UInt8] = []

    init(spool: RecordSpool) { self.spool = spool }

    var count: Int { lines.count }

    func append(_ record: PreparedRecord) throws {
        text.removeAll(keepingCapacity: true)
        writer.append(record.value, to: &text)
        try spool.append(text)
        starts.append(starts[starts.count - 1] + text.count)
        if record.file > 0, files.isEmpty { files = [UInt16](repeating: 0, count: lines.count) }
        if record.file > 0 || !files.isEmpty { files.append(record.file) }
        lines.append(Int32(clamping: record.line))
        labelCodes.append(code(of: JCommonsenseQA.label(of: record.value)))
    }

    /// Labels beyond this number are of no use for a split in proportion.
    static let labelsMax = 60_000

    private func code(of label: String?) -> UInt16 {
        guard let label else { return 0 }
        if let known = labelNumbers[label] { return known }
        guard labelNames.count < Self.labelsMax else { return 0 }
        labelNames.append(label)
        labelNumbers[label] = UInt16(labelNames.count - 1)
        return UInt16(labelNames.count - 1)
    }

    func record(at index: Int) throws -> PreparedRecord {
        try spool.read(starts[index]..<starts[index + 1], into: &text)
        return PreparedRecord(
            value: try JSONParser.parse(text, options: .spooled), line: Int(lines[index]), file: files.isEmpty ? 0 : files[index])
    }

    func label(at index: Int) -> String? { labelCodes[index] == 0 ? nil : labelNames[Int(labelCodes[index])] }

    func appendText(at index: Int, to output: inout [UInt8]) throws {
        try spool.read(starts[index]..<starts[index + 1], into: &text)
        output.append(contentsOf: text)
    }
}

extension JSONParser.Options {
    /// For texts that this program has written itself.
    static var spooled: JSONParser.Options {
        var options = JSONParser.Options.python
        options.depthMax = 1000
        return options
    }
}

extension RecordFlow {
    /// The records as a collection; spools them where they are none yet.
    func collected(spool: @autoclosure () throws -> RecordSpool) throws -> any RecordCollection {
        if let collection = self as? any RecordCollection { return collection }
        let records = SpooledRecords(spool: try spool())
        try drain { try records.append($0) }
        return records
    }
}
