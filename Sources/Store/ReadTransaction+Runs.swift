import Domain
import JSON

extension ReadTransaction {
    /// A run that was made beside its job's own.
    public func trackedRun(_ id: String) throws -> TrackedRunRecord? {
        try row("SELECT \(TrackedRunRecord.columns) FROM tracked_run WHERE id = ?", [id], TrackedRunRecord.init)
    }

    /// The runs that were made beside a job's own, oldest first.
    public func trackedRuns(job: String) throws -> [TrackedRunRecord] {
        try rows("SELECT \(TrackedRunRecord.columns) FROM tracked_run WHERE job_id = ? ORDER BY id", [job], TrackedRunRecord.init)
    }

    /// What a run was started with, by name.
    public func params(run: String) throws -> [(key: String, value: String)] {
        try rows("SELECT key, value FROM run_param WHERE run_id = ? ORDER BY key", [run]) { ($0.text(), $0.text()) }
    }

    public func tags(run: String) throws -> [(key: String, value: String)] {
        try rows("SELECT key, value FROM run_tag WHERE run_id = ? ORDER BY key", [run]) { ($0.text(), $0.text()) }
    }

    /// The datasets that a run read.
    public func inputs(run: String) throws -> [RunInputRecord] {
        try rows("SELECT name, digest, document FROM run_input WHERE run_id = ? ORDER BY name, digest", [run]) {
            RunInputRecord(name: $0.text(), digest: $0.text(), document: try $0.json())
        }
    }

    /// The newest experiment of a name in any project.
    public func experiment(named name: String) throws -> ExperimentRecord? {
        try row("SELECT \(ExperimentRecord.columns) FROM experiment WHERE name = ? ORDER BY id DESC LIMIT 1", [name]) {
            try ExperimentRecord(&$0)
        }
    }
}

extension ReadTransaction {
    /// The registered dataset that a client means: by name, `name@version`, the path of its file or its whole digest.
    public func dataset(trackedAs input: RunInputRecord) throws -> DatasetRecord? {
        let parts = input.name.split(separator: "@", maxSplits: 1)
        if parts.count == 2, let version = Int(parts[1]), let found = try dataset(named: String(parts[0]), version: version) {
            return found
        }
        if let found = try dataset(named: input.name) { return found }
        if input.digest.utf8.count == 64, let found = try dataset(sha256: input.digest) { return found }
        // A source that is no JSON names no file here; the input is kept as the client described it.
        let path = input.document["dataset"]?["source"]?.string.flatMap { try? JSONParser.parse($0) }?["uri"]?.string
        return try path.flatMap { path in
            try row("SELECT \(DatasetRecord.selected) FROM dataset WHERE path = ? LIMIT 1", [path]) { try DatasetRecord(&$0) }
        }
    }
}
