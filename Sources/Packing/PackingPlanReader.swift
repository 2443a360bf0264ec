import JSON

/// Reads the lines of a plan's file and refuses whatever is not a whole and valid plan.
///
/// Feed it the lines in order, then ask for the plan.
public struct PackingPlanReader {
    /// The header's members, as they stand in the file.
    private struct Header: Decodable {
        enum CodingKeys: String, CodingKey {
            case format, version, kind, packer, capacity, seed, overlong, records, bins, statistics
            case padMultiple = "pad_multiple"
            case minBinCount = "min_bin_count"
            case binCountMultiple = "bin_count_multiple"
            case maxSequenceLength = "max_sequence_length"
            case tokenizerHash = "tokenizer_sha256"
            case datasetHash = "dataset_sha256"
        }

        var format: String
        var version: Int
        var kind: String
        var packer: String
        var capacity: Int
        var seed: Int
        var padMultiple: Int
        var minBinCount: Int?
        var binCountMultiple: Int?
        var maxSequenceLength: Int?
        var overlong: String
        var tokenizerHash: String?
        var datasetHash: String?
        var records: Int
        var bins: Int
        var statistics: JSONValue
    }

    private var header: Header?
    private var options = PackingOptions(capacity: 1)
    private var isEnded = false
    private var line = 0
    private var bins: [[Int]] = []
    private var dropped: [Int] = []
    /// Of each record; 0 for one that no line has named yet.
    private var chosen: [Int] = []
    private var rejected: [Int] = []

    public init() {}

    /// What the plan was made from; known after the first line.
    public private(set) var provenance = PackingProvenance()

    /// Takes the next line, without its line feed.
    public mutating func read(line bytes: some Sequence<UInt8>) throws(PackingError) {
        line += 1
        let value: JSONValue
        do {
            value = try JSONParser.parse(bytes)
        } catch {
            throw fault("is not JSON: \(error)")
        }
        guard value.object != nil else { throw fault("must be an object, not \(value.typeName)") }
        if isEnded { throw fault("stands after the end of the plan") }
        if header == nil {
            try readHeader(value)
        } else if value["end"] != nil {
            try readEnd(value)
        } else {
            try readBin(value)
        }
    }

    /// The plan, after the last line.
    public func finish() throws(PackingError) -> PackingPlan {
        guard let header else { throw PackingError(.badData, "the plan is empty: it has no header") }
        guard isEnded else {
            throw PackingError(.badData, "the plan is cut off after bin \(bins.count) of \(header.bins)", line: line)
        }
        guard bins.count == header.bins else { throw fault("the plan has \(bins.count) bins, its header says \(header.bins)") }
        if let missing = chosen.firstIndex(of: 0) { throw fault("record \(missing) is in no bin and not among the dropped") }
        if bins.count < options.minBinCount ?? 0 || bins.count % (options.binCountMultiple ?? 1) != 0 {
            throw fault("\(bins.count) bins are not what min_bin_count and bin_count_multiple ask for")
        }
        let lengths: PackingLengths =
            isPaired ? .pairs(zip(chosen, rejected).map { PackingLengths.Pair(chosen: $0, rejected: $1) }) : .sequences(chosen)
        let plan = PackingPlan(options: options, lengths: lengths, bins: bins, dropped: dropped)
        guard plan.statistics.json(capacity: options.capacity) == header.statistics else {
            throw PackingError(.badData, "the statistics are not those of the bins", line: 1)
        }
        return plan
    }

    private var isPaired: Bool { header?.kind == "dpo" }

    private func fault(_ message: String) -> PackingError { PackingError(.badData, message, line: line) }

    private mutating func readHeader(_ value: JSONValue) throws(PackingError) {
        guard value["format"]?.string == PackingPlanFormat.name else {
            throw fault("this is no packing plan: its format is not '\(PackingPlanFormat.name)'")
        }
        guard value["version"]?.int == PackingPlanFormat.version else {
            let found = value["version"]?.description ?? "missing"
            throw fault("version \(found) of the format is not known here; known is \(PackingPlanFormat.version)")
        }
        let header: Header
        do {
            header = try Header(decoding: value)
        } catch {
            throw fault("\(error)")
        }
        guard ["sft", "dpo"].contains(header.kind) else { throw fault("kind must be 'sft' or 'dpo', not '\(header.kind)'") }
        guard let overlong = PackingOptions.Overlong(rawValue: header.overlong) else { throw fault("overlong must be 'refuse' or 'drop'") }
        guard (1...PackingPlan.recordsMax).contains(header.records) else {
            throw fault("records must be from 1 to \(PackingPlan.recordsMax)")
        }
        do {
            options = PackingOptions(
                packer: try Packer(named: header.packer), capacity: header.capacity, seed: header.seed, minBinCount: header.minBinCount,
                binCountMultiple: header.binCountMultiple, padMultiple: header.padMultiple, maxSequenceLength: header.maxSequenceLength,
                overlong: overlong)
            try options.check(for: header.kind == "dpo" ? .pairs([]) : .sequences([]))
        } catch {
            throw fault(error.message)
        }
        provenance = PackingProvenance(tokenizerHash: header.tokenizerHash, datasetHash: header.datasetHash)
        try provenance.check(line: line)
        chosen = [Int](repeating: 0, count: header.records)
        if header.kind == "dpo" { rejected = chosen }
        self.header = header
    }

    private mutating func readBin(_ value: JSONValue) throws(PackingError) {
        guard value["bin"]?.int == bins.count else { throw fault("expected bin \(bins.count)") }
        let records = try readRecords(value)
        guard !records.isEmpty else { throw fault("bin \(bins.count) is empty") }
        let multiple = options.padMultiple
        let limit = options.maxSequenceLength ?? options.capacity
        var load = 0
        for record in records {
            load += chosen[record].roundedUp(to: multiple) + (isPaired ? rejected[record].roundedUp(to: multiple) : 0)
            if max(chosen[record], isPaired ? rejected[record] : 0) > limit { throw fault("record \(record) is longer than \(limit)") }
        }
        guard load <= options.capacity else {
            throw fault("bin \(bins.count) holds \(load) tokens, more than the capacity of \(options.capacity)")
        }
        bins.append(records)
    }

    private mutating func readEnd(_ value: JSONValue) throws(PackingError) {
        guard value["end"] == true, let members = value["dropped"] else { throw fault("the end must be {\"end\":true,\"dropped\":{…}}") }
        dropped = try readRecords(members)
        if let first = dropped.first, options.overlong == .refuse { throw fault("record \(first) is dropped although nothing may be") }
        guard dropped == dropped.sorted() else { throw fault("the dropped records are not in ascending order") }
        isEnded = true
    }

    /// The records of a line, whose lengths are noted.
    private mutating func readRecords(_ value: JSONValue) throws(PackingError) -> [Int] {
        guard let places = value["records"]?.array, let lengths = value["lengths"]?.array, places.count == lengths.count else {
            throw fault("records and lengths must be lists of one size")
        }
        var records: [Int] = []
        for (place, length) in zip(places, lengths) {
            guard let record = place.int, chosen.indices.contains(record) else {
                throw fault("\(place) is no record of the \(chosen.count)")
            }
            guard chosen[record] == 0 else { throw fault("record \(record) is named twice") }
            let pair = isPaired ? length.array.map { $0.map(\.int) } : [length.int]
            guard let pair, pair.count == (isPaired ? 2 : 1), let first = pair[0], let last = pair[pair.count - 1],
                (1...PackingOptions.capacityMax).contains(first), (1...PackingOptions.capacityMax).contains(last)
            else {
                throw fault("\(length) is no length of record \(record)")
            }
            chosen[record] = first
            if isPaired { rejected[record] = last }
            records.append(record)
        }
        return records
    }
}
