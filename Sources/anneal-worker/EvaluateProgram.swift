import Datasets
import EventLoop
import Glibc
import JSON

/// Lets a program grade answers, some at once.
///
/// The program reads one JSON object from its standard input: `benchmark`, `item`, `sample`, `messages`, `record`, `response`, `answer`
/// and `expected`. It may write `{"score": 0.5, "answer": "…"}`; without that, exit code 0 means right and 1 wrong.
@LoopActor
struct EvaluateProgram {
    /// What became of an answer.
    struct Result: Sendable {
        var score: Double
        var answer: String?
        /// Why it could not be judged, which counts as wrong.
        var error: String?
    }

    let context: WorkerContext
    let program: EvaluateGrading.Program
    /// Programs at once.
    let concurrency: Int

    /// Grades all, and hands each result over as soon as it is there; `question` makes what the program reads.
    func grade(
        _ count: Int, question: @escaping @LoopActor (Int) throws -> JSONValue, onResult: @escaping @LoopActor (Int, Result) -> Void
    ) async throws {
        guard EvaluateChild.path(of: program.arguments[0], environment: context.environment) != nil else {
            throw WorkerFailure.badRequest("", "there is no program '\(program.arguments[0])' to grade with")
        }
        let queue = Queue(count: count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<min(concurrency, count) {
                group.addTask { try await work(through: queue, lane: lane, question: question, onResult: onResult) }
            }
            try await group.waitForAll()
        }
    }

    @LoopActor
    private final class Queue {
        private var next = 0
        private let count: Int

        init(count: Int) { self.count = count }

        func take() -> Int? {
            guard next < count else { return nil }
            next += 1
            return next - 1
        }
    }

    /// One line of programs, each started when the one before it has ended; a lane has files of its own.
    private func work(
        through queue: Queue, lane: Int, question: @LoopActor (Int) throws -> JSONValue, onResult: @LoopActor (Int, Result) -> Void
    ) async throws {
        while let index = queue.take() { onResult(index, try await grade(try question(index), lane: lane)) }
    }

    private func grade(_ question: JSONValue, lane: Int) async throws -> Result {
        let base = "\(context.attemptFolder)/grade-\(lane)"
        let files = EvaluateChild.Files(input: base + ".json", output: base + ".out", log: context.attemptFolder + "/grade.log")
        let writer = try DatasetWriter(path: files.input)
        try writer.append(line: JSONWriter().bytes(of: question))
        _ = try writer.finish()
        let ending = try await EvaluateChild.run(
            program.arguments, environment: context.environmentWithoutCredentials, files: files, timeout: program.timeout)
        switch ending {
        case .timeout: return Result(score: 0, error: "timeout")
        case .signal(let signal): return Result(score: 0, error: "ended by signal \(signal)")
        case .exit(0): return Self.read(files.output)
        case .exit(1): return Result(score: 0)
        case .exit(let code): return Result(score: 0, error: "exit code \(code)")
        }
    }

    /// What a program that ended well wrote.
    private static func read(_ path: String) -> Result {
        // Whatever is no JSON object is output for people.
        guard let reply = try? WorkerContext.readDocument(path), reply.object != nil else { return Result(score: 1) }
        guard let score = reply["score"]?.double, (0...1).contains(score) else { return Result(score: 0, error: "no score from 0 to 1") }
        return Result(score: score, answer: reply["answer"]?.string)
    }
}
