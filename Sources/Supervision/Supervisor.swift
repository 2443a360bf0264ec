import CPosix
import EventLoop
import Glibc

/// Starts attempts under shims of their own, and takes up those that an earlier daemon started.
///
/// It is on no path that an attempt's end depends on: shims run, stop and record their workers with or without it.
@LoopActor
public final class Supervisor {
    /// The folder in which attempts have theirs.
    public nonisolated let attemptsDirectory: String

    private let shimPath: String
    /// New attempts are written to disk here, which waits for the disk again and again.
    private let starts = BlockingThread(name: "attempt-starts")
    /// Records are read and shims spoken to here, so that an end or a stop does not wait behind many starts.
    private let files = BlockingThread(name: "attempt-files")

    /// - Parameters:
    ///   - shimPath: the program `anneal-shim`.
    ///   - attemptsDirectory: where `scan` looks; an absolute path.
    public nonisolated init(shimPath: String, attemptsDirectory: String) {
        self.shimPath = shimPath
        self.attemptsDirectory = attemptsDirectory
    }

    /// Writes the attempt's folder to disk and starts its shim.
    ///
    /// Returns when the shim is on its way; `started` and `ended` follow as events, which may come before the caller goes on. A program
    /// that cannot be run is an `ended` with a start error. Throws `SupervisionError`; nothing runs then.
    public func start(_ launch: AttemptLaunch, onEvent: @escaping @LoopActor (AttemptEvent) -> Void) async throws -> AttemptHandle {
        let folder = AttemptFolder(path: launch.directory)
        let shimPath = self.shimPath
        let shim = try await starts.run {
            try folder.create(launch, bootID: try ShimIdentity.currentBootID())
            guard let lock = try folder.takeLock() else {
                throw SupervisionError(.alreadyUsed, message: "the attempt in '\(folder.path)' has a supervisor already")
            }
            defer { close(lock) }
            return try ShimProcess.spawn(shimPath: shimPath, folder: folder, lock: lock)
        }
        return AttemptHandle(shim, folder: folder, files: files, onEvent: onEvent)
    }

    /// Finds out what became of an attempt that an earlier daemon started, and watches it where it still runs.
    public func reattach(directory: String, onEvent: @escaping @LoopActor (AttemptEvent) -> Void) async -> ReattachResult {
        let folder = AttemptFolder(path: directory)
        let finding: AttemptFinding
        let pidfd: Int32?
        do {
            (finding, pidfd) = try await files.run { Self.examine(folder) }
        } catch {
            // The file thread runs as long as this object lives, and no job of it throws here.
            (finding, pidfd) = (.live(nil), nil)
        }
        switch finding {
        case .ended(let record): return .ended(record)
        case .neverStarted(let evidence): return .neverStarted(evidence: evidence)
        case .lost(let evidence): return .lost(evidence: evidence)
        case .live(let identity):
            return .running(AttemptHandle(identity: identity, pidfd: pidfd, folder: folder, files: files, onEvent: onEvent))
        case .unsupervised(let remains, let controlGroup):
            let worker = UnsupervisedWorker(remains, controlGroup: controlGroup, folder: folder, files: files, onEvent: onEvent)
            return .unsupervised(worker)
        }
    }

    /// The finding and, for a live shim, its descriptor.
    ///
    /// The descriptor is opened before the look. So a shim that ends in between is either found ended by it, or makes the descriptor
    /// readable later; its end cannot be missed.
    private nonisolated static func examine(_ folder: AttemptFolder) -> (AttemptFinding, Int32?) {
        let pidfd = AttemptFinding.identity(folder)?.openShim()
        let finding = AttemptFinding.examine(folder)
        guard let pidfd else { return (finding, nil) }
        if case .live = finding { return (finding, pidfd) }
        // A daemon that has replaced its program keeps its children: then the shim that has ended waits to be reaped.
        var status: (exitCode: Int32, signal: Int32) = (0, 0)
        _ = cposix_pidfd_reap(pidfd, &status.exitCode, &status.signal)
        close(pidfd)
        return (finding, nil)
    }

    /// The folders of all attempts on disk, by name, so that those that the database does not know are found too.
    public func scan() async throws -> [AttemptListing] {
        let parent = attemptsDirectory
        return try await files.run {
            guard let folder = opendir(parent) else {
                if errno == ENOENT { return [] }
                throw SupervisionError.system(.folder, "read the folder '\(parent)'")
            }
            defer { closedir(folder) }
            var listings: [AttemptListing] = []
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                guard !name.hasPrefix("."), let listing = Self.listing(parent + "/" + name) else { continue }
                listings.append(listing)
            }
            return listings.sorted { $0.directory < $1.directory }
        }
    }

    private nonisolated static func listing(_ path: String) -> AttemptListing? {
        guard access(path + "/spec.json", F_OK) == 0 else { return nil }
        let hasExitRecord = access(path + "/exit.json", F_OK) == 0
        var hasLiveShim = false
        // A shim that wrote exit.json is on its way out. A lock that cannot be looked at may be held.
        if !hasExitRecord { hasLiveShim = (try? AttemptFolder(path: path).isLocked()) ?? true }
        return AttemptListing(directory: path, hasLiveShim: hasLiveShim, hasExitRecord: hasExitRecord)
    }
}
