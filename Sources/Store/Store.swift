import Domain
import GRDB
import Glibc
import Synchronization

/// The daemon's database: one writer with group commit and readers beside it, each on a thread of its own.
///
/// Any task may call it. A value that `write` returned is on disk.
public final class Store: Sendable {
    /// What the writer has done since the store was opened.
    public struct Counters: Sendable, Hashable {
        /// Transactions that reached the disk.
        public var commits = 0
        /// Writes answered with a value.
        public var writes = 0
        /// Writes answered with an error.
        public var failures = 0
        /// Points of metrics that were new.
        public var points = 0
    }

    /// The database file.
    public let path: String
    /// The bounds in use.
    public let limits: StoreLimits
    private let folder: String
    private let writer: Writer
    private let reads: Mailbox<ReadRequest>
    private let writerThread: ThreadGroup
    private let readerThreads: ThreadGroup

    private init(path: String, folder: String, limits: StoreLimits, writer: Writer) {
        self.path = path
        self.folder = folder
        self.limits = limits
        self.writer = writer
        self.reads = Mailbox(capacity: limits.readQueueMax)
        self.writerThread = ThreadGroup()
        self.readerThreads = ThreadGroup()
    }

    deinit {
        // Without `close()`: the threads end once they have done what is queued.
        writer.mailbox.close()
        reads.close()
    }

    /// Opens the database at `path`, makes it where there is none, and brings its schema up to date.
    ///
    /// - Parameters:
    ///   - readers: Threads that read at the same time.
    ///   - now: The time for migrations and their backups.
    ///   - onCommit: Gets the events of each commit, in order, on the writer's thread, before the writers are answered. It must not block.
    public static func open(
        path: String, readers: Int = 2, limits: StoreLimits = .standard, now: @escaping @Sendable () -> Timestamp = Store.systemTime,
        onCommit: @escaping @Sendable ([EventRecord]) -> Void = { _ in }
    ) throws -> Store {
        try open(path: path, readers: readers, limits: limits, now: now, migrations: Migration.embedded, onCommit: onCommit)
    }

    static func open(
        path: String, readers: Int = 2, limits: StoreLimits = .standard, now: @escaping @Sendable () -> Timestamp = Store.systemTime,
        migrations: [Migration], onCommit: @escaping @Sendable ([EventRecord]) -> Void = { _ in }
    ) throws -> Store {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        do {
            let connection = try Connection.writer(path: path, limits: limits)
            let migrator = Migrator(migrations: migrations, backupFolder: folder + "/backups", now: now)
            try connection.writeWithoutTransaction { database in
                _ = try migrator.migrate(database)
                try RowPacking.run(database, limits: limits)
                try FreePages.prepare(database)
            }
            let writer = Writer(connection: connection, folder: folder, limits: limits, onCommit: onCommit)
            let store = Store(path: path, folder: folder, limits: limits, writer: writer)
            try store.startThreads(readers: max(1, readers))
            return store
        } catch {
            throw StoreError.mapping(error, folder: folder)
        }
    }

    private func startThreads(readers: Int) throws {
        // The threads hold the parts and not the store, so that a store that is let go ends them.
        let (writer, reads) = (writer, reads)
        try writerThread.start(name: "store-writer") { writer.run() }
        for number in 1...readers {
            let connection = try Connection.reader(path: path, number: number, limits: limits)
            try readerThreads.start(name: "store-reader-\(number)") {
                while let request = reads.take(upTo: 1).first { request(connection) }
                Connection.close(connection)
            }
        }
    }

    /// The wall clock, in milliseconds.
    @Sendable public static func systemTime() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Runs `body` in a transaction and returns once its changes are on disk.
    ///
    /// Writes that wait together share one commit; a body that throws is undone alone. `body` may run on another thread, once.
    @discardableResult
    public func write<T: Sendable>(_ body: @escaping @Sendable (WriteTransaction) throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            let request = WriteRequest(body: body) { continuation.resume(with: $0) }
            do throws(MailboxRefusal) {
                try writer.mailbox.put(request)
            } catch {
                continuation.resume(throwing: refusal(error, of: "writes", max: limits.writeQueueMax))
            }
        }
    }

    /// Runs `body` over one consistent state of the database, on a reader's thread.
    public func read<T: Sendable>(_ body: @escaping @Sendable (ReadTransaction) throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            do throws(MailboxRefusal) {
                try reads.put(request(body) { continuation.resume(with: $0) })
            } catch {
                continuation.resume(throwing: refusal(error, of: "reads", max: limits.readQueueMax))
            }
        }
    }

    /// Like `read`, but holds the calling thread until the answer is there; for the start of a program.
    public func readSync<T: Sendable>(_ body: @escaping @Sendable (ReadTransaction) throws -> T) throws -> T {
        let answer = Mailbox<Result<T, any Error>>(capacity: 1)
        do throws(MailboxRefusal) {
            try reads.put(
                request(body) { result in
                    do { try answer.put(result) } catch { preconditionFailure("an answer was given twice") }
                })
        } catch {
            throw refusal(error, of: "reads", max: limits.readQueueMax)
        }
        guard let result = answer.take(upTo: 1).first else { throw StoreError(.closed, "the store is closed") }
        return try result.get()
    }

    /// What the writer has done so far.
    public var counters: Counters { writer.counters.withLock { $0 } }

    /// How many writes wait for the writer.
    public var queuedWrites: Int { writer.mailbox.count }

    /// How many reads wait for a reader.
    public var queuedReads: Int { reads.count }

    /// Answers what is queued, then ends the threads and closes the file. Later calls fail as `closed`.
    public func close() async {
        reads.close()
        await readerThreads.ended()
        // The connection that writes goes last: it can empty the log into the file and remove it.
        writer.mailbox.close()
        await writerThread.ended()
    }

    private func request<T: Sendable>(
        _ body: @escaping @Sendable (ReadTransaction) throws -> T, _ answer: @escaping @Sendable (Result<T, any Error>) -> Void
    ) -> ReadRequest {
        let (folder, limits) = (folder, limits)
        return { connection in
            answer(
                Result { try connection.read { try body(ReadTransaction($0, limits: limits)) } }
                    .mapError { StoreError.mapping($0, folder: folder) })
        }
    }

    private func refusal(_ refusal: MailboxRefusal, of what: String, max: Int) -> StoreError {
        switch refusal {
        case .closed: StoreError(.closed, "the store is closed")
        case .full: StoreError(.busy, "\(max) \(what) wait for the database already")
        }
    }
}

/// A read that waits for a reader's connection.
typealias ReadRequest = @Sendable (DatabaseQueue) -> Void
