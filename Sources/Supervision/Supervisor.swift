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
    private let factory: ShimFactory
    private let controlGroups: ControlGroupPlacement
    /// New attempts are written to disk here, which waits for the disk again and again.
    private let starts = BlockingThread(name: "attempt-starts")
    /// Records are read and shims spoken to here, so that an end or a stop does not wait behind many starts.
    private let files = BlockingThread(name: "attempt-files")

    /// - Parameters:
    ///   - shimPath: the program `anneal-shim`.
    ///   - attemptsDirectory: where `scan` looks; an absolute path.
    ///   - controlGroups: where the groups of attempts are made that do not say so themselves.
    public nonisolated init(shimPath: String, attemptsDirectory: String, controlGroups: ControlGroupPlacement = .belowOwn) {
        self.shimPath = shimPath
        self.controlGroups = controlGroups
        factory = ShimFactory(shimPath: shimPath)
        self.attemptsDirectory = attemptsDirectory
    }

    /// Writes the attempt's folder to disk and starts its shim.
    ///
    /// Returns when the shim is on its way; `started` and `ended` follow as events, which may come before the caller goes on. A program
    /// that cannot be run is an `ended` with a start error. Throws `SupervisionError`; nothing runs then.
    public func start(_ launch: AttemptLaunch, onEvent: @escaping @LoopActor (AttemptEvent) -> Void) async throws -> AttemptHandle {
        let folder = AttemptFolder(path: launch.directory)
        let (shimPath, factory) = (shimPath, factory)
        var launch = launch
        if launch.controlGroup == .belowOwn { launch.controlGroup = controlGroups }
        let placed = launch
        let shim = try await starts.run { () throws -> ShimProcess? in
            try folder.create(placed, bootID: try ShimIdentity.currentBootID())
            let secrets = try SecretHandover.descriptor(of: placed)
            defer { if let secrets { close(secrets) } }
            return try Self.startShim(shimPath, factory, folder, secrets: secrets)
        }
        guard let shim else { return AttemptHandle(identity: nil, pidfd: nil, folder: folder, files: files, onEvent: onEvent) }
        return AttemptHandle(shim, folder: folder, files: files, onEvent: onEvent)
    }

    /// Makes the shim by the factory, or directly where that cannot. `nil` where there is a shim of which nothing more is known.
    private nonisolated static func startShim(
        _ shimPath: String, _ factory: ShimFactory, _ folder: AttemptFolder, secrets: Int32?
    ) throws -> ShimProcess? {
        let lock = try takeLock(folder)
        do {
            defer { close(lock) }
            switch try factory.make(folder: folder, lock: lock, secrets: secrets) {
            case .shim(let shim): return shim
            case .unavailable: return try ShimProcess.spawn(shimPath: shimPath, folder: folder, lock: lock, secrets: secrets)
            case .uncertain: break
            }
        }
        // A shim that was made holds the lock on its own by now; without one, nobody does.
        if try folder.isLocked() { return nil }
        let again = try takeLock(folder)
        defer { close(again) }
        return try ShimProcess.spawn(shimPath: shimPath, folder: folder, lock: again, secrets: secrets)
    }

    private nonisolated static func takeLock(_ folder: AttemptFolder) throws -> Int32 {
        guard let lock = try folder.takeLock() else {
            throw SupervisionError(.alreadyUsed, message: "the attempt in '\(folder.path)' has a supervisor already")
        }
        return lock
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
        // A shim whose attempt is over can be a child of this process, where the daemon has replaced its program.
        if case .live = finding {} else if let pidfd { ChildReaper.reap(whenEnded: pidfd) }
        switch finding {
        case .ended(let record): return .ended(record)
        case .neverStarted(let evidence): return .neverStarted(evidence: evidence)
        case .lost(let evidence): return .lost(evidence: evidence)
        case .live(let identity):
            return .running(AttemptHandle(identity: identity, pidfd: pidfd, folder: folder, files: files, onEvent: onEvent))
        case .unsupervised(let remains):
            let worker = UnsupervisedWorker(remains, folder: folder, files: files, onEvent: onEvent)
            return .unsupervised(worker)
        }
    }

    /// The finding and the shim's descriptor, if that process is there.
    ///
    /// The descriptor is opened before the look. So a shim that ends in between is either found ended by it, or makes the descriptor
    /// readable later; its end cannot be missed.
    private nonisolated static func examine(_ folder: AttemptFolder) -> (AttemptFinding, Int32?) {
        let pidfd = AttemptFinding.identity(folder)?.openShim()
        let finding = AttemptFinding.examine(folder)
        return (finding, pidfd)
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
