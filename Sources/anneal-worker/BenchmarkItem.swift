import Datasets
import Evaluation
import JSON

/// One question of a benchmark.
struct BenchmarkItem: Sendable {
    var messages: [JSONValue]
    var expected: String

    /// Reads the items of a benchmark's dataset; broken records refuse the whole file.
    static func load(_ benchmark: EvaluateRequest.Benchmark) throws -> [BenchmarkItem] {
        var items: [BenchmarkItem] = []
        var log = DatasetIssueLog()
        try JSONLineReader(path: benchmark.dataset.path).read { line in
            guard items.count < benchmark.limit ?? .max, !line.isBlank else { return }
            if line.isTooLong { return log.add(DatasetIssue(line: line.number, detail: "the line is too long")) }
            do throws(JSONError) {
                let record = try JSONParser.parse(line.bytes)
                switch read(record, system: benchmark.system) {
                case .success(let item): items.append(item)
                case .failure(let problem): log.add(DatasetIssue(line: line.number, pointer: problem.pointer, detail: problem.detail))
                }
            } catch {
                log.add(DatasetIssue(line: line.number, detail: "not one JSON object: \(error)"))
            }
        }
        if let first = log.first.first {
            let others = log.count > 1 ? " (and \(log.count - 1) more)" : ""
            throw WorkerFailure.badData("benchmark '\(benchmark.name)': \(first)\(others)", issues: log.first)
        }
        guard !items.isEmpty else { throw WorkerFailure.badData("benchmark '\(benchmark.name)': \(benchmark.dataset.path) holds no items") }
        return items
    }

    struct Problem: Error {
        var pointer: String
        var detail: String
    }

    /// The question and the expected answer of a record.
    static func read(_ record: JSONValue, system: String?) -> Result<BenchmarkItem, Problem> {
        guard let members = record.object else { return .failure(Problem(pointer: "", detail: "the record must be an object")) }
        var messages: [JSONValue]
        var answer: String?
        if let value = members["messages"] {
            guard let conversation = value.array else { return .failure(Problem(pointer: "/messages", detail: "must be an array")) }
            let turn = conversation.lastIndex { $0["role"] == "assistant" }
            messages = Array(conversation[..<(turn ?? conversation.count)])
            answer = turn.flatMap { conversation[$0]["content"]?.string }
            if messages.isEmpty {
                return .failure(Problem(pointer: "/messages", detail: "no message stands before the assistant's last one"))
            }
        } else {
            guard let prompt = ["prompt", "input", "question"].lazy.compactMap({ members[$0] }).first else {
                return .failure(Problem(pointer: "", detail: "the record has none of messages, prompt, input, question"))
            }
            if let conversation = prompt.array, !conversation.isEmpty {
                messages = conversation
            } else if prompt.string != nil {
                messages = [["role": "user", "content": prompt]]
            } else {
                return .failure(Problem(pointer: "", detail: "the question must be a string"))
            }
        }
        if let system, messages.first?["role"] != "system" { messages.insert(["role": "system", "content": .string(system)], at: 0) }
        guard let expected = answer ?? expectedAnswer(members) else {
            return .failure(Problem(pointer: "", detail: "the record has no expected answer"))
        }
        let text = AnswerText.afterReasoning(expected) ?? ""
        guard !text.isEmpty else { return .failure(Problem(pointer: "", detail: "the expected answer is empty")) }
        return .success(BenchmarkItem(messages: messages, expected: text))
    }

    /// The answer of a record whose messages do not hold it; numbers stand for their text.
    private static func expectedAnswer(_ members: JSONObject) -> String? {
        let candidates = [members["extra_env_info"]?["ground_truth"], members["expected_answer"], members["output"], members["answer"]]
        for case let value? in candidates where !value.isNull {
            return value.string ?? (value.double == nil ? nil : value.text(layout: .python))
        }
        return nil
    }
}
