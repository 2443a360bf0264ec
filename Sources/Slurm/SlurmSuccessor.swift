import Domain
import EventLoop
import JSON
import Supervision

/// A job that waits in Slurm's queue behind an attempt that runs, so that the next attempt has its place when that one's allocation ends.
///
/// It is no attempt. Its script waits in the folder of the attempt before it until the daemon names the folder of the next one, and
/// becomes that one's shim; it ends by itself where there is to be none. All of it lies in that folder, so a new daemon finds it again.
@LoopActor
final class SlurmSuccessor {
    /// The script, made with the attempt's own.
    nonisolated static let scriptFile = "next.sh"
    /// Whether it was submitted, and as which job.
    nonisolated static let recordFile = "next.json"
    /// Names the folder of the next attempt.
    nonisolated static let orderFile = "next"
    /// There is no next attempt, or not by this.
    nonisolated static let endFile = "next.done"

    /// What the successor of an attempt is called in Slurm.
    nonisolated static func name(after attempt: String) -> String { SlurmScript.name(attempt: attempt) + "-next" }

    let name: String
    let folder: BatchFolder
    private let predecessor: String
    private unowned let executor: SlurmExecutor
    private(set) var id: String?
    private var isDropped = false
    /// Since when it is looked for by its name; `nil` while it is not.
    private var searchedSince: UInt64?

    /// - Parameter predecessor: Slurm's id of the job that it comes after.
    init(after predecessor: String, attempt name: String, folder: BatchFolder, executor: SlurmExecutor) {
        self.name = name + "-next"
        (self.folder, self.predecessor, self.executor) = (folder, predecessor, executor)
    }

    /// Submits it where that has not been done.
    func prepare() {
        Task { @LoopActor in
            let folder = folder
            // Nothing of what follows matters to a daemon that goes down.
            guard let record = try? await executor.files.run({ folder.document(Self.recordFile) }) else { return submit() }
            if let id = record["id"]?.string { settle(id) } else { searchedSince = SystemTime.monotonicNanoseconds() }
        }
    }

    private func submit() {
        guard !isDropped else { return }
        searchedSince = nil
        Task { @LoopActor in
            let (folder, commands, dependency) = (folder, executor.commands, "--dependency=afterany:" + predecessor)
            do {
                try await executor.files.run { try folder.write("{}", to: Self.recordFile) }
                let id = try await executor.nextSubmitter().run {
                    let options = folder.document(SlurmExecutor.optionsFile)?["next"]?.array?.compactMap(\.string) ?? []
                    return try commands.submit(options + [dependency], script: folder.path(of: Self.scriptFile))
                }
                settle(id)
            } catch let error as SlurmError where error.kind == .unknown {
                searchedSince = SystemTime.monotonicNanoseconds()
            } catch {
                // Slurm does not want it, or the disk does not: the next attempt is submitted when it is due.
            }
        }
    }

    private func settle(_ id: String) {
        (self.id, searchedSince) = (id, nil)
        executor.claim(id, by: name)
        if isDropped { return end(id) }
        let folder = folder
        // Where this is not written it is found by its name.
        executor.files.submit { try? folder.write(#"{"id":"\#(id)"}"#, to: Self.recordFile) }  // as said above
    }

    /// Takes what a look at Slurm's queue told.
    func take(_ sight: SlurmSight) {
        guard let searchedSince else { return }
        switch sight {
        case .job(let job): if job.state.isEnd { self.searchedSince = nil } else { settle(job.id) }
        case .absent where SystemTime.hasPassed(SlurmPatience.lostAnswerPatience, since: searchedSince): submit()
        default: break
        }
    }

    /// There is no next attempt, or none that could wait for it.
    func drop() {
        isDropped = true
        if let id { end(id) } else if searchedSince == nil { executor.forget(self) }
    }

    /// Slurm has given its number to another job: its own is looked for by its name.
    func lose() { (id, searchedSince) = (nil, SystemTime.monotonicNanoseconds()) }

    private func end(_ id: String) {
        executor.cancel(id, [name])
        executor.forget(self)
    }
}

extension SlurmExecutor {
    /// Lines a successor up behind an attempt that runs, where its folder has the script of one.
    func lineUp(behind attempt: SlurmAttempt, job id: String) {
        guard terms.ahead > 0 else { return }
        let successor = SlurmSuccessor(after: id, attempt: attempt.name, folder: attempt.folder, executor: self)
        Task { @LoopActor in
            let folder = attempt.folder
            // A daemon that goes down lines nothing up.
            let isWanted = try? await files.run {  // as said above
                folder.has(SlurmSuccessor.scriptFile) && !folder.has(SlurmSuccessor.endFile)
            }
            guard isWanted == true, successors[folder.path] == nil, !attempt.isOver else { return }
            successors[folder.path] = successor
            successor.prepare()
        }
    }

    /// Ends what waits behind an attempt after which no other comes. Does nothing where nothing does.
    public func dropSuccessor(of directory: String) async {
        let folder = BatchFolder(path: directory)
        let successor = successors[directory]
        // First on disk: one that starts meanwhile ends by itself, and where this cannot be written the script's patience ends.
        let record: JSONValue? = try? await files.run {  // as said above
            guard folder.has(SlurmSuccessor.scriptFile), let record = folder.document(SlurmSuccessor.recordFile) else { return nil }
            try folder.write("", to: SlurmSuccessor.endFile)
            return record
        }
        if let successor {
            successor.drop()
        } else if let id = record?["id"]?.string {
            cancel(id, [SlurmSuccessor.name(after: folder.name)])
        }
        hurry()
    }

    /// Slurm's id of what waits behind an attempt that has ended; `nil` where nothing does that could become the next one.
    func successor(of directory: String) async -> String? {
        let folder = BatchFolder(path: directory)
        let successor = successors[directory]
        let (commands, name) = (commands, SlurmSuccessor.name(after: folder.name))
        let found: (record: JSONValue?, isOver: Bool)? = try? await files.run {  // a daemon that goes down starts nothing
            (folder.document(SlurmSuccessor.recordFile), folder.has(SlurmSuccessor.endFile) || folder.has(SlurmSuccessor.orderFile))
        }
        guard let record = found?.record, found?.isOver == false else { return nil }
        let known = successor?.id ?? record["id"]?.string
        // Without an answer one that has an id is taken for waiting; should it not be, that shows soon.
        guard let jobs = try? await questions.run({ try commands.queue() }) else {  // as said above
            if known == nil { await dropSuccessor(of: directory) } else { successors[directory] = nil }
            return known
        }
        if let job = jobs.first(where: { ($0.id == known || $0.name == name) && !$0.state.isEnd }) {
            successors[directory] = nil
            return job.id
        }
        await dropSuccessor(of: directory)
        return nil
    }

    func forget(_ successor: SlurmSuccessor) {
        if successors[successor.folder.path] === successor { successors[successor.folder.path] = nil }
    }
}
