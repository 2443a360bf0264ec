import JSON

/// What a dataset looks like.
public struct DatasetInspectionView: Codable, Sendable {
    public var dataset: DatasetView
    public var characters: CharactersView
    /// The same in words: what stands between white space.
    public var words: CharactersView
    /// Records equal to an earlier one, and the part of all that they are.
    public var duplicates: Int
    public var duplicateShare: Double
    /// The commonest labels; empty where there are none.
    public var labels: [LabelView]
    /// The member that they stand in.
    @Nullable public var labelMember: String?
    public var fields: [FieldView]
    public var samples: [DatasetSampleView]

    enum CodingKeys: String, CodingKey {
        case dataset, characters, words, duplicates, labels, fields, samples
        case duplicateShare = "duplicate_share"
        case labelMember = "label_member"
    }

    /// Makes one from its parts.
    public init(
        dataset: DatasetView, characters: CharactersView, words: CharactersView, duplicates: Int, duplicateShare: Double,
        labels: [LabelView], labelMember: String?, fields: [FieldView], samples: [DatasetSampleView]
    ) {
        self.dataset = dataset
        self.characters = characters
        self.words = words
        self.duplicates = duplicates
        self.duplicateShare = duplicateShare
        self.labels = labels
        self.labelMember = labelMember
        self.fields = fields
        self.samples = samples
    }
}

/// Lengths of records' texts, in characters or words.
public struct CharactersView: Codable, Sendable {
    /// Lengths from `from` up to and with `to`.
    public struct Bucket: Codable, Sendable {
        public var from: Int
        public var to: Int
        public var records: Int

        /// Makes one from its parts.
        public init(from: Int, to: Int, records: Int) {
            self.from = from
            self.to = to
            self.records = records
        }
    }

    public var min: Int
    public var max: Int
    public var mean: Double
    /// The lengths that half, 95 % and 99 % of the records do not exceed.
    public var p50: Int
    public var p95: Int
    public var p99: Int
    public var histogram: [Bucket]

    /// Makes one from its parts; `quantiles` are p50, p95 and p99.
    public init(min: Int, max: Int, mean: Double, quantiles: [Int], histogram: [Bucket]) {
        (p50, p95, p99) = (quantiles[0], quantiles[1], quantiles[2])
        self.min = min
        self.max = max
        self.mean = mean
        self.histogram = histogram
    }
}

/// How often an answer stands.
public struct LabelView: Codable, Sendable {
    public var value: String
    public var records: Int

    /// Makes one from its parts.
    public init(value: String, records: Int) {
        self.value = value
        self.records = records
    }
}

/// A member of records.
public struct FieldView: Codable, Sendable {
    /// Such as `messages[].content`.
    public var path: String
    public var types: [String]
    /// How many records have it.
    public var records: Int
    /// The part of all records that they are.
    public var share: Double

    /// Makes one from its parts.
    public init(path: String, types: [String], records: Int, share: Double) {
        self.share = share
        self.path = path
        self.types = types
        self.records = records
    }
}

/// A record with its place.
public struct DatasetSampleView: Codable, Sendable {
    public var line: Int
    public var record: JSONValue

    /// Makes one from its parts.
    public init(line: Int, record: JSONValue) {
        self.line = line
        self.record = record
    }
}

/// A record that is another in the newer dataset.
public struct DatasetChangeView: Codable, Sendable {
    public var from: DatasetSampleView
    public var to: DatasetSampleView

    /// Makes one from its parts.
    public init(from: DatasetSampleView, to: DatasetSampleView) {
        self.from = from
        self.to = to
    }
}

/// What one dataset has that another has not.
public struct DatasetDiffView: Codable, Sendable {
    public var from: DatasetView
    public var to: DatasetView
    public var common: Int
    /// Records about the same thing, by identifier or question, that differ otherwise.
    public var changed: Int
    public var added: Int
    public var removed: Int
    public var changedSamples: [DatasetChangeView]
    public var addedSamples: [DatasetSampleView]
    public var removedSamples: [DatasetSampleView]

    enum CodingKeys: String, CodingKey {
        case from, to, common, changed, added, removed
        case changedSamples = "changed_samples"
        case addedSamples = "added_samples"
        case removedSamples = "removed_samples"
    }

    /// Makes one from its parts.
    public init(
        from: DatasetView, to: DatasetView, common: Int, changed: Int, added: Int, removed: Int, changedSamples: [DatasetChangeView],
        addedSamples: [DatasetSampleView], removedSamples: [DatasetSampleView]
    ) {
        self.from = from
        self.to = to
        self.common = common
        self.changed = changed
        self.changedSamples = changedSamples
        self.added = added
        self.removed = removed
        self.addedSamples = addedSamples
        self.removedSamples = removedSamples
    }
}
