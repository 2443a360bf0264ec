import Domain

/// Waiting jobs, kept by their shape so that many equal ones are passed over at once where one of them cannot start.
///
/// Within a shape all jobs are of one project, so their order does not change while they wait and is kept, not computed.
struct JobBuckets: Sendable {
    /// A job's place within its shape.
    struct Entry: Sendable {
        var score: Double
        var enqueuedAt: Timestamp
        var id: String
        /// Tells an entry that is still meant from one whose job has left or moved.
        var serial: Int

        func precedes(_ other: Entry) -> Bool {
            if score != other.score { return score > other.score }
            if enqueuedAt != other.enqueuedAt { return enqueuedAt < other.enqueuedAt }
            return id < other.id
        }
    }

    struct Bucket: Sendable {
        fileprivate(set) var entries: [Entry] = []
        /// Entries before it have left.
        fileprivate(set) var head = 0
        fileprivate(set) var count = 0
    }

    private struct Stored: Sendable {
        var job: QueuedJob
        var serial: Int
    }

    private(set) var buckets: [QueuedJob.Shape: Bucket] = [:]
    private var stored: [String: Stored] = [:]
    private var serial = 0

    var count: Int { stored.count }

    subscript(id: String) -> QueuedJob? { stored[id]?.job }

    /// The job of an entry; `nil` for an entry that is no longer meant.
    func job(of entry: Entry) -> QueuedJob? {
        guard let found = stored[entry.id], found.serial == entry.serial else { return nil }
        return found.job
    }

    mutating func insert(_ job: QueuedJob, score: Double) {
        remove(job.id)
        serial += 1
        stored[job.id] = Stored(job: job, serial: serial)
        let entry = Entry(score: score, enqueuedAt: job.enqueuedAt, id: job.id, serial: serial)
        var bucket = buckets.removeValue(forKey: job.shape) ?? Bucket()
        let place = Self.position(of: entry, in: bucket)
        bucket.entries.insert(entry, at: place)
        bucket.count += 1
        buckets[job.shape] = bucket
    }

    @discardableResult
    mutating func remove(_ id: String) -> QueuedJob? {
        guard let found = stored.removeValue(forKey: id) else { return nil }
        let shape = found.job.shape
        guard var bucket = buckets.removeValue(forKey: shape) else { return found.job }
        bucket.count -= 1
        guard bucket.count > 0 else { return found.job }
        while bucket.head < bucket.entries.count, job(of: bucket.entries[bucket.head]) == nil { bucket.head += 1 }
        // What has left is cleared away when it is more than what is there, so that each job is moved a bounded number of times.
        if bucket.entries.count > 2 * bucket.count + 16 {
            let live = stored
            bucket.entries = bucket.entries[bucket.head...].filter { live[$0.id]?.serial == $0.serial }
            bucket.head = 0
        }
        buckets[shape] = bucket
        return found.job
    }

    /// The first place whose entry does not precede `entry`, found by halving.
    private static func position(of entry: Entry, in bucket: Bucket) -> Int {
        var (low, high) = (bucket.head, bucket.entries.count)
        while low < high {
            let middle = (low + high) / 2
            if bucket.entries[middle].precedes(entry) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
