import Domain
import GRDB
import JSON

/// What an imported experiment's rows are brought to in a database that has others.
public struct ImportPlan: Sendable, Hashable {
    /// New identifiers by old ones, for those that are taken and for datasets that are there already.
    public var renames: [String: String] = [:]
    /// Versions of datasets, by their identifiers in the bundle, where theirs are taken.
    public var versions: [String: Int] = [:]
    /// Datasets of the bundle that are there already.
    public var known: Set<String> = []
}

/// An experiment that was imported before.
public struct ImportRecord: Sendable, Hashable {
    /// Its identifier here, and where it came from.
    public var id: String
    public var origin: String
    /// Tells this state of the experiment from others.
    public var content: String

    public init(id: String, origin: String, content: String) { (self.id, self.origin, self.content) = (id, origin, content) }
}

extension ReadTransaction {
    private static let importPrefix = "imported:"

    /// What must be renamed for the rows of `received` to stand beside those that are there.
    ///
    /// - Parameters:
    ///   - copies: whether everything but datasets gets a new identifier.
    ///   - next: makes an identifier.
    public func importPlan(
        of identifiers: [IdentifierKind: [String]], datasets: [ReceivedExperiment.Dataset], copies: Bool, next: (IdentifierKind) -> String
    ) throws -> ImportPlan {
        var plan = ImportPlan()
        for (kind, table) in ReceivedExperiment.owners {
            let ids = identifiers[kind, default: []]
            let list = JSONValue.array(ids.map(JSONValue.string)).text()
            let taken = Set(try rows("SELECT id FROM \(table) WHERE id IN (SELECT value FROM json_each(?))", [list]) { $0.text() })
            for id in ids where taken.contains(id) || (copies && kind != .dataset) { plan.renames[id] = next(kind) }
        }
        var newest: [String: Int] = [:]
        for dataset in datasets {
            let known = try row("SELECT id FROM dataset WHERE name = ? AND sha256 = ?", [dataset.name, dataset.sha256]) { $0.text() }
            if let known {
                plan.known.insert(dataset.id)
                plan.renames[dataset.id] = known == dataset.id ? nil : known
                continue
            }
            let top = try row("SELECT max(version) FROM dataset WHERE name = ?", [dataset.name]) { $0.optionalInteger() } ?? nil
            let free = max(newest[dataset.name] ?? 0, top ?? 0) + 1
            guard top != nil else { continue }
            newest[dataset.name] = free
            plan.versions[dataset.id] = free
        }
        return plan
    }

    /// The experiments that were imported from an experiment of another daemon.
    public func imports(of origin: String) throws -> [ImportRecord] {
        try rows(
            """
            SELECT substr(key, ?), value ->> '$.origin', value ->> '$.content' FROM setting
            WHERE key >= ? AND key < ? AND value ->> '$.origin' = ? ORDER BY key
            """,
            [Self.importPrefix.utf8.count + 1, Self.importPrefix, "imported;", origin]
        ) { ImportRecord(id: $0.text(), origin: $0.text(), content: $0.text()) }
    }

    /// Whether an experiment came from another daemon: it is a record of what was, and nothing of it runs here.
    public func isImported(experiment id: String) throws -> Bool { try setting(Self.importPrefix + id) != nil }

    fileprivate static func importKey(_ id: String) -> String { importPrefix + id }
}

// Of the database of one experiment, before its rows go to the daemon's.
extension WriteTransaction {
    /// Ends what had not ended when the experiment was exported, and takes away what holds nowhere else: cache keys and tokens.
    public func settleImported(exportedAt: Timestamp, project: String?) throws {
        let message = "its experiment was exported while it ran; how it ended is known only where it came from"
        let live = try rows("SELECT id FROM attempt WHERE finished_at_ms IS NULL ORDER BY ordinal") { $0.text() }
        for attempt in live {
            try transition(
                attempt: attempt, from: [.starting, .running, .stopping], to: .lost, cause: .imported, message: message, at: exportedAt)
        }
        let open = try rows("SELECT id, state FROM job WHERE finished_at_ms IS NULL ORDER BY position") {
            ($0.text(), try $0.word(JobState.self))
        }
        for (job, state) in open {
            if state.holdsResources {
                try transition(job: job, from: [state], to: .lost, reason: .imported, message: message, at: exportedAt)
            } else {
                let unstarted = "it had not ended when its experiment was exported"
                try transition(job: job, from: [state], to: .cancelled, reason: .imported, message: unstarted, at: exportedAt)
            }
        }
        try execute("UPDATE job SET cache_key = NULL, held = 0, not_before_ms = NULL")
        try execute("UPDATE attempt SET token_hash = NULL")
        if let project { try execute("UPDATE experiment SET project = ?", project) }
        let isOpen = try row("SELECT 1 FROM experiment WHERE finished_at_ms IS NULL") { $0.integer() } != nil
        if isOpen { throw StoreError(.corrupt, "the experiment has not ended, and none of its jobs says so") }
    }

    /// Lets every path name what came with the experiment, or nothing.
    ///
    /// - Parameters:
    ///   - data: the data folder.
    ///   - holds: whether something that came lies at a path.
    ///   - content: where the content of a hash lies; `nil` where it is not here.
    /// - Returns: what is not here: checkpoints and datasets.
    public func confineImported(
        data: String, plan: ImportPlan, at: Timestamp, holds: (String) -> Bool, content: (String) -> String?
    ) throws -> [String] {
        var absent: [String] = []
        try execute("UPDATE attempt SET directory = ? || id", data + "/attempts/")
        for (id, path) in try rows(
            "SELECT id, path FROM checkpoint WHERE deleted_at_ms IS NULL ORDER BY id", [], { ($0.text(), $0.text()) })
        where !holds(path) {
            try execute("UPDATE checkpoint SET deleted_at_ms = ?, pinned = 0 WHERE id = ?", at.milliseconds, id)
            absent.append(id)
        }
        let known = Set(plan.known.map { plan.renames[$0] ?? $0 })
        let versions = plan.versions.map { (plan.renames[$0.key] ?? $0.key, $0.value) }
        // Out of the way of each other first: they are unique by name and version.
        for (id, _) in versions { try execute("UPDATE dataset SET version = version + 1000000000 WHERE id = ?", id) }
        for (id, version) in versions { try execute("UPDATE dataset SET version = ? WHERE id = ?", version, id) }
        let datasets = try rows("SELECT id, path, sha256 FROM dataset ORDER BY id") { ($0.text(), $0.text(), $0.text()) }
        for (id, path, sha256) in datasets {
            if known.contains(id) {
                try deleteDataset(id)
            } else if let place = content(sha256) {
                try execute("UPDATE dataset SET path = ? WHERE id = ?", place, id)
            } else if !holds(path) {
                try deleteDataset(id)
                absent.append(id)
            }
        }
        let evaluations = try rows("SELECT id, path, document FROM evaluation ORDER BY id") {
            ($0.text(), $0.optionalText(), try $0.json())
        }
        for (id, path, document) in evaluations {
            let (inside, text) = (path.flatMap { holds($0) ? $0 : nil }, Self.confined(document, holds).text())
            try execute("UPDATE evaluation SET path = ?, document = ? WHERE id = ?", inside, text, id)
        }
        return absent
    }

    /// Members of an evaluation's document that the daemon opens as files.
    private static let fileMembers: Set<String> = ["items", "path"]

    private static func confined(_ value: JSONValue, _ holds: (String) -> Bool) -> JSONValue {
        switch value {
        case .array(let values): return .array(values.map { confined($0, holds) })
        case .object(let members):
            var kept = members
            for (key, value) in members {
                if fileMembers.contains(key), let path = value.string {
                    kept[key] = .string(holds(path) ? path : "")
                } else {
                    kept[key] = confined(value, holds)
                }
            }
            return .object(kept)
        default: return value
        }
    }
}

extension WriteTransaction {
    /// Takes over the rows of the database of one experiment at `path`, which has ended, and notes where it came from.
    ///
    /// - Throws: `conflict` where something of it has come to be here since it was planned; nothing is kept then.
    public func insertImported(_ id: String, from path: String, record: ImportRecord, at: Timestamp) throws {
        let connection = try Connection.untrusted(path: path)
        defer { Connection.close(connection) }
        try connection.read { source in
            var transfer = RowTransfer(from: source, to: database)
            transfer.isRenumbering = true
            transfer.nextSequence = { try self.nextSequence() }
            try transfer.copy(experiment: id)
        }
        let value: JSONValue = ["origin": .string(record.origin), "content": .string(record.content), "at_ms": .int(at.milliseconds)]
        try setSetting(Self.importKey(id), value.text())
        try appendEvent("import", experiment: id, at: at, payload: ["experiment_id": .string(id), "origin": .string(record.origin)])
    }
}
