import Domain
import FoundationEssentials

extension WriteTransaction {
    /// Applies entries of an attempt's journal and moves the cursor of the file, in the order in which they were written.
    ///
    /// An entry that was applied before changes nothing but the tries of a failure, and the cursor keeps it from coming twice. What one
    /// call costs is bounded by what the entries touch: the segments of their positions, never a whole pass.
    public func appendGenerations(job: String, attempt: String, entries: [GenerationEntry], cursor: MetricCursor) throws {
        try execute(
            "INSERT OR REPLACE INTO metric_cursor (attempt_id, path, inode, offset) VALUES (?, ?, ?, ?)",
            attempt, cursor.path, Int64(bitPattern: cursor.inode), cursor.offset)
        var passes: [Int: PassWriter] = [:]
        for entry in entries {
            switch entry {
            case .pass(let pass):
                try passes.removeValue(forKey: pass.seed)?.save()
                passes[pass.seed] = PassWriter(try begin(pass, job: job), self)
            case .have(let seed, let ranges): try writer(of: seed, job: job, &passes)?.have(ranges)
            case .done(let seed, let record): try writer(of: seed, job: job, &passes)?.done(record)
            case .failed(let seed, let failure): try writer(of: seed, job: job, &passes)?.failed(failure)
            }
        }
        for pass in passes.values { try pass.save() }
    }

    private func writer(of seed: Int, job: String, _ passes: inout [Int: PassWriter]) throws -> PassWriter? {
        if let pass = passes[seed] { return pass }
        guard let record = try generationPass(job: job, seed: seed) else { return nil }
        let pass = PassWriter(record, self)
        passes[seed] = pass
        return pass
    }

    /// Puts the pass into its state at an attempt's begin: nothing is there until `have` tells of it. Sums and failures of the same
    /// requests stay.
    private func begin(_ pass: GenerationEntry.Pass, job: String) throws -> GenerationPassRecord {
        var record = GenerationPassRecord(job: job, pass)
        if let known = try generationPass(job: job, seed: pass.seed) {
            try execute("DELETE FROM generation_segment WHERE pass_id = ?", known.id)
            if known.fingerprint == pass.fingerprint, known.first == pass.first, known.total == pass.total {
                record = known
                record.done = 0
                return record
            }
            try execute("DELETE FROM generation_pass WHERE id = ?", known.id)
        }
        try execute(
            "INSERT INTO generation_pass (job_id, seed, chunk, chunks, first, total, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?)",
            job, pass.seed, pass.chunk, pass.chunks, pass.first, pass.total, pass.fingerprint)
        record.id = database.lastInsertedRowID
        return record
    }
}

/// Changes one pass within a transaction; its row and segments are written when all is done.
private final class PassWriter {
    private var pass: GenerationPassRecord
    private let transaction: WriteTransaction
    private var segments: [Int: PositionBits] = [:]
    private var changed: Set<Int> = []

    init(_ pass: GenerationPassRecord, _ transaction: WriteTransaction) {
        self.pass = pass
        self.transaction = transaction
    }

    func have(_ ranges: [ClosedRange<Int>]) throws {
        for range in ranges where range.upperBound < pass.total { _ = try insert(range) }
    }

    func done(_ record: GenerationEntry.Record) throws {
        guard record.position < pass.total, try insert(record.position...record.position) else { return }
        if record.isCopy { pass.reused += 1 }
        pass.tokens += record.tokens ?? 0
        pass.finishes[record.finish, default: 0] += 1
        pass.firstAt = pass.firstAt ?? record.at
        pass.lastAt = max(pass.lastAt ?? record.at, record.at)
    }

    func failed(_ failure: GenerationEntry.Failure) throws {
        guard failure.position < pass.total, try !contains(failure.position) else { return }
        let known = try transaction.row(
            "SELECT tries FROM generation_failure WHERE pass_id = ? AND position = ?", [pass.id, failure.position]
        ) { $0.integer() }
        try transaction.execute(
            "INSERT OR REPLACE INTO generation_failure (pass_id, position, cause, message, tries, last_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
            pass.id, failure.position, failure.cause, failure.message, (known ?? 0) + failure.tries, failure.at.milliseconds)
        if known == nil { pass.failed += 1 }
    }

    private func segment(_ number: Int) throws -> PositionBits {
        if let segment = segments[number] { return segment }
        let bits = try transaction.row("SELECT bits FROM generation_segment WHERE pass_id = ? AND number = ?", [pass.id, number]) {
            PositionBits(try $0.bytes())
        }
        segments[number] = bits ?? PositionBits()
        return bits ?? PositionBits()
    }

    private func contains(_ position: Int) throws -> Bool {
        try segment(position / PositionBits.width).contains(position % PositionBits.width)
    }

    /// Notes that records are there; those that had failed have not any more. False where all were there already.
    private func insert(_ range: ClosedRange<Int>) throws -> Bool {
        let width = PositionBits.width
        var fresh = 0
        for number in (range.lowerBound / width)...(range.upperBound / width) {
            _ = try segment(number)
            let (start, end) = (max(range.lowerBound - number * width, 0), min(range.upperBound - number * width, width - 1))
            let added = segments[number]?.insert(start...end) ?? 0
            if added > 0 { changed.insert(number) }
            fresh += added
        }
        pass.done += fresh
        guard fresh > 0, pass.failed > 0 else { return fresh > 0 }
        pass.failed -= try transaction.change(
            "DELETE FROM generation_failure WHERE pass_id = ? AND position BETWEEN ? AND ?", [pass.id, range.lowerBound, range.upperBound])
        return true
    }

    func save() throws {
        for number in changed.sorted() {
            try transaction.execute(
                "INSERT OR REPLACE INTO generation_segment (pass_id, number, bits) VALUES (?, ?, ?)", pass.id, number,
                Data(segments[number]?.bytes ?? []))
        }
        let counts = GenerationEntry.Finish.allCases.map { pass.finishes[$0] ?? 0 }
        try transaction.execute(
            """
            UPDATE generation_pass SET done = ?, failed = ?, reused = ?, tokens = ?, stopped = ?, truncated = ?, called = ?, otherwise = ?,
                first_at_ms = ?, last_at_ms = ? WHERE id = ?
            """, pass.done, pass.failed, pass.reused, pass.tokens, counts[0], counts[1], counts[2], counts[3],
            pass.firstAt?.milliseconds, pass.lastAt?.milliseconds, pass.id)
    }
}
