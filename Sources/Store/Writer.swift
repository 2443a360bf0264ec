import GRDB
import Synchronization

/// The one connection that writes, run by one thread.
///
/// Whatever waits when the thread becomes free is one batch: each write in a savepoint, all of them in one transaction, so
/// one wait for the disk answers many.
final class Writer: Sendable {
    let mailbox: Mailbox<any PendingWrite>
    let counters = Mutex(Store.Counters())
    private let connection: DatabaseQueue
    private let folder: String
    private let limits: StoreLimits
    /// Used on the writer's thread alone.
    private nonisolated(unsafe) let metricTails = MetricTails()
    private let onCommit: @Sendable ([EventRecord]) -> Void

    init(connection: DatabaseQueue, folder: String, limits: StoreLimits, onCommit: @escaping @Sendable ([EventRecord]) -> Void) {
        self.mailbox = Mailbox(capacity: limits.writeQueueMax)
        self.connection = connection
        self.folder = folder
        self.limits = limits
        self.onCommit = onCommit
    }

    /// Commits batches until the mailbox is closed and empty. The body of the writer's thread.
    func run() {
        while case let batch = mailbox.take(upTo: limits.writeBatchMax), !batch.isEmpty {
            connection.writeWithoutTransaction { database in
                var rest = batch[...]
                while !rest.isEmpty { rest = commit(rest, to: database) }
            }
        }
        Connection.close(connection)
    }

    /// Commits `batch` as one transaction and answers it. Returns the writes that were not tried because SQLite gave the
    /// transaction up before them.
    private func commit(_ batch: ArraySlice<any PendingWrite>, to database: Database) -> ArraySlice<any PendingWrite> {
        let transaction = WriteTransaction(database, limits: limits, metricTails: metricTails)
        var failures: [(any Error)?] = []
        failures.reserveCapacity(batch.count)
        var rest = batch
        do {
            try database.beginTransaction(.immediate)
            while let write = rest.popFirst() {
                let failure = try perform(write, in: transaction)
                failures.append(failure)
                // A full disk or a failed read makes SQLite roll everything back by itself (sqlite.org/lang_transaction.html 3).
                if let failure, !database.isInsideTransaction { throw failure }
            }
            try database.commit()
        } catch {
            let failure = StoreError.mapping(error, folder: folder)
            metricTails.forgetAll()
            abandon(database)
            // Where the transaction could not even begin, all fail together instead of one after another.
            if rest.count == batch.count { rest = [] }
            let tried = batch.dropLast(rest.count)
            answer(tried.enumerated().map { ($1, $0 < failures.count ? failures[$0] ?? failure : failure) }, committed: false)
            return rest
        }
        onCommit(transaction.events)
        counters.withLock { $0.points += transaction.pointsAdded }
        answer(zip(batch, failures).map { ($0, $1) }, committed: true)
        return rest
    }

    /// Runs one write in a savepoint. Returns why it failed; throws where the transaction itself is in doubt.
    private func perform(_ write: any PendingWrite, in transaction: WriteTransaction) throws -> (any Error)? {
        let database = transaction.database
        let (eventCount, pointCount) = (transaction.events.count, transaction.pointsAdded)
        metricTails.begin()
        try database.cachedStatement(sql: "SAVEPOINT one_write").execute()
        do {
            try write.perform(in: transaction)
            try database.cachedStatement(sql: "RELEASE one_write").execute()
            return nil
        } catch {
            transaction.events.removeSubrange(eventCount...)
            transaction.pointsAdded = pointCount
            metricTails.undo()
            if database.isInsideTransaction {
                try database.cachedStatement(sql: "ROLLBACK TO one_write").execute()
                try database.cachedStatement(sql: "RELEASE one_write").execute()
            }
            return StoreError.mapping(error, folder: folder)
        }
    }

    private func abandon(_ database: Database) {
        guard database.isInsideTransaction else { return }
        do {
            try database.rollback()
        } catch {
            // SQLite documents no way for ROLLBACK to fail here; going on with an open transaction would mix two batches.
            preconditionFailure("ROLLBACK: \(error)")
        }
    }

    private func answer(_ answers: [(any PendingWrite, (any Error)?)], committed: Bool) {
        let failures = answers.count { $0.1 != nil }
        counters.withLock { counters in
            if committed { counters.commits += 1 }
            counters.writes += answers.count - failures
            counters.failures += failures
        }
        for (write, failure) in answers { write.answer(failure) }
    }
}

/// A write in the queue, whatever its result's type.
protocol PendingWrite: AnyObject, Sendable {
    func perform(in transaction: WriteTransaction) throws
    /// Resumes the caller, with the value or with `failure`.
    func answer(_ failure: (any Error)?)
}

/// `@unchecked Sendable`: `value` is written and read on the writer's thread alone.
final class WriteRequest<Value: Sendable>: PendingWrite, @unchecked Sendable {
    private let body: @Sendable (WriteTransaction) throws -> Value
    private let resume: @Sendable (Result<Value, any Error>) -> Void
    private var value: Value?

    init(body: @escaping @Sendable (WriteTransaction) throws -> Value, resume: @escaping @Sendable (Result<Value, any Error>) -> Void) {
        self.body = body
        self.resume = resume
    }

    func perform(in transaction: WriteTransaction) throws { value = try body(transaction) }

    func answer(_ failure: (any Error)?) {
        if let failure {
            resume(.failure(failure))
        } else if let value {
            resume(.success(value))
        } else {
            resume(.failure(StoreError(.database, "a write was answered before it ran")))
        }
    }
}
