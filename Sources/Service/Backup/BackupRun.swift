import APITypes
import Domain
import Synchronization

/// A backup on its way, and the last one that ended; told of to whoever asks.
final class BackupRun: Sendable {
    /// Thrown where somebody ended the backup.
    struct Cancelled: Error {}

    private let state: Mutex<BackupView>
    private let isCancelled = Mutex(false)

    init(target: String, mode: BackupMode, at: Timestamp) {
        state = Mutex(
            BackupView(state: "running", phase: "database", target: target, mode: mode.rawValue, startedAt: at.description))
    }

    var view: BackupView { state.withLock { $0 } }

    var isRunning: Bool { view.state == "running" }

    func cancel() { isCancelled.withLock { $0 = true } }

    func checkWanted() throws {
        if isCancelled.withLock({ $0 }) { throw Cancelled() }
    }

    func set(pages done: Int, of total: Int) {
        state.withLock {
            $0.pages = done
            $0.pagesTotal = total
        }
    }

    func enter(phase: String) { state.withLock { $0.phase = phase } }

    func add(files: Int) { state.withLock { $0.files += files } }

    func add(bytes: Int64) { state.withLock { $0.bytes += bytes } }

    func finish(_ manifest: BackupManifest, at: Timestamp) {
        state.withLock {
            $0.state = "done"
            $0.phase = "done"
            $0.files = manifest.files
            $0.bytes = manifest.bytes
            $0.missing = manifest.missing
            $0.external = manifest.external
            $0.finishedAt = at.description
        }
    }

    func fail(_ message: String, at: Timestamp) {
        state.withLock {
            $0.state = "failed"
            $0.message = message
            $0.finishedAt = at.description
        }
    }
}
