import JSON

/// What a dataset looks like.
public struct DatasetInspectionView: Codable, Sendable {
    public var dataset: DatasetView
    public var characters: CharactersView
    /// Records equal to an earlier one, and the part of all that they are.
    public var duplicates: Int
    public var duplicateShare: Double
    /// The commonest answers; empty where these are no labels.
    public var labels: [LabelView]
    public var fields: [FieldView]
    public var samples: [DatasetSampleView]

    enum CodingKeys: String, CodingKey {
        case dataset, characters, duplicates, labels, fields, samples
        case duplicateShare = "duplicate_share"
    }

    /// Makes one from its parts.
    public init(
        dataset: DatasetView, characters: CharactersView, duplicates: Int, duplicateShare: Double, labels: [LabelView], fields: [FieldView],
        samples: [DatasetSampleView]
    ) {
        self.dataset = dataset
        self.characters = characters
        self.duplicates = duplicates
        self.duplicateShare = duplicateShare
        self.labels = labels
        self.fields = fields
        self.samples = samples
    }
}

/// Lengths of records' texts, in characters.
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
    public var histogram: [Bucket]

    /// Makes one from its parts.
    public init(min: Int, max: Int, mean: Double, histogram: [Bucket]) {
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

    /// Makes one from its parts.
    public init(path: String, types: [String], records: Int) {
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

/// What one dataset has that another has not.
public struct DatasetDiffView: Codable, Sendable {
    public var from: DatasetView
    public var to: DatasetView
    public var common: Int
    public var added: Int
    public var removed: Int
    public var addedSamples: [DatasetSampleView]
    public var removedSamples: [DatasetSampleView]

    enum CodingKeys: String, CodingKey {
        case from, to, common, added, removed
        case addedSamples = "added_samples"
        case removedSamples = "removed_samples"
    }

    /// Makes one from its parts.
    public init(
        from: DatasetView, to: DatasetView, common: Int, added: Int, removed: Int, addedSamples: [DatasetSampleView],
        removedSamples: [DatasetSampleView]
    ) {
        self.from = from
        self.to = to
        self.common = common
        self.added = added
        self.removed = removed
        self.addedSamples = addedSamples
        self.removedSamples = removedSamples
    }
}
