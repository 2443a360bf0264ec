import Domain

/// Goes through the waiting jobs in their order, merging the shapes, each of which is in order already.
struct QueueWalk {
    private struct Lane {
        var shape: QueuedJob.Shape
        var entries: [JobBuckets.Entry]
        var next: Int
        /// What fair share adds to each score of the lane.
        var bonus: Double
        var requiresLimit = false

        var score: Double { entries[next].score + bonus }
    }

    private let queue: JobBuckets
    /// A heap: each lane stands before the two at twice its place.
    private var lanes: [Lane] = []
    private var current: QueuedJob?

    init(_ state: SchedulerState, now: Timestamp) {
        queue = state.queue
        let weight = state.policy.fairShareWeight
        let factors = weight > 0 ? state.fairShare.factors(of: queue.buckets.keys.map(\.project), at: now) : [:]
        lanes.reserveCapacity(queue.buckets.count)
        for (shape, bucket) in queue.buckets {
            var lane = Lane(shape: shape, entries: bucket.entries, next: bucket.head, bonus: weight * factors[shape.project, default: 1])
            if settle(&lane) { lanes.append(lane) }
        }
        for index in lanes.indices.reversed() { sink(index) }
    }

    /// The next job; `nil` at the end.
    mutating func next() -> QueuedJob? {
        advance()
        current = lanes.first.flatMap { queue.job(of: $0.entries[$0.next]) }
        return current
    }

    /// Leaves out what is left of the shape of the job that `next` gave.
    mutating func skipShape() {
        guard current != nil, !lanes.isEmpty else { return }
        current = nil
        removeFirst()
    }

    /// Leaves out those jobs of the shape that have no time limit.
    mutating func skipShapeWithoutLimits() {
        guard current != nil, !lanes.isEmpty else { return }
        lanes[0].requiresLimit = true
    }

    private mutating func advance() {
        guard current != nil, !lanes.isEmpty else { return }
        lanes[0].next += 1
        if settle(&lanes[0]) { sink(0) } else { removeFirst() }
    }

    /// Moves a lane on to an entry that is still meant; false where there is none.
    private func settle(_ lane: inout Lane) -> Bool {
        while lane.next < lane.entries.count {
            if let job = queue.job(of: lane.entries[lane.next]), !lane.requiresLimit || job.timeLimit != nil { return true }
            lane.next += 1
        }
        return false
    }

    private mutating func removeFirst() {
        lanes.swapAt(0, lanes.count - 1)
        lanes.removeLast()
        if !lanes.isEmpty { sink(0) }
    }

    private mutating func sink(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < lanes.count && precedes(lanes[child], lanes[least]) { least = child }
            if least == index { return }
            lanes.swapAt(index, least)
            index = least
        }
    }

    private func precedes(_ one: Lane, _ other: Lane) -> Bool {
        let (a, b) = (one.score, other.score)
        if a != b { return a > b }
        let (first, second) = (one.entries[one.next], other.entries[other.next])
        return first.enqueuedAt != second.enqueuedAt ? first.enqueuedAt < second.enqueuedAt : first.id < second.id
    }
}
