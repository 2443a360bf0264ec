import EventLoop
import Testing

@testable import Telemetry

@Suite struct MetricFollowerTests {
    /// A follower whose batches come out of a stream, each with what answers it.
    @LoopActor private final class Following {
        let follower: MetricFollower
        let batches: AsyncStream<(MetricBatch, MetricAcknowledgement)>

        init(_ file: GrowingFile, inode: UInt64 = 0, offset: Int64 = 0) {
            let (stream, continuation) = AsyncStream.makeStream(of: (MetricBatch, MetricAcknowledgement).self)
            batches = stream
            follower = MetricFollower(MetricLineTail(path: file.path, inode: inode, offset: offset), retryPause: .milliseconds(1)) {
                continuation.yield(($0, $1))
            }
        }
    }

    private nonisolated func line(_ step: Int) -> String { "{\"step\":\(step),\"time\":100,\"loss\":\(step)}\n" }

    @Test @LoopActor func whatIsThereAndWhatIsAddedComesInBatches() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/metrics.jsonl")
            try file.append(line(1) + "nonsense\n" + line(2) + "{\"step\":3,")
            let following = Following(file)
            var batches = following.batches.makeAsyncIterator()
            var (batch, acknowledge) = try #require(await batches.next())
            #expect(batch.points.map(\.step) == [1, 2] && batch.dropped == 1 && batch.inode > 0)
            acknowledge()
            try file.append("\"loss\":3}\n")
            (batch, acknowledge) = try #require(await batches.next())
            #expect(batch.points.map(\.step) == [3])
            acknowledge()
            await following.follower.drain()
            // A later follower goes on where this one was.
            try file.append(line(4))
            let next = Following(file, inode: batch.inode, offset: batch.offset)
            var more = next.batches.makeAsyncIterator()
            (batch, acknowledge) = try #require(await more.next())
            #expect(batch.points.map(\.step) == [4])
            acknowledge()
            await next.follower.drain()
        }
    }

    @Test @LoopActor func aFileMadeLaterIsFound() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/metrics.jsonl")
            let following = Following(file)
            try file.append(line(1))
            var batches = following.batches.makeAsyncIterator()
            let (batch, acknowledge) = try #require(await batches.next())
            #expect(batch.points.map(\.step) == [1])
            acknowledge()
            await following.follower.drain()
        }
    }

    @Test @LoopActor func oneBatchIsOutAtATimeAndTheDrainWaitsForAll() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/metrics.jsonl")
            // More than one read takes.
            for start in stride(from: 0, to: 30_000, by: 1000) { try file.append((start..<(start + 1000)).map(line).joined()) }
            var steps: [Int] = []
            var out = 0
            let follower = MetricFollower(MetricLineTail(path: file.path)) { batch, acknowledge in
                out += 1
                #expect(out == 1)
                steps += batch.points.map(\.step)
                // Answered a turn of the loop later, as a database does.
                _ = LoopTimer(after: .zero) {
                    out -= 1
                    acknowledge()
                }
            }
            await follower.drain()
            #expect(steps == Array(0..<30_000))
            #expect(out == 0)
            try file.append(line(30_000))
            await follower.drain()
            #expect(steps.count == 30_000, "a drained follower reads no more")
        }
    }

    @Test @LoopActor func aBatchThatFailedComesAgain() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/metrics.jsonl")
            try file.append(line(1))
            let following = Following(file)
            var batches = following.batches.makeAsyncIterator()
            for _ in 0..<10 {
                let (batch, acknowledge) = try #require(await batches.next())
                #expect(batch.points.map(\.step) == [1])
                acknowledge.failed()
            }
            try file.append(line(2))
            let (first, acknowledge) = try #require(await batches.next())
            #expect(first.points.map(\.step) == [1])
            acknowledge()
            let (second, last) = try #require(await batches.next())
            #expect(second.points.map(\.step) == [2])
            last()
            await following.follower.drain()
        }
    }

    @Test @LoopActor func aDrainGivesUpABatchThatFailsForGood() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/metrics.jsonl")
            try file.append(line(1))
            var deliveries = 0
            let follower = MetricFollower(MetricLineTail(path: file.path), retryPause: .milliseconds(1)) { _, acknowledge in
                deliveries += 1
                acknowledge.failed()
            }
            await follower.drain()
            #expect(deliveries == TelemetryLimits.drainRetriesMax + 1)
        }
    }
}
