import Domain
import EventLoop
import Store
import Telemetry

/// Follows every file of an attempt that tells of its metrics: `metrics.jsonl`, event files of TensorBoard, and what it prints.
///
/// Each file is followed on its own, so that a broken or a huge one holds up no other. Files that are found later join in.
@LoopActor
final class AttemptFollower {
    /// Takes points of one source; the cursor is kept in the transaction that keeps the points.
    typealias Receiver = @LoopActor (MetricSource, MetricBatch, MetricCursor, MetricAcknowledgement) -> Void

    /// What is followed beside `metrics.jsonl`.
    struct Scope: Sendable {
        /// Whether numbers are looked for in what the worker prints.
        var readsLogs = false
        /// Folders below which event files are looked for.
        var eventFolders: [String] = []
        /// Whether the worker keeps a journal of generations.
        var readsJournal = false
        /// When the attempt began, in seconds since 1970: event files that were last written before are an earlier attempt's.
        var beganAt: Double
    }

    private static let thread = BlockingThread(name: "event files")

    private let directory: String
    private let scope: Scope
    private let cursors: [String: MetricCursor]
    private let receive: Receiver
    private var followers: [String: MetricFollower] = [:]
    private var passedOver: Set<String> = []
    private var isLooking = false

    /// - Parameter cursors: how far the files had been read by an earlier daemon, by path.
    init(directory: String, scope: Scope, cursors: [String: MetricCursor], _ receive: @escaping Receiver) {
        self.directory = directory
        self.scope = scope
        self.cursors = cursors
        self.receive = receive
        follow(RunningAttempt.metricFile, .native, at: directory + "/" + RunningAttempt.metricFile) {
            MetricLineTail(path: $0, inode: $1, offset: $2)
        }
        if scope.readsJournal {
            follow(GenerationJournalFile.name, .native, at: directory + "/" + GenerationJournalFile.name) {
                GenerationJournalTail(path: $0, inode: $1, offset: $2)
            }
        }
        if scope.readsLogs {
            for name in ["stdout.log", "stderr.log"] {
                follow(name, .log, at: directory + "/" + name) { LogTail(path: $0, inode: $1, offset: $2) }
            }
        }
    }

    /// - Parameter name: how the file is called in the database.
    private func follow(
        _ name: String, _ source: MetricSource, at path: String, offset: Int64 = 0, inode: UInt64 = 0,
        _ tail: (String, UInt64, Int64) -> any PointTail
    ) {
        let cursor = cursors[name]
        followers[name] = MetricFollower(tail(path, cursor?.inode ?? inode, cursor?.offset ?? offset)) { [receive] batch, acknowledge in
            receive(source, batch, MetricCursor(path: name, inode: batch.inode, offset: batch.offset), acknowledge)
        }
    }

    /// Looks for event files that are new. Cheap where there are none.
    func look() {
        guard !isLooking, !scope.eventFolders.isEmpty else { return }
        isLooking = true
        Task { @LoopActor in
            await lookNow()
            isLooking = false
        }
    }

    private func lookNow() async {
        let folders = scope.eventFolders
        // A folder that cannot be read this time is read again at the next look.
        guard let found = try? await Self.thread.run({ folders.flatMap(EventFileFinder.find) }) else { return }
        for file in found.prefix(TelemetryLimits.eventFilesMax) where followers[file.path] == nil {
            // Files have times of whole milliseconds or less; a second of doubt speaks for the attempt.
            if cursors[file.path] == nil, file.modified < scope.beganAt - 1 {
                passedOver.insert(file.path)
                continue
            }
            // One that an earlier attempt wrote and this one goes on with: only what is new is this one's.
            let isContinued = passedOver.contains(file.path)
            follow(file.path, .tensorboard, at: file.path, offset: isContinued ? file.bytes : 0, inode: isContinued ? file.inode : 0) {
                EventFileTail(path: $0, prefix: file.prefix, inode: $1, offset: $2)
            }
        }
    }

    /// Returns when everything that the files hold now has been taken, and stops following.
    func drain() async {
        if !scope.eventFolders.isEmpty { await lookNow() }
        for follower in followers.values { await follower.drain() }
        followers = [:]
    }
}
