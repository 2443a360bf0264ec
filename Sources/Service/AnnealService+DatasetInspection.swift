import APITypes
import Datasets
import Store

// A closer look at datasets: what is in them, and what tells one from another.
extension AnnealService {
    /// Reads a dataset once and describes it.
    ///
    /// - Parameters:
    ///   - reference: an id, a name (its newest version) or `name@version`.
    ///   - samples: how many records to show.
    public func inspectDataset(_ reference: String, samples: Int) async throws -> DatasetInspectionView {
        let record = try await datasetRecord(reference)
        if record.format == ShardFolder.format { return try await inspectShards(record, samples: samples) }
        let profile = try await inspecting.run { try DatasetProfile.of(path: record.path, rows: record.rows, samples: samples) }
        let lengths = profile.characters
        return DatasetInspectionView(
            dataset: ArtifactRendering.view(of: record),
            characters: CharactersView(
                min: lengths.least, max: lengths.greatest, mean: lengths.count > 0 ? lengths.mean : 0,
                histogram: lengths.buckets.enumerated().map { power, count in
                    .init(from: power == 0 ? 0 : 1 << (power - 1), to: power == 0 ? 0 : (1 << power) - 1, records: count)
                }), duplicates: profile.duplicates,
            duplicateShare: profile.rows > 0 ? Double(profile.duplicates) / Double(profile.rows) : 0,
            labels: profile.labels.map { LabelView(value: $0.value, records: $0.count) },
            fields: profile.fields.map { FieldView(path: $0.path, types: $0.types, records: $0.records) },
            samples: profile.samples.map { DatasetSampleView(line: $0.line, record: $0.record) })
    }

    /// Compares the records of two datasets.
    ///
    /// - Parameter samples: how many records of each side to show.
    public func diffDatasets(from older: String, to newer: String, samples: Int) async throws -> DatasetDiffView {
        let (from, to) = (try await datasetRecord(older), try await datasetRecord(newer))
        for (name, record) in [(older, from), (newer, to)] { try record.checkFile(name, "its records cannot be compared") }
        let diff = try await inspecting.run { try DatasetDiff.of(from: from.path, to: to.path, samples: samples) }
        return DatasetDiffView(
            from: ArtifactRendering.view(of: from), to: ArtifactRendering.view(of: to), common: diff.common, added: diff.added,
            removed: diff.removed, addedSamples: diff.addedSamples.map { DatasetSampleView(line: $0.line, record: $0.record) },
            removedSamples: diff.removedSamples.map { DatasetSampleView(line: $0.line, record: $0.record) })
    }

    /// Sets tags of a dataset; `nil` takes one away.
    public func tagDataset(_ reference: String, _ tags: [String: String?]) async throws -> DatasetView {
        let record = try await datasetRecord(reference)
        let changed = try await store.write { writer in
            try writer.setTags(dataset: record.id, tags)
            return try writer.dataset(record.id)
        }
        guard let changed else { throw ServiceError.missing("dataset", reference) }
        return ArtifactRendering.view(of: changed)
    }
}
