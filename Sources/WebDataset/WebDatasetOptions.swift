import Datasets

/// How records become shards.
public struct WebDatasetOptions: Sendable, Equatable {
    /// Samples and bytes that fit everywhere; more would be a mistake in a spec.
    public static let samplesPerShardLimit = 10_000_000
    public static let shardBytesLimit = 1 << 40

    /// Where a sample's key (the name of its files in the shard) comes from.
    public enum Keys: String, Sendable, CaseIterable {
        /// From the record's `id`, with anything but letters, digits, `_` and `-` replaced by `_`, and `-2`, `-3` … after one that was
        /// used before. Energon refuses equal keys since 7.3, and a key ends at its first dot.
        case unique
        /// The record's `id` as it is; one with a dot or a slash, or one that comes twice, is an error.
        case identifier
    }

    /// The order in which shards are listed and split.
    public enum ShardOrder: Sendable, Equatable {
        /// By number: the last shard, which may be a short one, goes to the last part.
        case number
        /// As text, as `energon prepare` lists them: of `instruction-0.tar` to `instruction-15.tar` the last is `instruction-9.tar`.
        case text
        /// As text and then shuffled, as `energon prepare --shuffle-tars` does with seed 42.
        case shuffled(seed: Int)
    }

    /// What becomes of a record without an image.
    public enum Imageless: String, Sendable, CaseIterable {
        case refuse
        /// It is left out and counted.
        case drop
    }

    /// Shards' names: `%d` stands for their number from 0, `%06d` for the same with at least six digits, so that they sort by number.
    public var shardPattern: String
    public var samplesPerShard: Int
    /// A shard is closed before it would grow over so many bytes; one sample alone may. (The `webdataset` package closes after.)
    public var shardBytes: Int
    /// The seed of the records' order; `nil` keeps that of the file. (S1 shuffles without a seed, so its shards cannot be made again.)
    public var seed: Int?
    public var ratios: EnergonSplit.Ratios
    public var shardOrder: ShardOrder
    public var keys: Keys
    public var imageless: Imageless

    public init(
        shardPattern: String = "instruction-%06d.tar", samplesPerShard: Int = 10_000, shardBytes: Int = 3_000_000_000, seed: Int? = nil,
        ratios: EnergonSplit.Ratios = .init(train: 0.95, validation: 0.05, test: 0), shardOrder: ShardOrder = .number, keys: Keys = .unique,
        imageless: Imageless = .refuse
    ) {
        self.shardPattern = shardPattern
        self.samplesPerShard = samplesPerShard
        self.shardBytes = shardBytes
        self.seed = seed
        self.ratios = ratios
        self.shardOrder = shardOrder
        self.keys = keys
        self.imageless = imageless
    }

    /// Names and order of the shards that S1 made by hand, for its split of 15 shards to train on and `instruction-9.tar` to validate.
    public static var seedArticle: WebDatasetOptions { WebDatasetOptions(shardPattern: "instruction-%d.tar", shardOrder: .text) }

    /// Throws where no records whatever could be written like this.
    func check() throws(DatasetError) {
        _ = try ShardPattern(shardPattern)
        guard (1...Self.samplesPerShardLimit).contains(samplesPerShard) else {
            throw DatasetError(.badRequest, "samples per shard must be from 1 to \(Self.samplesPerShardLimit), not \(samplesPerShard)")
        }
        guard (TarWriter.recordBytes...Self.shardBytesLimit).contains(shardBytes) else {
            throw DatasetError(
                .badRequest, "bytes per shard must be from \(TarWriter.recordBytes) to \(Self.shardBytesLimit), not \(shardBytes)")
        }
        try ratios.check()
    }
}

/// The names of shards.
struct ShardPattern {
    private let prefix: String
    private let suffix: String
    private let digits: Int

    init(_ pattern: String) throws(DatasetError) {
        let pieces = pattern.split(separator: "%", omittingEmptySubsequences: false)
        let isPlain = pattern.utf8.allSatisfy { byte in
            let character = UnicodeScalar(byte)
            return ("a"..."z").contains(character) || ("A"..."Z").contains(character) || ("0"..."9").contains(character)
                || "._-%".unicodeScalars.contains(character)
        }
        let letter = pattern.unicodeScalars.first.map { ("a"..."z").contains($0) || ("A"..."Z").contains($0) }
        guard pieces.count == 2, isPlain, letter == true, pattern.hasSuffix(".tar"), let end = pieces[1].firstIndex(of: "d"),
            let digits = Self.digits(pieces[1][..<end])
        else {
            let message = "a shard pattern has letters, digits, '.', '_' and '-', one %d or %06d, and ends in .tar, unlike '\(pattern)'"
            throw DatasetError(.badRequest, message)
        }
        prefix = String(pieces[0])
        suffix = String(pieces[1][pieces[1].index(after: end)...])
        self.digits = digits
    }

    /// `06` as six digits, nothing as one; `nil` for anything else.
    private static func digits(_ text: Substring) -> Int? {
        if text.isEmpty { return 1 }
        guard text.hasPrefix("0"), text.utf8.count == 2, let digits = Int(text), digits > 0 else { return nil }
        return digits
    }

    func name(_ number: Int) -> String {
        let text = String(number)
        return prefix + String(repeating: "0", count: max(0, digits - text.utf8.count)) + text + suffix
    }
}
