import CSQLite

/// A call of SQLite's that failed.
struct IndexError: Error, CustomStringConvertible {
    var call: String
    var detail: String
    var description: String { "the index of samples cannot be written: \(detail) (\(call))" }
}

/// Writes `.nv-meta/index.sqlite`, where Energon looks up samples and their parts by key.
///
/// Tables, columns and indexes are those of Megatron-Energon 7.4 (`flavors/webdataset/indexing.py`); releases before 7.3 have an index
/// in place of the `UNIQUE`. The `tar_file_id` is the shard's place in `shard_counts` of `.info.json`. The same samples give the same
/// bytes with the same release of SQLite.
struct EnergonIndex {
    private static let tables = """
        CREATE TABLE samples (tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE, sample_index INTEGER NOT NULL, \
        byte_offset INTEGER, byte_size INTEGER);
        CREATE TABLE sample_parts (tar_file_id INTEGER, sample_index INTEGER, part_name TEXT, content_byte_offset INTEGER, \
        content_byte_size INTEGER);
        """
    /// Made after the rows, which is faster.
    private static let indexes = """
        CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index);
        CREATE INDEX idx_sample_parts_seq ON sample_parts(tar_file_id, sample_index, content_byte_offset);
        CREATE INDEX idx_sample_parts_full ON sample_parts(tar_file_id, sample_index, part_name, content_byte_offset, content_byte_size);
        """

    /// Writes the index of shards to a file that does not exist yet.
    static func write(_ shards: [Shard], path: String) throws(IndexError) {
        let connection = try Connection(path: path)
        // The whole folder is thrown away when it is not completed, so there is nothing to roll back.
        try connection.run("PRAGMA journal_mode = OFF; PRAGMA synchronous = FULL; BEGIN;")
        try connection.run(tables)
        let sample = try Statement(connection, "INSERT INTO samples VALUES (?, ?, ?, ?, ?)")
        let part = try Statement(connection, "INSERT INTO sample_parts VALUES (?, ?, ?, ?, ?)")
        for (file, shard) in shards.enumerated() {
            for (place, entry) in shard.samples.enumerated() {
                try sample.insert([.number(file), .text(entry.key), .number(place), .number(entry.offset), .number(entry.size)])
                for (name, member) in entry.parts {
                    try part.insert([.number(file), .number(place), .text(name), .number(member.contentOffset), .number(member.size)])
                }
            }
        }
        try connection.run(indexes + "COMMIT;")
    }
}

private enum Cell {
    case number(Int)
    case text(String)
}

/// A database that is open for the time of one writing.
private final class Connection {
    let handle: OpaquePointer

    init(path: String) throws(IndexError) {
        var handle: OpaquePointer?
        let result = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil)
        guard result == SQLITE_OK, let handle else {
            sqlite3_close_v2(handle)
            throw IndexError(call: "sqlite3_open_v2", detail: String(cString: sqlite3_errstr(result)))
        }
        self.handle = handle
    }

    deinit { sqlite3_close_v2(handle) }

    func run(_ text: String) throws(IndexError) {
        try check(sqlite3_exec(handle, text, nil, nil, nil), "sqlite3_exec")
    }

    func check(_ result: Int32, _ call: String) throws(IndexError) {
        guard result == SQLITE_OK || result == SQLITE_DONE else {
            throw IndexError(call: call, detail: String(cString: sqlite3_errmsg(handle)))
        }
    }
}

private final class Statement {
    private let connection: Connection
    private let handle: OpaquePointer

    init(_ connection: Connection, _ text: String) throws(IndexError) {
        var handle: OpaquePointer?
        try connection.check(sqlite3_prepare_v2(connection.handle, text, -1, &handle, nil), "sqlite3_prepare_v2")
        guard let handle else { throw IndexError(call: "sqlite3_prepare_v2", detail: "no statement") }
        self.connection = connection
        self.handle = handle
    }

    deinit { sqlite3_finalize(handle) }

    func insert(_ row: [Cell]) throws(IndexError) {
        for (place, cell) in zip(Int32(1)..., row) {
            switch cell {
            case .number(let number): try connection.check(sqlite3_bind_int64(handle, place, Int64(number)), "sqlite3_bind_int64")
            case .text(let text):
                try connection.check(csqlite_bind_text(handle, place, text, Int32(text.utf8.count)), "sqlite3_bind_text")
            }
        }
        try connection.check(sqlite3_step(handle), "sqlite3_step")
        try connection.check(sqlite3_reset(handle), "sqlite3_reset")
    }
}
