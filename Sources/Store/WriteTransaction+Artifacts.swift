import Domain
import JSON

extension WriteTransaction {
    /// Keeps a checkpoint from being removed, or no longer does. Returns it as it is now.
    ///
    /// - Throws: `notFound`; `conflict` where its files are gone.
    @discardableResult
    public func setPinned(checkpoint id: String, _ pinned: Bool, at: Timestamp) throws -> CheckpointRecord {
        let known = try existing(id)
        guard known.pinned != pinned else { return known }
        let sql = "UPDATE checkpoint SET pinned = ? WHERE id = ? AND deleted_at_ms IS NULL RETURNING \(CheckpointRecord.columns)"
        guard let changed = try row(sql, [pinned ? 1 : 0, id], { try CheckpointRecord(&$0) }) else {
            throw StoreError(.conflict, "the files of the checkpoint \(id) were removed")
        }
        try appendEvent(of: changed, action: pinned ? "pinned" : "unpinned", at: at)
        return changed
    }

    /// Marks a checkpoint's files as removed; its row stays for the lineage. Returns it as it is now.
    ///
    /// - Throws: `notFound`; `conflict` where it is pinned, in use by a job that has not ended, or removed already.
    @discardableResult
    public func deleteCheckpoint(_ id: String, at: Timestamp) throws -> CheckpointRecord {
        let known = try existing(id)
        if known.pinned { throw StoreError(.conflict, "the checkpoint \(id) is pinned") }
        if known.deletedAt != nil { throw StoreError(.conflict, "the checkpoint \(id) was removed already") }
        if try isInUse(artifact: id) { throw StoreError(.conflict, "a job that has not ended uses the checkpoint \(id)") }
        let sql = """
            UPDATE checkpoint SET deleted_at_ms = ? WHERE id = ? AND pinned = 0 AND deleted_at_ms IS NULL
            RETURNING \(CheckpointRecord.columns)
            """
        guard let changed = try row(sql, [at.milliseconds, id], { try CheckpointRecord(&$0) }) else {
            throw StoreError(.conflict, "the checkpoint \(id) cannot be removed")
        }
        try appendEvent(of: changed, action: "deleted", at: at)
        return changed
    }

    private func existing(_ id: String) throws -> CheckpointRecord {
        guard let known = try checkpoint(id) else { throw StoreError(.notFound, "there is no checkpoint \(id)") }
        return known
    }
}

extension WriteTransaction {
    /// Sets tags of a dataset; `nil` takes one away. Others stay.
    ///
    /// - Throws: `conflict` where it would have more than `limits.tagsMax`.
    public func setTags(dataset id: String, _ tags: [String: String?]) throws {
        for (key, value) in tags {
            if let value {
                try execute("INSERT OR REPLACE INTO dataset_tag (dataset_id, key, value) VALUES (?, ?, ?)", id, key, value)
            } else {
                try execute("DELETE FROM dataset_tag WHERE dataset_id = ? AND key = ?", id, key)
            }
        }
        let count = try row("SELECT count(*) FROM dataset_tag WHERE dataset_id = ?", [id]) { $0.integer() } ?? 0
        guard count <= limits.tagsMax else { throw StoreError(.conflict, "a dataset may have \(limits.tagsMax) tags") }
    }

    /// Writes where the content of a dataset lies now, and where it came from.
    public func relocate(dataset: DatasetRecord) throws {
        let sql = "UPDATE dataset SET path = ?, source = ? WHERE id = ?"
        guard try change(sql, [dataset.path, dataset.source?.text(), dataset.id]) == 1 else {
            throw StoreError(.notFound, "there is no dataset \(dataset.id)")
        }
    }

    /// Removes a version of a dataset from the registry. Whoever calls makes sure that nothing refers to it.
    public func deleteDataset(_ id: String) throws {
        try execute("DELETE FROM dataset_tag WHERE dataset_id = ?", id)
        guard try change("DELETE FROM dataset WHERE id = ?", [id]) == 1 else { throw StoreError(.notFound, "there is no dataset \(id)") }
    }
}
