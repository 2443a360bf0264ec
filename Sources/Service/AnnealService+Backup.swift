import APITypes
import Domain
import EventLoop
import Store

// Backups of the running daemon's data.
extension AnnealService {
    /// Begins a backup; `backupStatus` tells of it.
    ///
    /// - Parameter target: an absolute path on the daemon's machine where nothing is yet.
    public func beginBackup(to target: String, mode: BackupMode) async throws -> BackupView {
        let inside = configuration.dataDirectory + "/"
        let running = try await store.read { try $0.checkpointFiles().filter { $0.isLive && $0.path.hasPrefix(inside) } }
        if let backup, backup.isRunning {
            throw ServiceError(.conflict, "a backup to '\(backup.view.target)' is being made; wait for it, or cancel it")
        }
        let run = BackupRun(target: target, mode: mode, at: now)
        let making = BackupMaking(configuration: configuration, target: target, mode: mode, run: run, running: running)
        // Before the first wait, so that a second request finds it.
        let before = backup
        backup = run
        do {
            try await files.run { try making.check() }
        } catch {
            backup = before
            throw error
        }
        log.notice("a backup begins", metadata: ["target": "\(target)", "mode": "\(mode.rawValue)"])
        backups.submit { [log] in
            do {
                let manifest = try making.make(now: Store.systemTime)
                run.finish(manifest, at: Store.systemTime())
                log.notice("a backup is done", metadata: ["target": "\(target)", "files": "\(manifest.files)"])
            } catch is BackupRun.Cancelled {
                run.fail("it was cancelled; the same target goes on with what is there", at: Store.systemTime())
            } catch {
                run.fail("\((error as? ServiceError)?.detail ?? "\(error)")", at: Store.systemTime())
                log.error("a backup failed", metadata: ["target": "\(target)", "error": "\(error)"])
            }
        }
        return run.view
    }

    /// The backup that is being made, or the last one since the daemon started.
    public func backupStatus() throws -> BackupView {
        guard let backup else { throw ServiceError(.notFound, "no backup has been made since the daemon started") }
        return backup.view
    }

    /// Ends the backup that is being made; what it has stays in `TARGET.partial`.
    public func cancelBackup() throws {
        guard let backup, backup.isRunning else { throw ServiceError(.conflict, "no backup is being made") }
        backup.cancel()
    }

    /// Throws while a backup is being made: what its database names must not be removed under it.
    func refuseDuringBackup(_ what: String) throws {
        guard let backup, backup.isRunning else { return }
        throw ServiceError(.conflict, "\(what) must wait: a backup to '\(backup.view.target)' is being made")
    }
}
