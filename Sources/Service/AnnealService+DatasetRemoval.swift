import Domain
import Glibc
import JSON
import Specification
import Store

// Deletion: what refers to a dataset keeps it.
extension AnnealService {
    /// Deletes a version that nothing refers to; its content goes when no other version shares it.
    ///
    /// - Parameter force: whether jobs that have ended may lose what they made or used. A tag `pinned` and jobs that have not ended
    ///   keep a dataset whatever is asked.
    public func deleteDataset(_ reference: String, force: Bool = false) async throws {
        try refuseDuringBackup("the deletion of a dataset")
        let record = try await datasetRecord(reference)
        let hasContentOfItsOwn = !record.isReference
        let isLastOfContent = try await store.write { writer in
            let referents = try DatasetReferents(of: record, in: writer)
            let keeping = force ? referents.firm : referents.firm + referents.loose
            guard keeping.isEmpty else {
                let more = keeping.count > 1 ? " (and \(keeping.count - 1) more)" : ""
                let advice = referents.firm.isEmpty ? "; to delete it none the less, force it" : ""
                throw ServiceError(.conflict, "the dataset '\(reference)' \(keeping[0].detail)\(more)\(advice)", errors: keeping)
            }
            try writer.deleteDataset(record.id)
            // An equal job would be given the outputs of this one, and find the file gone.
            if let producer = record.producedBy { try writer.setCacheKey(job: producer, nil) }
            return try !writer.isContent(path: record.path)
        }
        guard isLastOfContent, hasContentOfItsOwn else { return }
        try await files.run { try Folders.remove(record.path) }
    }
}

/// What refers to a dataset.
private struct DatasetReferents {
    /// Named in an answer, of as many as there are.
    private static let listedMax = 100

    /// Those that nothing overrides: pins and jobs that have not ended.
    var firm: [ServiceError.Detail] = []
    /// Jobs that have ended.
    var loose: [ServiceError.Detail] = []

    init(of record: DatasetRecord, in reader: ReadTransaction) throws {
        if record.tags["pinned"] != nil {
            firm.append(.init(pointer: "/tags/pinned", detail: "is pinned by its tag 'pinned'; take the tag away first"))
        }
        var known: Set<String> = []
        let names = try Self.names(of: record, in: reader)
        for job in try reader.nonTerminalJobs() {
            let places = InputPlaces.of(kind: job.kind, in: job.spec)
            guard let pointer = places.first(where: { job.spec[$0]?.string.map(names.contains) == true }) else { continue }
            known.insert(job.id)
            firm.append(.init(pointer: pointer.description, detail: "is named by job \(job.id) ('\(job.name)'), which has not ended"))
        }
        for use in try reader.consumers(of: record.id) where known.insert(use.jobID).inserted {
            guard let job = try reader.job(use.jobID) else { continue }
            if job.state.isTerminal {
                loose.append(.init(pointer: use.pointer, detail: "is an input of job \(job.id) ('\(job.name)')"))
            } else {
                firm.append(.init(pointer: use.pointer, detail: "is an input of job \(job.id) ('\(job.name)'), which has not ended"))
            }
        }
        if let producer = record.producedBy, !record.isFetched {
            loose.append(.init(pointer: "", detail: "is an output of job \(producer)"))
        }
        firm = Array(firm.prefix(Self.listedMax))
        loose = Array(loose.prefix(Self.listedMax))
    }

    /// The texts that stand for the dataset; its bare name only where it is the newest version.
    private static func names(of record: DatasetRecord, in reader: ReadTransaction) throws -> Set<String> {
        var names: Set<String> = [record.id, "\(record.name)@\(record.version)"]
        if try reader.dataset(named: record.name)?.id == record.id { names.insert(record.name) }
        return names
    }
}
