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
        let path = try await intactPath(of: record)
        let profile = try await inspecting.run { try DatasetProfile.of(path: path, rows: record.rows, samples: samples) }
        let share = { (count: Int) in profile.rows > 0 ? Double(count) / Double(profile.rows) : 0 }
        return DatasetInspectionView(
            dataset: ArtifactRendering.view(of: record),
            characters: Self.lengths(profile.characters), words: Self.lengths(profile.words), duplicates: profile.duplicates,
            duplicateShare: share(profile.duplicates), labels: profile.labels.map { LabelView(value: $0.value, records: $0.count) },
            labelMember: profile.labelMember,
            fields: profile.fields.map { FieldView(path: $0.path, types: $0.types, records: $0.records, share: share($0.records)) },
            samples: profile.samples.map { DatasetSampleView(line: $0.line, record: $0.record) })
    }

    nonisolated static func lengths(_ summary: LengthSummary) -> CharactersView {
        CharactersView(
            min: summary.least, max: summary.greatest, mean: summary.count > 0 ? summary.mean : 0,
            quantiles: summary.quantiles([0.5, 0.95, 0.99]),
            histogram: summary.buckets.enumerated().map { power, count in
                .init(from: power == 0 ? 0 : 1 << (power - 1), to: power == 0 ? 0 : (1 << power) - 1, records: count)
            })
    }

    /// Compares the records of two datasets.
    ///
    /// - Parameter samples: how many records of each side to show.
    public func diffDatasets(from older: String, to newer: String, samples: Int) async throws -> DatasetDiffView {
        let (from, to) = (try await datasetRecord(older), try await datasetRecord(newer))
        for (name, record) in [(older, from), (newer, to)] { try record.checkFile(name, "its records cannot be compared") }
        let (older, newer) = (try await intactPath(of: from), try await intactPath(of: to))
        let diff = try await inspecting.run { try DatasetDiff.of(from: older, to: newer, samples: samples) }
        let view = { (sample: DatasetDiff.Sample) in DatasetSampleView(line: sample.line, record: sample.record) }
        return DatasetDiffView(
            from: ArtifactRendering.view(of: from), to: ArtifactRendering.view(of: to), common: diff.common, changed: diff.changed,
            added: diff.added, removed: diff.removed,
            changedSamples: diff.changedSamples.map { DatasetChangeView(from: view($0.from), to: view($0.to)) },
            addedSamples: diff.addedSamples.map(view), removedSamples: diff.removedSamples.map(view))
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
