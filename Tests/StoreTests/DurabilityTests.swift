import Domain
import Foundation
import Synchronization
import Testing

@testable import Store

/// What writers were told is stored; a class, because a closure that leaves its task cannot borrow a `Mutex`.
private final class Answered: Sendable {
    let numbers = Mutex<Set<Int>>([])
}

/// What is left after the machine or the process stops at any moment.
@Suite struct DurabilityTests {
    /// The numbers that `count` writes stored, and whether the file is sound.
    private static func contents(of path: String) async throws -> (numbers: [Int], seqs: [Int64], integrity: String) {
        let store = try Store.open(path: path)
        let contents = try await store.read { transaction in
            let numbers = try transaction.rows("SELECT value FROM setting ORDER BY CAST(value AS INTEGER)") { Int($0.text()) ?? -1 }
            let integrity = try transaction.row("SELECT integrity_check FROM pragma_integrity_check") { $0.text() } ?? ""
            return (numbers, try transaction.events(after: 0, limit: 1000).items.map(\.seq), integrity)
        }
        await store.close()
        return contents
    }

    private static func store(_ number: Int, in transaction: WriteTransaction) throws {
        try transaction.setSetting("k\(number)", "\(number)")
        try transaction.appendEvent("note", at: at(1), payload: ["number": .int(Int64(number))])
    }

    // https://www.sqlite.org/fileformat2.html#the_write_ahead_log: a header of 32 bytes, then frames of 24 bytes and a page.
    private static let logHeaderBytes = 32
    private static let frameBytes = 24 + 4096

    /// Opens the database with its log cut to each of these lengths, and returns how many writes each holds.
    private func writesKept(in fixture: StoreFixture, cuts: some Sequence<Int>) async throws -> [Int] {
        let database = try Data(contentsOf: URL(fileURLWithPath: fixture.path))
        let log = try Data(contentsOf: URL(fileURLWithPath: fixture.path + "-wal"))
        #expect((log.count - Self.logHeaderBytes) % Self.frameBytes == 0)
        var kept: [Int] = []
        for cut in cuts where cut <= log.count {
            let copy = "\(fixture.folder)/cut-\(cut).db"
            try database.write(to: URL(fileURLWithPath: copy))
            try log.prefix(cut).write(to: URL(fileURLWithPath: copy + "-wal"))
            let found = try await Self.contents(of: copy)
            #expect(found.integrity == "ok", "cut at \(cut)")
            #expect(found.numbers == Array(0..<found.numbers.count).map { $0 + 1 }, "cut at \(cut)")
            #expect(found.seqs == found.numbers.map(Int64.init), "cut at \(cut)")
            kept.append(found.numbers.count)
        }
        return kept
    }

    @Test func aLogCutAtAnyFrameHoldsAPrefixOfTheWrites() async throws {
        try await StoreFixture.withFolder { folder in
            // Closing moves the schema out of the log.
            await (try Store.open(path: folder + "/anneal.db")).close()
            let store = try Store.open(path: folder + "/anneal.db")
            for number in 1...6 { try await store.write { try Self.store(number, in: $0) } }
            let boundaries = stride(from: Self.logHeaderBytes, through: 100 * Self.frameBytes, by: Self.frameBytes)
            let cuts = [0, 20] + boundaries.flatMap { [$0, $0 + 100] }
            let kept = try await writesKept(in: StoreFixture(folder: folder, store: store), cuts: cuts)
            await store.close()
            #expect(kept == kept.sorted(), "a longer log holds no less")
            #expect(Set(kept) == Set(0...6))
        }
    }

    @Test func aSchemaThatWasOnlyHalfWrittenIsMadeAnew() async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { try Self.store(1, in: $0) }
            let cuts = stride(from: Self.logHeaderBytes, to: 1000 * Self.frameBytes, by: 10 * Self.frameBytes)
            let kept = try await writesKept(in: fixture, cuts: cuts)
            #expect(kept.count > 3)
            #expect(kept.dropLast().allSatisfy { $0 == 0 })
        }
    }

    @Test func whatWasAnsweredIsInACopyTakenUnderLoad() async throws {
        try await StoreFixture.with { fixture in
            let answered = Answered()
            let store = fixture.store
            try await withThrowingTaskGroup { group in
                for writer in 0..<8 {
                    group.addTask {
                        for round in 0..<10 {
                            try await store.write { try Self.store(writer * 10 + round, in: $0) }
                            answered.numbers.withLock { _ = $0.insert(writer * 10 + round) }
                        }
                    }
                }
                for number in 0..<4 {
                    // Fewer pages than a checkpoint needs are written: the main file stays as it is while the log grows.
                    let before = answered.numbers.withLock { $0 }
                    let copy = "\(fixture.folder)/copy-\(number).db"
                    try FileManager.default.copyItem(atPath: fixture.path, toPath: copy)
                    try FileManager.default.copyItem(atPath: fixture.path + "-wal", toPath: copy + "-wal")
                    let found = try await Self.contents(of: copy)
                    #expect(found.integrity == "ok")
                    #expect(before.isSubset(of: found.numbers))
                    #expect(found.seqs == Array(0..<Int64(found.numbers.count)).map { $0 + 1 })
                }
                try await group.waitForAll()
            }
            #expect(answered.numbers.withLock { $0.count } == 80)
        }
    }

    /// The size of a database that may not grow: SQLite answers SQLITE_FULL as it does on a full disk.
    private func limit(_ store: Store, toPages pages: Int?) async throws {
        try await store.write { transaction in
            let limit = try pages ?? (transaction.row("SELECT page_count FROM pragma_page_count") { $0.integer() } ?? 0)
            _ = try transaction.row("PRAGMA max_page_count = \(limit)") { $0.integer() }
        }
    }

    @Test func aFullDatabaseRefusesClearlyAndWorksAgainWithRoom() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            try await store.write { try $0.setSetting("before", "kept") }
            try await limit(store, toPages: nil)
            let big = String(repeating: "x", count: 1 << 20)
            #expect(try await code { try await store.write { try $0.setSetting("big", big) } } == .diskFull)
            #expect(try await store.read { try ($0.setting("before"), $0.setting("big")) } == ("kept", nil))
            #expect(try await store.write { try $0.setting("before") } == "kept")
            try await limit(store, toPages: 1 << 20)
            try await store.write { try $0.setSetting("big", big) }
            #expect(try await store.read { try $0.setting("big") } == big)
        }
    }

    @Test(.enabled(if: TemporaryFileSystem.isAvailable, "mounting a tmpfs needs root"))
    func aFullDiskRefusesClearlyAndWorksAgainWithRoom() async throws {
        try await StoreFixture.withFolder { folder in
            try await TemporaryFileSystem.with(bytes: 3 << 20, at: folder + "/small") { mount in
                let store = try Store.open(path: mount + "/anneal.db")
                var kept = 0
                // The disk fills; nothing of the write that no longer fits is kept.
                let refusal = try await code {
                    while kept < 1000 {
                        let number = kept + 1
                        try await store.write { try $0.setSetting("k\(number)", String(repeating: "x", count: 50_000)) }
                        kept += 1
                    }
                }
                #expect(refusal == .diskFull)
                #expect(kept > 0)
                #expect(try await store.read { try $0.row("SELECT count(*) FROM setting") { $0.integer() } } == kept)
                try TemporaryFileSystem.resize(mount, bytes: 32 << 20)
                try await store.write { try $0.setSetting("after", "room") }
                #expect(try await store.read { try $0.setting("after") } == "room")
                await store.close()
                let found = try Store.open(path: mount + "/anneal.db")
                #expect(try found.readSync { try $0.row("SELECT count(*) FROM setting") { $0.integer() } } == kept + 1)
                #expect(try found.readSync { try $0.row("SELECT integrity_check FROM pragma_integrity_check") { $0.text() } } == "ok")
                await found.close()
            }
        }
    }
}
