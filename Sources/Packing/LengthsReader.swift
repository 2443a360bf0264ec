import JSON

/// Reads the lengths that `python -m anneal_trainer.lengths` measured.
///
/// The file is JSON Lines: a header `{"format":"anneal.lengths","version":1,"kind":"sft","tokenizer_sha256":"…","dataset_sha256":"…",
/// "records":n}`, then for each record of the dataset, in its order, `{"line":1,"length":57}`, or for a preference pair
/// `{"line":1,"chosen":57,"rejected":60}`. Feed it the lines in order, then ask for the lengths.
public struct LengthsReader {
    private struct Header: Decodable {
        enum CodingKeys: String, CodingKey {
            case format, version, kind, records
            case tokenizerHash = "tokenizer_sha256"
            case datasetHash = "dataset_sha256"
        }

        var format: String
        var version: Int
        var kind: String
        var records: Int
        var tokenizerHash: String?
        var datasetHash: String?
    }

    private var header: Header?
    private var line = 0
    private var sequences: [Int] = []
    private var pairs: [PackingLengths.Pair] = []

    /// What was measured; known after the first line.
    public private(set) var provenance = PackingProvenance()
    /// The line of the dataset that each record stands on, from 1.
    public private(set) var datasetLines: [Int] = []

    public init() {}

    /// Takes the next line, without its line feed.
    public mutating func read(line bytes: some Sequence<UInt8>) throws(PackingError) {
        line += 1
        let value: JSONValue
        do {
            value = try JSONParser.parse(bytes)
        } catch {
            throw fault("is not JSON: \(error)")
        }
        guard let header else { return try readHeader(value) }
        guard let datasetLine = value["line"]?.int, datasetLine > datasetLines.last ?? 0 else {
            throw fault("line must be a number above that of the record before")
        }
        if header.kind == "sft" {
            sequences.append(try length("length", of: value))
        } else {
            pairs.append(PackingLengths.Pair(chosen: try length("chosen", of: value), rejected: try length("rejected", of: value)))
        }
        datasetLines.append(datasetLine)
    }

    /// The lengths, after the last line.
    public func finish() throws(PackingError) -> PackingLengths {
        guard let header else { throw PackingError(.badData, "the file of lengths is empty: it has no header") }
        guard datasetLines.count == header.records else {
            throw fault("the file has \(datasetLines.count) lengths, its header says \(header.records)")
        }
        return header.kind == "sft" ? .sequences(sequences) : .pairs(pairs)
    }

    private func fault(_ message: String) -> PackingError { PackingError(.badData, message, line: line) }

    private mutating func readHeader(_ value: JSONValue) throws(PackingError) {
        let header: Header
        do {
            header = try Header(decoding: value)
        } catch {
            throw fault("is no header of a file of lengths: \(error)")
        }
        guard header.format == "anneal.lengths", header.version == 1 else {
            throw fault("expected format 'anneal.lengths' in version 1, not '\(header.format)' in version \(header.version)")
        }
        guard ["sft", "dpo"].contains(header.kind) else { throw fault("kind must be 'sft' or 'dpo', not '\(header.kind)'") }
        provenance = PackingProvenance(tokenizerHash: header.tokenizerHash, datasetHash: header.datasetHash)
        try provenance.check(line: line)
        self.header = header
    }

    private func length(_ key: String, of value: JSONValue) throws(PackingError) -> Int {
        guard let length = value[key]?.int, (1...PackingOptions.capacityMax).contains(length) else {
            throw fault("\(key) must be a number from 1 to \(PackingOptions.capacityMax), not \(value[key]?.description ?? "missing")")
        }
        return length
    }
}
