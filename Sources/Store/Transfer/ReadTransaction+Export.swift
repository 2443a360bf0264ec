import JSON

// What of an experiment's files is asked for by name.
extension ReadTransaction {
    /// Checkpoints that somebody pinned, or that an output, an input or an evaluation names.
    public func namedCheckpoints() throws -> Set<String> {
        Set(
            try rows(
                """
                SELECT id FROM checkpoint WHERE pinned = 1 OR kind = 'model'
                    OR EXISTS (SELECT 1 FROM job_input WHERE artifact_id = checkpoint.id)
                    OR EXISTS (SELECT 1 FROM evaluation WHERE model_artifact_id = checkpoint.id)
                    OR EXISTS (SELECT 1 FROM job WHERE instr(coalesce(job.outputs, ''), checkpoint.id) > 0)
                """
            ) { $0.text() })
    }

    /// The documents of evaluations, and the files of their items.
    public func evaluationFiles() throws -> [String] {
        let found = try rows("SELECT path, document FROM evaluation ORDER BY id") { ($0.optionalText(), try $0.json()) }
        return found.flatMap { path, document in
            [path].compactMap { $0 } + (document["benchmarks"]?.array ?? []).compactMap { $0["items"]?.string }
        }
    }
}
