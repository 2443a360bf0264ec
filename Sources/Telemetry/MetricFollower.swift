import Domain
import EventLoop

/// Points from a worker's file, and how far the file has been read with them.
public struct MetricBatch: Sendable {
    public var points: [FollowedPoint]
    /// What a journal of generations tells.
    public var entries: [GenerationEntry]
    public var inode: UInt64
    public var offset: Int64
    /// Values and lines that could not be taken.
    public var dropped: Int
}

/// The receiver's answer to a batch. It answers each batch once.
@LoopActor
public struct MetricAcknowledgement {
    fileprivate let follower: MetricFollower

    /// The batch is kept, or never will be; the next may come.
    public func callAsFunction() { follower.goOn() }

    /// The batch could not be kept this time, on a full disk for instance; it is delivered again after a pause.
    public func failed() { follower.deliverAgain() }
}

/// Follows the metrics file of an attempt as it grows.
///
/// Runs on the loop; the file is read on a thread of its own. One batch is out at a time: the next is read once the receiver has
/// acknowledged the one before, so a slow database slows nothing but this.
@LoopActor
public final class MetricFollower {
    /// Gets a batch, and answers it once.
    public typealias Receiver = @LoopActor (_ batch: MetricBatch, _ acknowledge: MetricAcknowledgement) -> Void

    /// How often the file is looked at beside the notices of the kernel, which can be lost.
    private static let lookEvery: Duration = .seconds(2)
    private static let thread = BlockingThread(name: "metrics")

    private var tail: any PointTail
    private let receive: Receiver
    private let retryPause: Duration
    /// The batch that is out.
    private var current: Found?
    private var failuresWhileDraining = 0
    private var isDraining = false
    private var watcher: PathWatcher?
    private var timer: LoopTimer?
    private var isReading = false
    private var isDirty = false
    private var isClosed = false
    private var idle: [CheckedContinuation<Void, Never>] = []

    /// - Parameters:
    ///   - tail: reads the file; it need not exist yet, its folder must.
    ///   - retryPause: from a batch that failed to its next delivery.
    public init(_ tail: any PointTail, retryPause: Duration = .seconds(2), _ receive: @escaping Receiver) {
        self.tail = tail
        self.receive = receive
        self.retryPause = retryPause
        let path = tail.path
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let (folder, name) = (String(path[..<slash]), String(path[slash...].dropFirst()))
        // A folder that cannot be watched (no watches left) is looked at by the timer alone.
        watcher = try? PathWatcher(path: folder) { [weak self] changed in if changed == nil || changed == name { self?.look() } }
        timer = LoopTimer(after: Self.lookEvery, every: Self.lookEvery) { [weak self] in self?.look() }
        look()
    }

    /// Returns when everything that is in the file now has been acknowledged, and stops following.
    ///
    /// A batch that still fails after `TelemetryLimits.drainRetriesMax` further deliveries is given up, so that an attempt can end.
    public func drain() async {
        isDraining = true
        watcher?.cancel()
        timer?.cancel()
        isDirty = true
        look()
        if isReading { await withCheckedContinuation { idle.append($0) } }
        isClosed = true
    }

    private func look() {
        guard !isClosed else { return }
        isDirty = true
        guard !isReading else { return }
        isReading = true
        readOn()
    }

    private func readOn() {
        guard isDirty else { return rest() }
        isDirty = false
        let (tail, now) = (tail, Double(SystemTime.now()) / 1000)
        Task { @LoopActor in
            do {
                let found = try await Self.thread.run { try Self.read(tail, receivedAt: now) }
                take(found)
            } catch {
                // The file could not be read this time; the timer looks again.
                rest()
            }
        }
    }

    private struct Found: Sendable {
        var tail: any PointTail
        var batch: MetricBatch
        var hasMore: Bool
    }

    private nonisolated static func read(_ tail: any PointTail, receivedAt now: Double) throws -> Found {
        var tail = tail
        let piece = try tail.readPoints(receivedAt: now)
        let batch = MetricBatch(
            points: piece.points, entries: piece.entries, inode: tail.inode, offset: tail.offset, dropped: piece.dropped)
        return Found(tail: tail, batch: batch, hasMore: piece.hasMore)
    }

    private func take(_ found: Found) {
        let isNew = found.tail.offset != tail.offset || found.tail.inode != tail.inode
        tail = found.tail
        if found.hasMore { isDirty = true }
        guard isNew else { return readOn() }
        current = found
        receive(found.batch, MetricAcknowledgement(follower: self))
    }

    fileprivate func goOn() {
        guard current != nil else { return }
        current = nil
        failuresWhileDraining = 0
        readOn()
    }

    fileprivate func deliverAgain() {
        guard let found = current else { return }
        if isDraining { failuresWhileDraining += 1 }
        guard failuresWhileDraining <= TelemetryLimits.drainRetriesMax else { return goOn() }
        _ = LoopTimer(after: retryPause) { [self] in receive(found.batch, MetricAcknowledgement(follower: self)) }
    }

    private func rest() {
        isReading = false
        let waiting = idle
        idle = []
        for continuation in waiting { continuation.resume() }
    }
}
