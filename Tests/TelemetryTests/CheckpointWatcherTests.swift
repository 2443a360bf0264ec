import EventLoop
import Foundation
import Testing

@testable import Telemetry

@Suite struct CheckpointWatcherTests {
    /// Leaves a checkpoint as a trainer does: complete under another name, then renamed.
    private nonisolated func leave(_ step: Int, in folder: String, metrics: String = #"{"val_loss": 1.5}"#) throws {
        let temporary = folder + "/tmp_step_\(step)"
        try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: true)
        try GrowingFile(path: temporary + "/checkpoint.json").append("{\"version\":1,\"step\":\(step),\"metrics\":\(metrics)}")
        try FileManager.default.moveItem(atPath: temporary, toPath: folder + "/step_\(step)")
    }

    @Test @LoopActor func checkpointsAreReportedAsTheyComeAndGo() async throws {
        try await withFolder { folder in
            try leave(20, in: folder)
            try leave(10, in: folder, metrics: "7")
            for other in ["tmp_step_30", "step_x", "step_-1", "step_99", "notes"] {
                try FileManager.default.createDirectory(atPath: folder + "/" + other, withIntermediateDirectories: true)
            }
            let (changes, continuation) = AsyncStream.makeStream(of: CheckpointChange.self)
            let watcher = CheckpointWatcher(directory: folder) { continuation.yield($0) }
            var iterator = changes.makeAsyncIterator()
            let first = try #require(await iterator.next())
            #expect(
                first.added == [
                    FoundCheckpoint(path: folder + "/step_10", step: 10, metrics: [:]),
                    FoundCheckpoint(path: folder + "/step_20", step: 20, metrics: ["val_loss": 1.5]),
                ])
            #expect(first.removed.isEmpty)
            try leave(40, in: folder)
            #expect(await iterator.next()?.added.map(\.step) == [40])
            try FileManager.default.removeItem(atPath: folder + "/step_10")
            #expect(await iterator.next() == CheckpointChange(added: [], removed: [folder + "/step_10"]))
            #expect(await watcher.finish() == nil)
        }
    }

    @Test @LoopActor func theEndReportsWhatWasNotReportedBefore() async throws {
        try await withFolder { folder in
            var reported: [Int] = []
            let watcher = CheckpointWatcher(directory: folder) { reported += $0.added.map(\.step) }
            try leave(5, in: folder)
            let last = await watcher.finish()
            // Either the watcher saw it in time or the end did, and never both.
            #expect(reported + (last?.added.map(\.step) ?? []) == [5])
            try leave(6, in: folder)
            #expect(reported.count <= 1)
        }
    }
}
