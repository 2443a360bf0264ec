import Evaluation
import EventLoop
import Generation
import JSON

/// Lets another model grade answers.
@LoopActor
struct EvaluateJudge {
    /// An answer to judge.
    struct Question: Sendable {
        var benchmark: String
        var item: Int
        var sample: Int
        var problem: String
        var expected: String
        var answer: String
        var response: String
    }

    /// What became of an answer.
    struct Result: Sendable {
        var score: Double
        /// For pairs: whether both orders gave the same.
        var isConsistent: Bool?
        /// What the judge wrote, in the order in which it was asked.
        var judgements: [String] = []
        /// Why it could not be judged.
        var error: String?
    }

    /// One request to the judge.
    private struct Order {
        var question: Int
        var isSwapped: Bool
    }

    let judge: EvaluateGrading.Judge
    let model: String
    let ledger: AnswerLedger
    let requestTimeout: Duration

    /// Judges all questions; judgements that an earlier attempt got are taken over.
    func grade(_ questions: [Question], server: ModelServer) async throws -> [Result] {
        let orders = questions.indices.flatMap { index -> [Order] in
            if Self.known(questions[index], judge.mode) != nil { return [] }
            let straight = Order(question: index, isSwapped: false)
            return judge.mode == .single ? [straight] : [straight, Order(question: index, isSwapped: true)]
        }
        let pending = orders.filter { !ledger.contains(key(questions, $0)) }
        if !pending.isEmpty {
            WorkerLog.line("asking the judge \(model) \(pending.count) times; \(orders.count - pending.count) judgements are there")
        }
        let asking = EvaluationAsking(
            count: pending.count,
            body: { index in
                JSONWriter().bytes(of: request(questions[pending[index].question], isSwapped: pending[index].isSwapped).json)
            },
            name: { index in
                let question = questions[pending[index].question]
                return "judging \(question.benchmark) item \(question.item) sample \(question.sample)"
            },
            take: { index, answer in try ledger.append(answer, for: key(questions, pending[index])) })
        do {
            try await asking.ask(server, requestTimeout: requestTimeout, patience: judge.server.patience)
        } catch {
            try ledger.sync()
            throw error
        }
        try ledger.sync()
        return try questions.indices.map { try result(questions, $0) }
    }

    /// What needs no judge: an answer that is the expected one to the last character.
    private static func known(_ question: Question, _ mode: Judgement.Mode) -> Result? {
        guard mode == .single, question.answer.utf8.elementsEqual(question.expected.utf8) else { return nil }
        return Result(score: 1)
    }

    private func result(_ questions: [Question], _ index: Int) throws -> Result {
        if let known = Self.known(questions[index], judge.mode) { return known }
        let straight = try ledger.answer(for: key(questions, Order(question: index, isSwapped: false)))?.content ?? ""
        guard judge.mode == .pair else {
            let isRight = Judgement.isRight(straight)
            return Result(score: isRight == true ? 1 : 0, judgements: [straight], error: isRight == nil ? "no judgement" : nil)
        }
        let swapped = try ledger.answer(for: key(questions, Order(question: index, isSwapped: true)))?.content ?? ""
        guard let verdict = Judgement.score(straight: Judgement.preference(straight), swapped: Judgement.preference(swapped)) else {
            return Result(score: 0.5, isConsistent: false, judgements: [straight, swapped], error: "no judgement")
        }
        return Result(score: verdict.score, isConsistent: verdict.isConsistent, judgements: [straight, swapped])
    }

    private func request(_ question: Question, isSwapped: Bool) -> CompletionRequest {
        let values: [(name: String, value: String)] =
            switch judge.mode {
            case .single:
                [
                    (name: "problem", value: question.problem), (name: "expected_answer", value: question.expected),
                    (name: "predicted_answer", value: question.answer),
                ]
            case .pair:
                [
                    (name: "problem", value: question.problem),
                    (name: "response_1", value: isSwapped ? question.expected : question.response),
                    (name: "response_2", value: isSwapped ? question.response : question.expected),
                ]
            }
        return CompletionRequest(
            model: model, messages: [["role": "user", "content": .string(Judgement.fill(judge.prompt, values))]], settings: judge.settings,
            seed: judge.seed)
    }

    /// No benchmark's name has a slash, so a judgement is never taken for an answer.
    private func key(_ questions: [Question], _ order: Order) -> AnswerKey {
        let question = questions[order.question]
        return AnswerKey(
            benchmark: question.benchmark + (order.isSwapped ? "/judge-swapped" : "/judge"), item: question.item, sample: question.sample,
            request: request(question, isSwapped: order.isSwapped))
    }
}
