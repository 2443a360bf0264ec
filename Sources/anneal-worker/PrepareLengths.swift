import Datasets
import EventLoop
import Glibc
import JSON
import Packing

/// Measures a dataset by a model's own tokenizer, in a process of the trainer's Python.
@LoopActor
struct PrepareLengths {
    /// Time between two looks at what the process tells of its progress.
    private static let echoInterval: Duration = .milliseconds(500)

    let context: WorkerContext
    let packing: PreparePacking

    /// What was measured.
    struct Measured {
        var lengths: PackingLengths
        var provenance: PackingProvenance
        /// The line of the dataset on which each record stands.
        var lines: [Int]
    }

    /// Fails where the process could not even be started, so that no dataset is made for nothing.
    nonisolated static func check(_ context: WorkerContext) throws(WorkerFailure) {
        guard let python = context.variable("ANNEAL_PYTHON") else {
            throw .badRequest("", "the environment has no ANNEAL_PYTHON, with which the step 'pack' runs the model's tokenizer")
        }
        guard EvaluateChild.path(of: python, environment: context.environment) != nil else {
            throw .badRequest("", "there is no program '\(python)' (ANNEAL_PYTHON), with which the step 'pack' runs the model's tokenizer")
        }
    }

    /// The lengths of the records of the dataset at `path`; `name` is its name in messages and files.
    func measure(_ path: String, name: String) async throws -> Measured {
        let files = EvaluateChild.Files(
            input: "/dev/null", output: "\(context.attemptFolder)/lengths-\(name).out", log: "\(context.attemptFolder)/lengths-\(name).log")
        let lengthsPath = "\(context.outputFolder)/.lengths-\(name).jsonl"
        defer { unlink(lengthsPath) }
        let echo = LogEcho(path: files.log)
        let timer = LoopTimer(after: Self.echoInterval, every: Self.echoInterval) { echo.pass() }
        defer { timer.cancel() }
        let ending = try await EvaluateChild.run(
            arguments(data: path, output: lengthsPath), environment: context.trainerEnvironment, files: files, timeout: nil)
        timer.cancel()
        echo.pass()
        guard ending == .exit(0) else { throw failure(ending, dataset: path, log: files.log) }
        return try Self.read(lengthsPath)
    }

    private func arguments(data: String, output: String) -> [String] {
        let python = context.variable("ANNEAL_PYTHON") ?? ""
        var arguments = [python, "-m", "anneal_trainer.lengths", "--data", data, "--model", packing.model, "--output", output]
        arguments += ["--kind", packing.method.rawValue]
        if let template = packing.chatTemplate { arguments += ["--chat-template", template] }
        if packing.onlyFinalTurn { arguments.append("--only-final-turn") }
        return arguments
    }

    private static func read(_ path: String) throws -> Measured {
        var reader = LengthsReader()
        try JSONLineReader(path: path).read { try reader.read(line: $0.bytes) }
        return Measured(lengths: try reader.finish(), provenance: reader.provenance, lines: reader.datasetLines)
    }

    /// What the process said of its failure: `error: …`, followed by one line for each bad record.
    private func failure(_ ending: EvaluateChild.Ending, dataset: String, log: String) -> WorkerFailure {
        let name = dataset.split(separator: "/").last.map(String.init) ?? dataset
        let what = "\(name) cannot be measured by the tokenizer of \(packing.model)"
        var message: String?
        var issues: [DatasetIssue] = []
        // A log that cannot be read leaves only the way that the process ended.
        try? JSONLineReader(path: log).read { line in
            let text = String(decoding: line.bytes, as: UTF8.self)
            if text.hasPrefix("error: ") {
                message = String(text.dropFirst("error: ".count))
            } else if message != nil, let issue = DatasetIssue(told: text) {
                issues.append(issue)
            }
        }
        guard let message, case .exit(let code) = ending else {
            return WorkerFailure(
                exitCode: WorkerFailure.ExitCode.failed, reason: .importError,
                message: "\(what): the program ended (\(ending)); the last lines of \(log):\n\(EvaluateChild.tail(of: log))")
        }
        switch code {
        case WorkerFailure.ExitCode.badData: return .badData("\(what): \(message)", issues: issues)
        case WorkerFailure.ExitCode.badRequest: return .badRequest(packing.pointer.description, "\(what): \(message)")
        default: return WorkerFailure(exitCode: WorkerFailure.ExitCode.failed, reason: .crashed, message: "\(what): \(message)")
        }
    }
}

extension DatasetIssue {
    /// Reads `  line 3, /messages/0: …`, as the trainer's Python writes it; `nil` for other text.
    fileprivate init?(told text: String) {
        guard text.hasPrefix("  line "), let colon = text.firstIndex(of: ":") else { return nil }
        let place = text[..<colon].dropFirst("  line ".count).split(separator: ",", maxSplits: 1)
        guard let line = place.first.flatMap({ Int($0) }) else { return nil }
        let pointer = place.count > 1 ? String(place[1].drop { $0 == " " }) : ""
        self.init(line: line, pointer: pointer, detail: String(text[colon...].dropFirst(2)))
    }
}

/// Passes on to the worker's log what a child has added to its own.
@LoopActor
private final class LogEcho {
    private let path: String
    private var linesSeen = 0
    private var sizeSeen = -1

    init(path: String) { self.path = path }

    func pass() {
        // The log comes with the process's first words.
        guard let size = try? FileReader(path: path).size, size != sizeSeen else { return }
        sizeSeen = size
        var number = 0
        // What cannot be read now is read at the next pass that finds more.
        try? JSONLineReader(path: path).read { line in
            number += 1
            guard number > linesSeen, line.isTerminated else { return }
            linesSeen = number
            WorkerLog.line(String(decoding: line.bytes, as: UTF8.self))
        }
    }
}
