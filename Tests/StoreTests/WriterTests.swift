import Domain
import Foundation
import JSON
import Synchronization
import Testing

@testable import Store

/// What the writer's thread delivered.
private final class Deliveries: Sendable {
    let batches = Mutex<[[EventRecord]]>([])
    var seqs: [Int64] { batches.withLock { $0.flatMap { $0 }.map(\.seq) } }
}

@Suite struct WriterTests {
    private struct Refused: Error {}

    /// Holds the writer's thread until opened, so that writes can be made to wait together.
    private final class Gate: Sendable {
        private let box = Mailbox<Int>(capacity: 1)
        private let flag = Mutex(false)
        /// Waits on the calling thread; only for the store's own threads.
        func pass() { _ = box.take(upTo: 1) }
        func open() {
            flag.withLock { $0 = true }
            box.close()
        }
        /// Waits without holding a thread of the pool.
        func opened() async { while !flag.withLock({ $0 }) { await Task.yield() } }
    }

    /// Runs `bodies` as writes that all wait at the same time.
    private func writeTogether(_ store: Store, _ bodies: [@Sendable (WriteTransaction) throws -> Void]) async throws -> [(any Error)?] {
        let (entered, gate) = (Gate(), Gate())
        let blocked = Task {
            try await store.write { _ in
                entered.open()
                gate.pass()
            }
        }
        await entered.opened()
        return try await withThrowingTaskGroup(of: (Int, (any Error)?).self) { group in
            for (index, body) in bodies.enumerated() {
                group.addTask {
                    do {
                        try await store.write(body)
                        return (index, nil)
                    } catch {
                        return (index, error)
                    }
                }
                while store.queuedWrites <= index { await Task.yield() }
            }
            gate.open()
            try await blocked.value
            var failures = [(any Error)?](repeating: nil, count: bodies.count)
            for try await (index, failure) in group { failures[index] = failure }
            return failures
        }
    }

    @Test func writesThatWaitTogetherShareOneCommit() async throws {
        try await StoreFixture.with { fixture in
            // The gate's own write waits in the thread before the others are queued.
            let failures = try await writeTogether(fixture.store, (0..<63).map { number in { try $0.setSetting("k\(number)", "v") } })
            #expect(failures.allSatisfy { $0 == nil })
            #expect(fixture.store.counters == Store.Counters(commits: 2, writes: 64, failures: 0))
            #expect(try await fixture.store.read { try $0.row("SELECT count(*) FROM setting") { $0.integer() } } == 63)
        }
    }

    @Test func aCommitTakesNoMoreWritesThanItsLimit() async throws {
        var limits = StoreLimits.standard
        limits.writeBatchMax = 3
        for (writes, commits) in [(3, 2), (4, 3)] {
            try await StoreFixture.with(limits: limits) { fixture in
                let failures = try await writeTogether(
                    fixture.store, (0..<writes).map { number in { try $0.setSetting("k\(number)", "v") } })
                #expect(failures.allSatisfy { $0 == nil })
                #expect(fixture.store.counters == Store.Counters(commits: commits, writes: writes + 1, failures: 0))
            }
        }
    }

    @Test func aBodyThatThrowsIsUndoneAlone() async throws {
        let deliveries = Deliveries()
        try await StoreFixture.with(onCommit: { batch in deliveries.batches.withLock { $0.append(batch) } }) { fixture in
            let failures = try await writeTogether(
                fixture.store,
                [
                    { try $0.appendEvent("note", at: at(1), payload: ["n": 1]) },
                    { transaction in
                        try transaction.appendEvent("note", at: at(1), payload: ["n": 2])
                        try transaction.setSetting("half", "done")
                        throw Refused()
                    },
                    { try $0.execute("INSERT INTO setting (key, value) VALUES ('', '')") },
                    { try $0.appendEvent("note", at: at(1), payload: ["n": 3]) },
                ])
            #expect(failures[0] == nil && failures[3] == nil)
            #expect(failures[1] is Refused)
            #expect((failures[2] as? StoreError)?.code == .constraint)
            let (events, half) = try await fixture.store.read { (try $0.events(after: 0, limit: 10).items, try $0.setting("half")) }
            #expect(events.map(\.payload) == [["n": 1], ["n": 3]])
            #expect(half == nil)
            // A rolled back event leaves no gap in the numbers, and is not delivered.
            #expect(events.map(\.seq) == [1, 2])
            #expect(deliveries.seqs == [1, 2])
            #expect(fixture.store.counters == Store.Counters(commits: 2, writes: 3, failures: 2))
        }
    }

    @Test func eventsAreDeliveredInOrderBeforeTheWriterIsAnswered() async throws {
        let deliveries = Deliveries()
        try await StoreFixture.with(onCommit: { batch in deliveries.batches.withLock { $0.append(batch) } }) { fixture in
            try await withThrowingTaskGroup { group in
                for number in 0..<64 {
                    group.addTask {
                        for round in 0..<5 {
                            let event = try await fixture.store.write {
                                try $0.appendEvent(
                                    "note", at: at(1), payload: ["writer": .int(Int64(number)), "round": .int(Int64(round))])
                            }
                            #expect(deliveries.seqs.contains(event.seq))
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(deliveries.seqs == Array(1...320))
            let stored = try await fixture.store.read { try $0.events(after: 0, limit: 1000).items }
            #expect(stored == deliveries.batches.withLock { $0.flatMap { $0 } })
            #expect(fixture.store.counters.writes == 320)
            #expect(fixture.store.counters.commits <= 320)
        }
    }

    @Test func aWriteBeyondTheQueuesLimitIsRefused() async throws {
        var limits = StoreLimits.standard
        limits.writeQueueMax = 2
        limits.readQueueMax = 1
        try await StoreFixture.with(limits: limits) { fixture in
            let store = fixture.store
            let (entered, gate) = (Gate(), Gate())
            let blocked = Task {
                try await store.write { _ in
                    entered.open()
                    gate.pass()
                }
            }
            await entered.opened()
            let waiting = (0..<2).map { number in Task { try await store.write { try $0.setSetting("k\(number)", "") } } }
            while store.queuedWrites < 2 { await Task.yield() }
            #expect(try await code { try await store.write { _ in } } == .busy)
            gate.open()
            try await blocked.value
            for task in waiting { try await task.value }
            #expect(try await store.read { try $0.setting("k1") } == "")
        }
    }

    @Test func aClosedStoreAnswersWhatIsQueuedAndRefusesTheRest() async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { try $0.setSetting("a", "b") }
            await fixture.store.close()
            #expect(try await code { try await fixture.store.write { _ in } } == .closed)
            #expect(try await code { _ = try await fixture.store.read { _ in 1 } } == .closed)
            #expect(try await code { _ = try fixture.store.readSync { _ in 1 } } == .closed)
            let again = try Store.open(path: fixture.path)
            #expect(try again.readSync { try $0.setting("a") } == "b")
            await again.close()
        }
    }

    @Test func readersSeeWhatWasAnsweredAndCannotWrite() async throws {
        try await StoreFixture.with { fixture in
            for round in 0..<50 {
                try await fixture.store.write { try $0.setSetting("round", "\(round)") }
                #expect(try await fixture.store.read { try $0.setting("round") } == "\(round)")
            }
            #expect(
                try await code { _ = try await fixture.store.read { try $0.row("DELETE FROM setting RETURNING 1") { $0.integer() } } }
                    == .database)
            #expect(try await fixture.store.read { try $0.setting("round") } == "49")
        }
    }

    @Test func everyCommitWaitsForTheDisk() async throws {
        try await StoreFixture.with { fixture in
            let pragmas = try await fixture.store.write { transaction in
                try ["journal_mode", "synchronous", "foreign_keys"].map { name in
                    try transaction.row("SELECT CAST(\(name) AS TEXT) FROM pragma_\(name)") { $0.text() } ?? ""
                }
            }
            #expect(pragmas == ["wal", "2", "1"])
        }
    }

    @Test func aLockThatAnotherProgramHoldsIsWaitedForAndThenReported() async throws {
        var limits = StoreLimits.standard
        limits.lockWait = .milliseconds(20)
        try await StoreFixture.with(limits: limits) { fixture in
            let other = try Store.open(path: fixture.path)
            let (entered, gate) = (Gate(), Gate())
            let holder = Task {
                try await other.write { transaction in
                    try transaction.setSetting("holder", "other")
                    entered.open()
                    gate.pass()
                }
            }
            await entered.opened()
            #expect(try await code { try await fixture.store.write { try $0.setSetting("a", "b") } } == .busy)
            // Readers do not wait for a writer.
            #expect(try await fixture.store.read { try $0.setting("holder") } == nil)
            gate.open()
            try await holder.value
            try await fixture.store.write { try $0.setSetting("a", "b") }
            #expect(try await other.read { try $0.setting("a") } == "b")
            await other.close()
        }
    }

    @Test func theLogIsCutBackToItsLimitAfterABigWrite() async throws {
        var limits = StoreLimits.standard
        limits.journalBytesMax = 64 << 10
        try await StoreFixture.with(limits: limits) { fixture in
            func logBytes() throws -> Int64 {
                try #require(FileManager.default.attributesOfItem(atPath: fixture.path + "-wal")[.size] as? Int64)
            }
            try await fixture.store.write { try $0.setSetting("big", String(repeating: "x", count: 8 << 20)) }
            #expect(try logBytes() > limits.journalBytesMax)
            // The commit above was followed by a checkpoint; the next write begins the log anew.
            try await fixture.store.write { try $0.setSetting("small", "1") }
            #expect(try logBytes() <= limits.journalBytesMax)
        }
    }
}
