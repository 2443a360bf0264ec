import Datasets

/// A shard that was written, and where its samples stand.
struct Shard {
    /// A sample's place in the archive.
    struct Sample {
        var key: String
        var offset: Int
        var size: Int
        var parts: [(name: String, member: TarWriter.Member)]
    }

    var file: WrittenFile
    var name: String
    var samples: [Sample]
    /// Where the archive's end mark starts.
    var end: Int

    /// The content of `<shard>.tar.idx`: the offset of each sample and of the end, as 64-bit little-endian numbers.
    var offsets: [UInt8] {
        (samples.map(\.offset) + [end]).flatMap { offset in withUnsafeBytes(of: UInt64(offset).littleEndian) { Array($0) } }
    }
}

/// Writes samples into one archive after the other.
struct ShardWriter {
    private let folder: String
    private let pattern: ShardPattern
    private let samplesMax: Int
    private let bytesMax: Int
    private var archive: TarWriter?
    private var samples: [Shard.Sample] = []
    private var shards: [Shard] = []

    init(folder: String, options: WebDatasetOptions) throws(DatasetError) {
        self.folder = folder
        pattern = try ShardPattern(options.shardPattern)
        samplesMax = options.samplesPerShard
        bytesMax = options.shardBytes
    }

    /// Appends a sample; its parts stand in the order of their names, as the `webdataset` package writes them.
    mutating func append(key: String, parts: [(name: String, content: [UInt8])]) throws(FileError) {
        let size = parts.reduce(0) { $0 + TarWriter.bytes(ofMember: $1.content.count) }
        if let archive, samples.count >= samplesMax || archive.offset + size + 2 * TarWriter.blockBytes > bytesMax {
            self.archive = archive
            try close()
        }
        var archive = try openArchive()
        var members: [(name: String, member: TarWriter.Member)] = []
        for part in parts.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
            members.append((part.name, try archive.append("\(key).\(part.name)", part.content)))
        }
        samples.append(Shard.Sample(key: key, offset: archive.offset - size, size: size, parts: members))
        self.archive = archive
    }

    /// Completes the last shard and returns all of them.
    mutating func finish() throws(FileError) -> [Shard] {
        try close()
        return shards
    }

    /// The archive that is being filled, or a new one.
    private func openArchive() throws(FileError) -> TarWriter {
        if let archive { return archive }
        return try TarWriter(path: folder + "/" + pattern.name(shards.count))
    }

    private mutating func close() throws(FileError) {
        guard var archive else { return }
        let end = archive.offset
        let file = try archive.finish()
        shards.append(Shard(file: file, name: pattern.name(shards.count), samples: samples, end: end))
        samples = []
        self.archive = nil
    }
}
