import Datasets
import Domain
import Generation
import Glibc
import JSON

/// Takes records over from earlier jobs that asked the same, instead of asking again.
///
/// The daemon names the files (it knows the jobs); which records they hold and whether they fit is looked at here.
struct GenerateReuse {
    /// One pass of an earlier job.
    private struct Source {
        var job: String
        /// Its records' places in the data.
        var range: Range<Int>
        var path: String
        /// A ledger's lines tell their places; those of a final file are in order and whole.
        var isLedger: Bool
    }

    private let sources: [Int: [Source]]

    /// - Parameter job: the document of the job, whose `reuse` the daemon wrote.
    init(job: JSONValue, fingerprint: String) {
        guard let reuse = job["reuse"], reuse["fingerprint"]?.string == fingerprint else {
            sources = [:]
            return
        }
        var sources: [Int: [Source]] = [:]
        for entry in reuse["passes"]?.array ?? [] {
            guard let seed = entry["seed"]?.int, let first = entry["first"]?.int, let total = entry["total"]?.int,
                let path = entry["path"]?.string,
                let ledger = entry["is_ledger"]?.bool, let name = entry["job_id"]?.string
            else { continue }
            sources[seed, default: []].append(Source(job: name, range: first..<(first + max(0, total)), path: path, isLedger: ledger))
        }
        self.sources = sources
    }

    /// Fills a pass with what there is. Returns how many records were taken over.
    func fill(_ pass: GenerationPass, range: Range<Int>, journal: GenerationJournal) throws -> Int {
        guard let ledger = pass.ledger else { return 0 }
        var count = 0
        for source in sources[pass.seed] ?? [] where ledger.count < range.count && source.range.overlaps(range) {
            let found: Int
            do {
                found = try copy(source, into: ledger, of: pass, range, journal)
            } catch let error as FileError where error.path == source.path {
                // Retention may have removed it since; then there is that much less to take over.
                WorkerLog.line("nothing is taken over from \(source.job): \(error)")
                continue
            }
            if found > 0 { WorkerLog.line("\(found) generations with seed \(pass.seed) are taken over from \(source.job)") }
            count += found
        }
        return count
    }

    private func copy(
        _ source: Source, into ledger: GenerationLedger, of pass: GenerationPass, _ range: Range<Int>, _ journal: GenerationJournal
    ) throws -> Int {
        var count = 0
        var next = 0
        try JSONLineReader(path: source.path).read { line in
            guard line.isTerminated, !line.isBlank, !line.isTooLong else { return }
            let place = source.isLedger ? GenerationLedger.position(of: line.bytes)?.position : next
            next += 1
            guard let place, range.contains(source.range.lowerBound + place) else { return }
            let position = source.range.lowerBound + place - range.lowerBound
            guard !ledger.contains(position) else { return }
            let bytes = source.isLedger ? GenerationLedger.record(of: line.bytes) : Array(line.bytes)
            // A line that was damaged is asked for.
            guard let bytes, let record = try? JSONParser.parse(bytes, options: .python), record["generation"]?.string != nil else {
                return
            }
            try ledger.append(bytes, at: position)
            try journal.append(.done(seed: pass.seed, Self.entry(record, at: position)))
            count += 1
        }
        return count
    }

    private static func entry(_ record: JSONValue, at position: Int) -> GenerationEntry.Record {
        GenerationEntry.Record(
            position: position, tokens: record["num_generated_tokens"]?.int, finish: .init(reason: record["finish_reason"]?.string ?? ""),
            at: Timestamp(seconds: record["generation_end_time"]?.double ?? 0), isCopy: true)
    }
}
