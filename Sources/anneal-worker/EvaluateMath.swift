import CPosix
import Datasets
import EventLoop
import JSON

/// Compares mathematical answers by the math-verify library, in a process of the trainer's Python.
@LoopActor
struct EvaluateMath {
    /// Two answers to compare.
    struct Pair: Hashable, Sendable {
        var expected: String
        var answer: String
    }

    /// What became of a pair.
    struct Result: Sendable {
        var isCorrect: Bool
        /// Why it could not be judged, which counts as wrong.
        var error: String?
    }

    /// Times that the process is started again after it died without a single reply.
    private static let fruitlessStartsMax = 3

    let context: WorkerContext

    /// Fails where the library cannot be used, so that no model works for hours before that is seen.
    func checkLibrary() async throws {
        let ending = try await run([], number: 0).ending
        guard ending == .exit(0) else { throw failure("math-verify cannot be used") }
    }

    /// Judges all pairs; equal pairs are judged once.
    func judge(_ pairs: [Pair]) async throws -> [Pair: Result] {
        var open = Array(Set(pairs)).sorted { ($0.expected, $0.answer) < ($1.expected, $1.answer) }
        var results: [Pair: Result] = [:]
        var fruitless = 0
        for number in 1... where !open.isEmpty {
            let (ending, replies) = try await run(open, number: number)
            for (index, result) in replies where open.indices.contains(index) { results[open[index]] = result }
            let count = open.count
            open.removeAll { results[$0] != nil }
            if open.isEmpty { break }
            WorkerLog.line("math-verify ended (\(ending)) with \(open.count) of \(count) answers to go; it is started again")
            fruitless = open.count == count ? fruitless + 1 : 0
            guard fruitless < Self.fruitlessStartsMax else { throw failure("math-verify ends without a reply") }
        }
        return results
    }

    private var logPath: String { context.attemptFolder + "/math-verify.log" }

    private func run(
        _ pairs: [Pair], number: Int
    ) async throws -> (ending: EvaluateChild.Ending, replies: [(index: Int, result: Result)]) {
        guard let python = context.variable("ANNEAL_PYTHON") else {
            throw WorkerFailure.badRequest("", "the environment has no ANNEAL_PYTHON, with which the 'math' grader runs math-verify")
        }
        let files = EvaluateChild.Files(
            input: "\(context.attemptFolder)/math-verify-\(number).jsonl",
            output: "\(context.attemptFolder)/math-verify-\(number)-out.jsonl",
            log: logPath)
        let writer = try DatasetWriter(path: files.input)
        for (index, pair) in pairs.enumerated() {
            let line: JSONValue = ["id": .int(Int64(index)), "expected": .string(pair.expected), "answer": .string(pair.answer)]
            try writer.append(line: JSONWriter().bytes(of: line))
        }
        _ = try writer.finish()
        let workers = max(1, Int(cposix_cpu_count()))
        let ending = try await EvaluateChild.run(
            [python, "-m", "anneal_trainer.grade", "--workers", String(workers)], environment: context.trainerEnvironment, files: files,
            timeout: nil)
        return (ending, try Self.replies(files.output))
    }

    private static func replies(_ path: String) throws -> [(index: Int, result: Result)] {
        var replies: [(index: Int, result: Result)] = []
        try JSONLineReader(path: path).read { line in
            // The last line of a process that died may be cut off; its pair is judged again.
            guard let reply = try? JSONParser.parse(line.bytes), let index = reply["id"]?.int else { return }
            replies.append((index, Result(isCorrect: reply["correct"]?.bool ?? false, error: reply["error"]?.string)))
        }
        return replies
    }

    private func failure(_ what: String) -> WorkerFailure {
        let tail = EvaluateChild.tail(of: logPath)
        return WorkerFailure(
            exitCode: WorkerFailure.ExitCode.failed, reason: .importError,
            message: "\(what); the last lines of \(logPath):\n\(tail)")
    }
}
