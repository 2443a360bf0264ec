import Domain
import EventLoop
import JSON
import Supervision

/// Attempts of one group that ask for the same and came in the same moment: they are submitted as one job array.
///
/// Each stays an attempt of its own. The array's script finds the folder of its task in a file beside it.
@LoopActor
final class SlurmArray {
    nonisolated static let scriptFile = "array.sh"
    /// The folders of the tasks, a line for each.
    nonisolated static let tasksFile = "array.tasks"
    /// The most tasks of an array: Slurm's own limit where slurm.conf sets none (MaxArraySize is 1001).
    nonisolated static let tasksMax = 1000
    /// How long the next of the group is waited for, and how long all of them.
    private static let gatherPause: Duration = .milliseconds(200)
    private static let gatherMax: Duration = .seconds(2)

    /// What an array is called in Slurm, by its first attempt.
    nonisolated static func name(first attempt: String) -> String { SlurmScript.name(attempt: attempt) + "-array" }

    private let executor: SlurmExecutor
    private let key: String
    private let script: SlurmScript
    private let began = SystemTime.monotonicNanoseconds()
    private var attempts: [SlurmAttempt] = []
    private var timer: LoopTimer?

    /// - Parameter script: that of its first attempt.
    init(_ key: String, _ script: SlurmScript, executor: SlurmExecutor) {
        (self.key, self.script, self.executor) = (key, script, executor)
    }

    func add(_ attempt: SlurmAttempt) {
        attempts.append(attempt)
        timer?.cancel()
        let isFull = attempts.count >= Self.tasksMax || SystemTime.hasPassed(Self.gatherMax, since: began)
        if isFull { submit() } else { timer = LoopTimer(after: Self.gatherPause) { [weak self] in self?.submit() } }
    }

    private func submit() {
        executor.arrays[key] = nil
        // What was told to end meanwhile is not submitted at all.
        let live = attempts.filter(\.awaitsSubmission)
        for attempt in attempts where !attempt.awaitsSubmission || live.count == 1 { attempt.submit() }
        guard live.count > 1 else { return }
        Task { @LoopActor in
            do {
                try await prepare(live)
                try await submit(live)
            } catch let error as SlurmError where error.kind == .unknown {
                for attempt in live { attempt.search(for: error) }
            } catch {
                // A site may refuse arrays, or such large ones; what each by itself is refused for is told of each.
                for attempt in live {
                    attempt.sharedName = nil
                    attempt.submit()
                }
            }
        }
    }

    /// Writes what the tasks need, and into each attempt's folder by what it can be found again.
    private func prepare(_ live: [SlurmAttempt]) async throws {
        let name = Self.name(first: script.order.attemptID)
        let (first, folders, text) = (BatchFolder(path: script.directory), live.map(\.folder), script.arrayText)
        try await executor.files.run {
            try first.write(folders.map { $0.path + "\n" }.joined(), to: Self.tasksFile)
            try first.write(text, to: Self.scriptFile)
            for (task, folder) in folders.enumerated() {
                var options = folder.document(SlurmExecutor.optionsFile)?.object ?? [:]
                options["array"] = ["name": .string(name), "task": .int(Int64(task))]
                try folder.write(JSONWriter().bytes(of: .object(options)), to: SlurmExecutor.optionsFile)
            }
        }
        for (task, attempt) in live.enumerated() {
            (attempt.arrayKey, attempt.sharedName) = (SlurmJob.key(name: name, task: task), name)
        }
    }

    private func submit(_ live: [SlurmAttempt]) async throws {
        let (commands, file) = (executor.commands, script.directory + "/" + Self.scriptFile)
        let options = script.arrayOptions(tasks: live.count)
        var delay = SlurmPatience.busyDelayMin
        while true {
            do {
                let id = try await executor.nextSubmitter().run { try commands.submit(options, script: file) }
                for (task, attempt) in live.enumerated() { attempt.place("\(id)_\(task)") }
                return
            } catch let error as SlurmError where error.kind == .busy {
                for attempt in live { attempt.tellBusy(error) }
            }
            await executor.pause(delay)
            delay = min(delay * 2, SlurmPatience.busyDelayMax)
        }
    }
}

extension SlurmExecutor {
    /// Submits an attempt, with others of its group where these come in the same moment.
    func submit(_ attempt: SlurmAttempt, _ script: SlurmScript) {
        // The file of tasks has a line for each.
        guard let group = script.order.group, !script.directory.contains("\n") else { return attempt.submit() }
        let key = ([group] + script.sharedOptions).joined(separator: "\n")
        let array = arrays[key] ?? SlurmArray(key, script, executor: self)
        arrays[key] = array
        array.add(attempt)
    }
}
