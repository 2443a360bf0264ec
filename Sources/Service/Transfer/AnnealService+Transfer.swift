import APITypes
import Domain
import EventLoop
import Specification
import Store

// Experiments that come from other daemons, and go to them.
extension AnnealService {
    /// An experiment as an archive. Call `endExport` whatever becomes of it.
    public func beginExport(_ experimentID: String, _ choice: ExportChoice) async throws -> ExperimentExport {
        guard let experiment = try await store.read({ try $0.experiment(experimentID) }) else {
            throw ServiceError.missing("experiment", experimentID)
        }
        let configuration = configuration
        let record = ExportRecord(
            version: configuration.version, experimentID: experiment.id, experimentName: experiment.name,
            dataDirectory: configuration.dataDirectory, exportedAt: now.description, choice: choice)
        let folder = configuration.uploadsDirectory + "/" + ImportFolder.exportPrefix + identifiers.next(.request)
        let jobs = try await store.read { try $0.jobs(experiment: experimentID) }
        let names = Set(jobs.flatMap { JobPlan.secrets(of: $0.spec) }).sorted()
        return try await transfers.run { [secrets] in
            try ExperimentExport(record, configuration: configuration, folder: folder, mask: secrets.mask(for: names))
        }
    }

    /// Removes what was made for an export.
    public func endExport(_ export: ExperimentExport) {
        background("cleaning up after an export") { [self] in try await transfers.run { try export.close() } }
    }

    /// Begins an import; what has come is removed at its end, whatever that end is.
    ///
    /// - Parameter announcedBytes: the archive's size, where the client says it: what cannot fit is refused before it is sent.
    public func beginImport(announcedBytes: Int64?) throws -> ExperimentIntake {
        if let announcedBytes, announcedBytes <= ImportLimits.standard.bytesMax {
            try DatasetRoom.check(announcedBytes, of: "archive", in: configuration.uploadsDirectory)
        }
        return try ExperimentIntake(service: self, limits: .standard)
    }

    /// Makes a whole archive an experiment of this daemon, or tells that it is one already.
    func take(_ incoming: ExperimentImport, within reach: Reach) async throws -> ImportView {
        let facts = try await transfers.run { try incoming.facts() }
        let project = incoming.request.project ?? facts.project
        guard NameRule.experiment.matches(project), NameRule.experiment.matches(facts.name) else {
            throw ServiceError(.badRequest, "the project '\(project)' or the name '\(facts.name)' is no \(NameRule.experiment.description)")
        }
        guard reach.covers(experiment: nil, project: project) else {
            throw ServiceError(.forbidden, "this token may not put experiments into the project '\(project)'; name another with 'project'")
        }
        let (identifiers, copies) = (identifiers, incoming.request.copies)
        let (plan, earlier, isNative) = try await store.read { reader in
            let plan = try reader.importPlan(
                of: facts.identifiers, datasets: facts.datasets, copies: copies, next: { identifiers.next($0) })
            let earlier = try reader.imports(of: facts.id)
            let isThere = try reader.experiment(facts.id) != nil
            return (plan, earlier, isThere && !earlier.contains { $0.id == facts.id })
        }
        let content = try await transfers.run { try incoming.rename(plan) }
        if !copies {
            if let same = earlier.first(where: { $0.content == content }) { return try await view(of: same, incoming, facts) }
            try Self.refuseOther(facts, earlier, isNative: isNative)
        }
        for dataset in facts.datasets where !plan.known.contains(dataset.id) {
            try await checkDatasetName(dataset.name, within: reach)
        }
        try await checkQuota(project: project, newJobs: 0)
        let record = ImportRecord(id: plan.renames[facts.id] ?? facts.id, origin: facts.id, content: content)
        let moment = now
        let settled: (absent: [String], state: String)
        do {
            settled = try await transfers.run { try incoming.settle(plan, facts) }
            try await store.write { try $0.insertImported(record.id, from: incoming.rowsPath, record: record, at: moment) }
        } catch {
            try await transfers.run { try incoming.undo() }
            throw error
        }
        log.notice("an experiment was imported", metadata: ["experiment": "\(record.id)", "origin": "\(facts.id)"])
        return ImportView(
            id: record.id, name: facts.name, project: project, state: settled.state, origin: facts.id, alreadyThere: false,
            jobs: facts.identifiers[.job]?.count ?? 0, attempts: facts.identifiers[.attempt]?.count ?? 0,
            files: incoming.manifest.files.count, bytes: incoming.manifest.files.reduce(0) { $0 + $1.bytes },
            renamed: plan.renames.keys.count { !plan.known.contains($0) },
            absent: Set(settled.absent + incoming.manifest.absent.map { plan.renames[$0] ?? $0 }).sorted())
    }

    private static func refuseOther(_ facts: ExperimentImport.Facts, _ earlier: [ImportRecord], isNative: Bool) throws {
        if isNative {
            throw ServiceError(
                .conflict,
                "the experiment '\(facts.name)' (\(facts.id)) is this daemon's own; with 'copy' it is imported beside itself, under new identifiers"
            )
        }
        guard let other = earlier.last else { return }
        throw ServiceError(
            .conflict,
            "another state of the experiment '\(facts.name)' (\(facts.id)) was imported before, as \(other.id); with 'copy' this one is imported beside it"
        )
    }

    private func view(of same: ImportRecord, _ incoming: ExperimentImport, _ facts: ExperimentImport.Facts) async throws -> ImportView {
        guard let experiment = try await store.read({ try $0.experiment(same.id) }) else {
            throw ServiceError.missing("experiment", same.id)
        }
        return ImportView(
            id: same.id, name: experiment.name, project: experiment.project, state: experiment.state.rawValue, origin: same.origin,
            alreadyThere: true, jobs: facts.identifiers[.job]?.count ?? 0, attempts: facts.identifiers[.attempt]?.count ?? 0,
            files: incoming.manifest.files.count, bytes: incoming.manifest.files.reduce(0) { $0 + $1.bytes }, renamed: 0, absent: [])
    }

    /// Throws where an experiment came from another daemon: none of its jobs may run here.
    func refuseImported(_ experimentID: String) async throws {
        guard try await store.read({ try $0.isImported(experiment: experimentID) }) else { return }
        throw ServiceError(.conflict, "this experiment was imported, and is a record of what was; submit its spec to run it here")
    }

    /// Removes what imports and exports left that an earlier daemon did not survive.
    func cleanUpTransfers() async throws {
        let configuration = configuration
        guard try await transfers.run({ try ImportFolder.hasLeftovers(configuration) }) else { return }
        let known = try await store.read { try Set($0.attemptFolders().map(\.id)).union($0.jobLiveness().map(\.id)) }
        try await transfers.run { try ImportFolder.cleanUp(configuration) { known.contains($0) } }
    }
}
