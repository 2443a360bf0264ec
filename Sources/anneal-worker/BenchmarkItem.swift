import Datasets
import Evaluation
import JSON

/// One question of a benchmark.
struct BenchmarkItem: Sendable {
    var messages: [JSONValue]
    var expected: String
    /// The task that the item belongs to; empty where it names none.
    var task = ""
    /// The whole record, for a program that grades; `nil` for other graders.
    var record: JSONValue?

    /// What the user asks, for a model that judges.
    var problem: String {
        messages.filter { $0["role"] != "system" }.map { $0["content"]?.string ?? $0["content"]?.text() ?? "" }.joined(separator: "\n\n")
    }

    /// Reads the items of a benchmark's dataset; broken records refuse the whole file.
    static func load(_ benchmark: EvaluateRequest.Benchmark) throws -> [BenchmarkItem] {
        if let generations = benchmark.generations { return generations.items }
        var items: [BenchmarkItem] = []
        var log = DatasetIssueLog()
        try JSONLineReader(path: benchmark.dataset.path).read { line in
            guard items.count < benchmark.limit ?? .max, !line.isBlank else { return }
            if line.isTooLong { return log.add(DatasetIssue(line: line.number, detail: "the line is too long")) }
            do throws(JSONError) {
                let record = try JSONParser.parse(line.bytes)
                switch read(record, benchmark) {
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
    static func read(_ record: JSONValue, _ benchmark: EvaluateRequest.Benchmark) -> Result<BenchmarkItem, Problem> {
        guard let members = record.object else { return .failure(Problem(pointer: "", detail: "the record must be an object")) }
        do throws(Problem) {
            var (messages, answer): ([JSONValue], String?)
            do throws(Problem) {
                (messages, answer) = try question(members, prompt: benchmark.prompt)
            } catch {
                // Of answers that are there already the question need not be known.
                guard benchmark.isAnswered else { throw error }
                (messages, answer) = ([], nil)
            }
            if let system = benchmark.system, messages.first?["role"] != "system" {
                messages.insert(["role": "system", "content": .string(system)], at: 0)
            }
            var text = ""
            if let expected = try named(benchmark.expectedField, in: members) ?? answer ?? expectedAnswer(members) {
                text = AnswerText.afterReasoning(expected) ?? ""
                guard !text.isEmpty || benchmark.grading.isFree else { throw Problem(pointer: "", detail: "the expected answer is empty") }
            } else if !benchmark.grading.isFree {
                throw Problem(pointer: "", detail: "the record has no expected answer")
            }
            if let obstacle = benchmark.grading.rules.obstacle(expected: text) { throw Problem(pointer: "", detail: obstacle) }
            let task = members[benchmark.taskField].flatMap(Self.text) ?? ""
            let keepsRecord = benchmark.grading.rules.grader == .command
            return .success(BenchmarkItem(messages: messages, expected: text, task: task, record: keepsRecord ? record : nil))
        } catch {
            return .failure(error)
        }
    }

    /// The messages to send, and the answer where a conversation holds it.
    private static func question(_ members: JSONObject, prompt: String?) throws(Problem) -> ([JSONValue], String?) {
        var messages: [JSONValue]?
        var answer: String?
        if let value = members["messages"] {
            guard let conversation = value.array else { throw Problem(pointer: "/messages", detail: "must be an array") }
            let turn = conversation.lastIndex { $0["role"] == "assistant" }
            messages = Array(conversation[..<(turn ?? conversation.count)])
            answer = turn.flatMap { conversation[$0]["content"]?.string }
        }
        if let prompt { return ([["role": "user", "content": .string(try filled(prompt, members))]], answer) }
        if let messages {
            if messages.isEmpty { throw Problem(pointer: "/messages", detail: "no message stands before the assistant's last one") }
            return (messages, answer)
        }
        guard let prompt = ["prompt", "input", "question", "problem"].lazy.compactMap({ members[$0] }).first else {
            throw Problem(pointer: "", detail: "the record has none of messages, prompt, input, question, problem")
        }
        if let conversation = prompt.array, !conversation.isEmpty { return (conversation, nil) }
        guard prompt.string != nil else { throw Problem(pointer: "", detail: "the question must be a string") }
        return ([["role": "user", "content": prompt]], nil)
    }

    /// A prompt with `{name}` replaced by that member of the record; `{{` and `}}` stand for single braces, and braces around anything
    /// but a name stay.
    static func filled(_ prompt: String, _ members: JSONObject) throws(Problem) -> String {
        var result = ""
        var rest = Substring(prompt)
        while let first = rest.first {
            if rest.hasPrefix("{{") || rest.hasPrefix("}}") {
                result.append(first)
                rest = rest.dropFirst(2)
                continue
            }
            let name = first == "{" ? rest.dropFirst().prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") } : ""
            guard !name.isEmpty, rest.dropFirst(name.count + 1).first == "}" else {
                result.append(first)
                rest = rest.dropFirst()
                continue
            }
            guard let value = members[String(name)].flatMap(text) else {
                throw Problem(pointer: "/\(name)", detail: "is missing, and the prompt needs it (for a plain brace write it twice)")
            }
            result += value
            rest = rest.dropFirst(name.count + 2)
        }
        return result
    }

    /// The member that the benchmark names as the answer.
    private static func named(_ field: String?, in members: JSONObject) throws(Problem) -> String? {
        guard let field else { return nil }
        guard let value = members[field].flatMap(text) else { throw Problem(pointer: "/\(field)", detail: "must hold the expected answer") }
        return value
    }

    /// The answer of a record whose messages do not hold it.
    private static func expectedAnswer(_ members: JSONObject) -> String? {
        let candidates = [members["extra_env_info"]?["ground_truth"], members["expected_answer"], members["output"], members["answer"]]
        return candidates.lazy.compactMap { $0.flatMap(text) }.first
    }

    /// A member as text; numbers stand for their text, and lists and maps for their JSON.
    private static func text(_ value: JSONValue) -> String? {
        if value.object != nil || value.array != nil { return value.text() }
        return value.string ?? (value.isNull ? nil : value.text(layout: .python))
    }
}
