import Domain
import FoundationEssentials
import JSON

extension WriteTransaction {
    /// Keeps the answer to a request. A second answer under the same key and route is a conflict.
    public func insert(idempotency answer: IdempotencyRecord) throws {
        try execute(
            "INSERT INTO idempotency (\(IdempotencyRecord.columns)) VALUES (?, ?, ?, ?, ?, ?, ?)",
            answer.key, answer.route, answer.bodyHash, answer.status, answer.headers.text(), Data(answer.body),
            answer.createdAt.milliseconds)
    }

    /// Forgets answers that are older. Returns how many.
    @discardableResult
    public func deleteIdempotency(before moment: Timestamp) throws -> Int {
        try change("DELETE FROM idempotency WHERE created_at_ms < ?", [moment.milliseconds])
    }

    /// Keeps the hash of a file; the last one for a path wins.
    public func put(fileHash: FileHashRecord) throws {
        try execute(
            "INSERT OR REPLACE INTO file_hash (path, device, inode, bytes, mtime_ns, sha256) VALUES (?, ?, ?, ?, ?, ?)",
            fileHash.path, Int64(bitPattern: fileHash.device), Int64(bitPattern: fileHash.inode), fileHash.bytes,
            fileHash.modifiedNanoseconds,
            fileHash.sha256)
    }

    /// Keeps a value that the daemon has for itself; `nil` forgets it.
    public func setSetting(_ key: String, _ value: String?) throws {
        if let value {
            try execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", key, value)
        } else {
            try execute("DELETE FROM setting WHERE key = ?", key)
        }
    }
}
