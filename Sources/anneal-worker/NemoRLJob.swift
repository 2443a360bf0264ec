import Datasets
import Domain
import EventLoop
import Glibc
import JSON
import Specification

/// A job of kind `train` with the engine `nemo-rl`: starts NeMo RL's own program and tells the daemon what it left.
struct NemoRLJob: Sendable {
    let context: WorkerContext
    private let program: NemoRLProgram
    private let checkpointFolder: String
    /// What NeMo RL's training prints when it ends at `checkpoint_must_save_by`, before its last step.
    private static let earlyEnd = "Timeout has been reached, stopping training early"

    init(context: WorkerContext, interruption: Interruption) throws {
        self.context = context
        program = NemoRLProgram(context: context, interruption: interruption)
        guard let folder = context.variable("ANNEAL_CHECKPOINT_DIR") else { throw WorkerFailure.badRequest("", "no ANNEAL_CHECKPOINT_DIR") }
        checkpointFolder = folder
    }

    /// Runs it to its end and returns the content of outputs.json.
    func run() async throws -> JSONObject {
        let run = try makeRun()
        let file = context.attemptFolder + "/nemo-rl.yaml"
        try Self.write(run.configText, to: file)
        let arguments = run.arguments(config: file)
        WorkerLog.line("in \(run.root): \(arguments.joined(separator: " "))")
        if let last = NemoRLCheckpoints(folder: checkpointFolder).last { WorkerLog.line("NeMo RL goes on from step \(last.step)") }
        try await program.run(arguments, in: run.root, stopped: stopped)
        guard run.algorithm.trains else { return try evaluated() }
        let checkpoints = NemoRLCheckpoints(folder: checkpointFolder)
        guard let last = checkpoints.last else {
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.failed, reason: .crashed, message: "NeMo RL ended well without a checkpoint")
        }
        if try endedEarly() {
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.interrupted, reason: .interrupted,
                message: "saved step \(last.step) before the time limit; a new attempt goes on from there")
        }
        let ranking = run.ranking
        let best = checkpoints.best(by: ranking.metric, higherIsBetter: ranking.higherIsBetter) ?? last
        var outputs: JSONObject = ["checkpoint.best": best.output, "checkpoint.last": last.output]
        switch context.job["spec"]?["export"]?.string ?? "best" {
        case "best": outputs["model"] = try await export(best, run)
        case "last": outputs["model"] = try await export(last, run)
        default: break
        }
        return ["outputs": .object(outputs), "summary": ["steps": .int(Int64(last.step)), "best_step": .int(Int64(best.step))]]
    }

    private func makeRun() throws -> NemoRLRun {
        let spec = context.job["spec"]?.object ?? [:]
        let gpus = context.job["gpus"]?.array?.count ?? 0
        let limit = [spec["timeout"].flatMap(Quantity.duration), timeUntilSave].compactMap(\.self).min()
        let facts = NemoRLFacts(
            gpus: gpus, microBatchDivisor: context.job["micro_batch_divisor"]?.int ?? 1, checkpointDirectory: checkpointFolder,
            logDirectory: (context.variable("ANNEAL_LOG_DIR") ?? context.attemptFolder) + "/nemo-rl", outputDirectory: context.outputFolder,
            saveBy: limit.flatMap { NemoRLRun.saveBy(limit: $0, margin: spec["save_margin"].flatMap(Quantity.duration)) },
            datasetKeys: firstKeys(of: spec["dataset"]?.string))
        guard let run = NemoRLRun(spec: spec, facts: facts, read: Self.read) else {
            throw WorkerFailure.badRequest("/method", "'method' and 'root' must be given")
        }
        guard run.problems.isEmpty else {
            let issues = run.problems.map { DatasetIssue(line: 0, pointer: $0.pointer.description, detail: $0.detail) }
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.badRequest, reason: .badConfig, message: "NeMo RL would refuse its configuration",
                issues: issues)
        }
        return run
    }

    /// On a cluster: until the allocation is as good as over.
    private var timeUntilSave: Duration? {
        context.variable("ANNEAL_SAVE_BY").flatMap { Double($0) }.map { .seconds(max(1, $0 - Double(SystemTime.now()) / 1000)) }
    }

    /// The keys of a dataset's first record; none where it cannot be read, which NeMo RL will tell of.
    private func firstKeys(of path: String?) -> Set<String> {
        guard let path, let line = Self.read(path)?.split(separator: 0x0A, maxSplits: 1).first else { return [] }
        // A record of another form is NeMo RL's to refuse.
        return Set((try? JSONParser.parse(Array(line)))?.object.map { Array($0.keys) } ?? [])
    }

    @Sendable private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: SpecLimits.documentBytesMax + 1)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        return bytes
    }

    private static func write(_ text: String, to path: String) throws {
        let writer = try DatasetWriter(path: path)
        try writer.append(line: Array(text.utf8))
        _ = try writer.finish()
    }

    // MARK: The program

    /// NeMo RL saves nothing when it is stopped.
    private func stopped() -> WorkerFailure {
        guard let last = NemoRLCheckpoints(folder: checkpointFolder).last else {
            return WorkerFailure(
                exitCode: 128 + SIGTERM, reason: .killed, message: "stopped before the first checkpoint; a new attempt starts over")
        }
        var failure = WorkerFailure.interrupted
        failure.message = "stopped; NeMo RL saves nothing then, and a new attempt goes on from step \(last.step)"
        return failure
    }

    /// True where the program says that it ended at the time limit and not at its last step.
    private func endedEarly() throws -> Bool {
        try Self.tail(of: context.attemptFolder + "/stdout.log").contains(Self.earlyEnd)
    }

    /// The last part of a log.
    private static func tail(of path: String) throws -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw FileError(call: "open", path: path, code: errno) }
        defer { close(file) }
        let size = lseek(file, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: min(Int(size), tailBytes))
        let count = pread(file, &bytes, bytes.count, size - off_t(bytes.count))
        guard count >= 0 else { throw FileError(call: "read", path: path, code: errno) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    private static let tailBytes = 1 << 20

    // MARK: What it left

    /// A checkpoint as a model in Hugging Face's format.
    private func export(_ checkpoint: NemoRLCheckpoints.Checkpoint, _ run: NemoRLRun) async throws -> JSONValue {
        let folder = try await program.export(checkpoint, by: run.export, stopped: stopped)
        return ["type": "checkpoint", "path": .string(folder), "metrics": checkpoint.output["metrics"] ?? [:]]
    }

    /// The answers of an evaluation, and its score as a metric.
    private func evaluated() throws -> JSONObject {
        let path = context.outputFolder + "/eval/evaluation_data.json"
        guard access(path, F_OK) == 0 else {
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.failed, reason: .crashed, message: "NeMo RL's evaluation left no \(path)")
        }
        var summary: JSONObject = [:]
        // The last block of the log: `score=0.1000 (3.0/30)`.
        let log = try Self.tail(of: context.attemptFolder + "/stdout.log")
        if let score = log.matches(of: /score=([0-9.]+)/).last.flatMap({ Double($0.1) }) {
            summary["score"] = .double(score)
            try context.metrics.append(step: 0, [(key: "eval/score", value: score)])
        }
        return ["outputs": ["evaluation_data": ["type": "file", "path": .string(path)]], "summary": .object(summary)]
    }
}
