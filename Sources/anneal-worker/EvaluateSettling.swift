import Evaluation
import EventLoop
import Generation
import JSON

/// Grades what only math-verify, a program or another model can grade.
@LoopActor
struct EvaluateSettling {
    let context: WorkerContext
    let request: EvaluateRequest
    let ledger: AnswerLedger
    let servers: EvaluateServer

    /// Programs that grade at the same time.
    private nonisolated static let programsMax = 16

    /// Fails at once where a grader cannot work.
    func check() async throws {
        if request.benchmarks.contains(where: { $0.grading.rules.grader == .math && $0.grading.rules.modulo == nil }) {
            try await EvaluateMath(context: context).checkLibrary()
        }
        for program in request.benchmarks.compactMap(\.grading.program)
        where EvaluateChild.path(of: program.arguments[0], environment: context.environment) == nil {
            throw WorkerFailure.badRequest("", "there is no program '\(program.arguments[0])' to grade with")
        }
    }

    /// Grades all that `run` could not.
    func settle(_ run: EvaluationRun) async throws {
        for index in request.benchmarks.indices {
            let open = run.undecided.filter { $0.benchmark == index }
            guard !open.isEmpty else { continue }
            let benchmark = request.benchmarks[index]
            WorkerLog.line("benchmark \(benchmark.name): \(open.count) answers go to \(benchmark.grading.rules.grader.rawValue)")
            if let program = benchmark.grading.program {
                try await settle(open, of: run, by: program)
            } else if let judge = benchmark.grading.judge {
                try await settle(open, of: run, by: judge, startedAs: "judge-\(index + 1)")
            } else {
                try await settleMath(open, of: run)
            }
        }
    }

    private func settleMath(_ open: [EvaluationRun.Undecided], of run: EvaluationRun) async throws {
        let pairs = open.map { EvaluateMath.Pair(expected: $0.expected, answer: $0.answer) }
        let results = try await EvaluateMath(context: context).judge(pairs)
        for (place, pair) in zip(open, pairs) {
            let result = results[pair]
            run.settle(place, score: result?.isCorrect == true ? 1 : 0, details: Self.details(result?.error))
        }
    }

    private func settle(_ open: [EvaluationRun.Undecided], of run: EvaluationRun, by program: EvaluateGrading.Program) async throws {
        var errors = 0
        let grader = EvaluateProgram(context: context, program: program, concurrency: min(request.concurrency, Self.programsMax))
        try await grader.grade(
            open.count, question: { try run.question(of: open[$0]) },
            onResult: { index, result in
                if result.error != nil { errors += 1 }
                var place = open[index]
                place.answer = result.answer ?? place.answer
                run.settle(place, score: result.score, details: Self.details(result.error))
            })
        guard errors < open.count else {
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.failed, reason: .crashed,
                message: "'\(program.arguments[0])' graded none of \(open.count) answers; the last lines of its errors:\n"
                    + EvaluateChild.tail(of: context.attemptFolder + "/grade.log"))
        }
    }

    private func settle(
        _ open: [EvaluationRun.Undecided], of run: EvaluationRun, by judge: EvaluateGrading.Judge, startedAs log: String
    ) async throws {
        let questions = try open.map { try run.judgeQuestion(of: $0) }
        let model: String =
            switch judge.server {
            case .started(let command, _): command.requestName
            case .remote(_, let model, _): model ?? ""
            case .shared(let server): server.model
            }
        let grader = EvaluateJudge(
            judge: judge, model: model, ledger: ledger, requestTimeout: request.requestTimeout)
        let results = try await servers.withServer(of: judge.server, name: log) { try await grader.grade(questions, server: $0) }
        for (place, result) in zip(open, results) {
            var details = Self.details(result.error)
            if !result.judgements.isEmpty { details["judgements"] = .array(result.judgements.map { .string($0) }) }
            if let isConsistent = result.isConsistent { details["consistent"] = .bool(isConsistent) }
            run.settle(place, score: result.score, details: details)
        }
    }

    private static func details(_ error: String?) -> JSONObject { error.map { ["grading_error": .string($0)] } ?? [:] }
}
