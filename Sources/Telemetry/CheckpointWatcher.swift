import Domain
import EventLoop
import Glibc
import JSON

/// A complete checkpoint that a trainer left.
public struct FoundCheckpoint: Sendable, Equatable {
    public var path: String
    public var step: Int
    /// What the trainer measured with it; an object.
    public var metrics: JSONValue
}

/// What changed in a checkpoint folder.
public struct CheckpointChange: Sendable, Equatable {
    public var added: [FoundCheckpoint]
    /// Paths of checkpoints that are gone, by the trainer's own retention.
    public var removed: [String]
}

/// Watches the checkpoint folder of a job for folders `step_<N>` that hold `checkpoint.json`, or NeMo RL's `training_info.json`.
///
/// A trainer writes a checkpoint under another name and renames it when it is complete, so a folder of that name is complete by
/// its existence. Runs on the loop; the folder is read on a thread of its own.
@LoopActor
public final class CheckpointWatcher {
    private static let lookEvery: Duration = .seconds(5)
    private static let thread = BlockingThread(name: "checkpoints")

    private let directory: String
    private let receive: @LoopActor (CheckpointChange) -> Void
    private var known: Set<String> = []
    private var watcher: PathWatcher?
    private var timer: LoopTimer?
    private var isReading = false
    private var isDirty = false
    private var isClosed = false
    private var idle: [CheckedContinuation<Void, Never>] = []

    /// - Parameter directory: the folder, which exists. What is in it already is reported as added.
    public init(directory: String, _ receive: @escaping @LoopActor (CheckpointChange) -> Void) {
        self.directory = directory
        self.receive = receive
        // A folder that cannot be watched (no watches left) is looked at by the timer alone.
        watcher = try? PathWatcher(path: directory) { [weak self] _ in self?.look() }
        timer = LoopTimer(after: Self.lookEvery, every: Self.lookEvery) { [weak self] in self?.look() }
        look()
    }

    /// Stops watching.
    ///
    /// - Returns: what changed since the last report, if anything did.
    public func finish() async -> CheckpointChange? {
        watcher?.cancel()
        timer?.cancel()
        if isReading { await withCheckedContinuation { idle.append($0) } }
        isClosed = true
        return await read()
    }

    private func look() {
        guard !isClosed else { return }
        isDirty = true
        guard !isReading else { return }
        isReading = true
        Task { @LoopActor in
            while isDirty {
                isDirty = false
                if let change = await read() { receive(change) }
            }
            isReading = false
            let waiting = idle
            idle = []
            for continuation in waiting { continuation.resume() }
        }
    }

    private func read() async -> CheckpointChange? {
        let (directory, known) = (directory, known)
        // A folder that cannot be read this time is read again by the timer.
        guard let (present, added) = try? await Self.thread.run({ Self.scan(directory, known: known) }) else { return nil }
        let removed = known.subtracting(present)
        self.known = present
        guard !added.isEmpty || !removed.isEmpty else { return nil }
        return CheckpointChange(added: added, removed: removed.sorted())
    }

    private nonisolated static func scan(_ directory: String, known: Set<String>) -> (Set<String>, [FoundCheckpoint]) {
        guard let folder = opendir(directory) else { return (known, []) }
        defer { closedir(folder) }
        var present: Set<String> = []
        var added: [FoundCheckpoint] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let step = CheckpointFolder.step(of: name) else { continue }
            let path = directory + "/" + name
            if known.contains(path) {
                present.insert(path)
            } else if let metrics = metrics(of: path) {
                present.insert(path)
                added.append(FoundCheckpoint(path: path, step: step, metrics: metrics))
            }
        }
        return (present, added.sorted { $0.step < $1.step })
    }

    /// The files of which one tells that a folder is a checkpoint: of Anneal's own trainer, and of NeMo RL.
    public nonisolated static let documents = ["checkpoint.json", "training_info.json"]
    /// What NeMo RL counts in a checkpoint beside its metrics; its `step` counts within the epoch.
    private nonisolated static let counters: Set<String> = ["step", "total_steps"]

    /// The metrics of a checkpoint; `nil` where the folder has no file that tells of them and is therefore none of ours.
    private nonisolated static func metrics(of path: String) -> JSONValue? {
        guard let (name, bytes) = documents.lazy.compactMap({ name in content("\(path)/\(name)").map { (name, $0) } }).first else {
            return nil
        }
        // A file that is not JSON still marks a complete checkpoint; it then has no metrics.
        guard let document = try? JSONParser.parse(bytes, options: .python) else { return [:] }
        if name == documents[0] { return document["metrics"]?.object.map(JSONValue.object) ?? [:] }
        return .object((document.object ?? [:]).filter { $0.value.double != nil && !counters.contains($0.key) })
    }

    private nonisolated static func content(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        return bytes
    }
}
