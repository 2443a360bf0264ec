import Datasets
import JSON

/// Makes WebDataset shards, with the metadata of Megatron-Energon, of conversations about images.
///
/// The records are JSON Lines in LLaVA's form: `id`, `image` (a path inside the folder of images) and `conversations`. A sample has two
/// parts: the bytes of the image under its ending (`jpg`), and `json`, the list of conversations.
public struct WebDatasetExport: Sendable {
    /// What was made.
    public struct Result: Sendable, Equatable {
        /// A shard and the number of its samples.
        public struct Shard: Sendable, Equatable {
            public var name: String
            public var samples: Int
            public var bytes: Int64
            /// In lower-case hexadecimal.
            public var sha256: String
        }

        /// In the order of the metadata.
        public var shards: [Shard]
        public var split: EnergonSplit
        public var samples: Int
        /// Records left out because they have no image.
        public var dropped: Int
        /// Samples whose first turn does not say where the image goes.
        public var withoutImageToken: Int
        /// Parts of the samples.
        public var parts: [String]

        /// The samples of a part of the split.
        public func samples(of part: String) -> Int {
            let names = Set(split.parts.first { $0.name == part }?.shards ?? [])
            return shards.reduce(0) { $0 + (names.contains($1.name) ? $1.samples : 0) }
        }
    }

    /// A record that is good, where it stands, and its key.
    private struct Entry {
        var offset: Int
        var size: Int
        var line: Int
        var key: String
    }

    /// Draws of other steps with the same seed come from other streams (`RandomStream` in Datasets has those from 1 on).
    private static let randomStream: UInt32 = 0x5744

    /// The records' file.
    public var records: String
    /// The folder that images' paths start from.
    public var images: String
    public var options: WebDatasetOptions

    public init(records: String, images: String, options: WebDatasetOptions) {
        self.records = records
        self.images = images
        self.options = options
    }

    /// Writes the shards and their metadata into `folder`, which appears when it is complete.
    ///
    /// The same records, images and options give the same bytes. Nothing is written when a record is bad. `progress` gets the samples
    /// written and their number, and may throw to end the work. Throws `DatasetError`, `FileError` and errors of the index.
    public func run(folder: String, progress: (Int, Int) throws -> Void = { _, _ in }) throws -> Result {
        try options.check()
        var result = Result(shards: [], split: EnergonSplit(), samples: 0, dropped: 0, withoutImageToken: 0, parts: [])
        var entries = try checkedEntries(&result)
        if let seed = options.seed {
            var random = MersenneTwister(seed: seed, stream: Self.randomStream)
            random.shuffle(&entries)
        }
        let output = try OutputFolder(path: folder, mark: EnergonMetadata.folderName)
        let shards = try listed(write(entries, folder: output.temporaryPath, progress: progress))
        result.split = try EnergonSplit(shards: splitOrder(shards.map(\.name)), ratios: options.ratios)
        try output.makeFolder(EnergonMetadata.folderName)
        try EnergonMetadata(shards: shards, split: result.split, parts: result.parts).write(folder: output.temporaryPath)
        try output.finish()
        result.samples = entries.count
        result.shards = shards.map {
            Result.Shard(name: $0.name, samples: $0.samples.count, bytes: $0.file.bytes, sha256: $0.file.sha256)
        }
        return result
    }

    /// All records that become samples, in the order of the file. Throws with every bad line, the first hundred in full.
    private func checkedEntries(_ result: inout Result) throws -> [Entry] {
        var issues = DatasetIssueLog()
        var keys = SampleKeys(rule: options.keys)
        var entries: [Entry] = []
        var parts: Set<String> = ["json"]
        try JSONLineReader(path: records).read { line in
            if line.isBlank && !line.isTooLong { return }
            guard let record = record(line, issues: &issues) else { return }
            guard let image = record.image, let part = record.imagePart else {
                if options.imageless == .drop {
                    result.dropped += 1
                } else {
                    issues.add(DatasetIssue(line: line.number, pointer: "/image", detail: "is missing"))
                }
                return
            }
            if let complaint = ConversationRecord.complaint(aboutFile: "\(images)/\(image)") {
                return issues.add(DatasetIssue(line: line.number, pointer: "/image", detail: complaint))
            }
            guard let key = keys.key(for: record.identifier, line: line.number, issues: &issues) else { return }
            parts.insert(part)
            if !record.hasImageToken { result.withoutImageToken += 1 }
            entries.append(Entry(offset: line.offset, size: line.bytes.count, line: line.number, key: key))
        }
        if let first = issues.first.first {
            throw DatasetError(.badData, "\(issues.count) faults in the records; the first: \(first)", issues: issues.first)
        }
        guard !entries.isEmpty else { throw DatasetError(.badData, "there are no records with an image") }
        result.parts = parts.sorted()
        return entries
    }

    private func record(_ line: JSONLineReader.Line, issues: inout DatasetIssueLog) -> ConversationRecord? {
        if line.isTooLong {
            issues.add(DatasetIssue(line: line.number, detail: "is longer than \(JSONLineReader.lineBytesMax) bytes"))
            return nil
        }
        do {
            let value = try JSONParser.parse(line.bytes)
            guard value.object != nil else {
                issues.add(DatasetIssue(line: line.number, detail: "must be an object, not \(value.typeName)"))
                return nil
            }
            return ConversationRecord(value, line: line.number, issues: &issues)
        } catch {
            issues.add(DatasetIssue(line: line.number, detail: "is not JSON: \(error)"))
            return nil
        }
    }

    private func write(_ entries: [Entry], folder: String, progress: (Int, Int) throws -> Void) throws -> [Shard] {
        let file = try RecordFile(path: records)
        let writer = JSONWriter(layout: .python)
        var shards = try ShardWriter(folder: folder, options: options)
        for (count, entry) in entries.enumerated() {
            var issues = DatasetIssueLog()
            let value = try JSONParser.parse(file.bytes(in: entry.offset..<entry.offset + entry.size))
            guard let record = ConversationRecord(value, line: entry.line, issues: &issues), let image = record.image,
                let part = record.imagePart,
                let content = try RecordFile.content(of: "\(images)/\(image)", bytesMax: ConversationRecord.imageBytesMax)
            else {
                throw DatasetError(.badData, "line \(entry.line) has changed while it was read")
            }
            try shards.append(key: entry.key, parts: [(part, content), ("json", writer.bytes(of: record.turns))])
            try progress(count + 1, entries.count)
        }
        return try shards.finish()
    }

    /// The shards in the order in which the metadata count them.
    private func listed(_ shards: [Shard]) -> [Shard] {
        if options.shardOrder == .number { return shards }
        return shards.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    /// The names in the order in which they are split.
    private func splitOrder(_ names: [String]) -> [String] {
        guard case .shuffled(let seed) = options.shardOrder else { return names }
        var random = MersenneTwister(seed: seed)
        var shuffled = names
        random.shuffle(&shuffled)
        return shuffled
    }
}
