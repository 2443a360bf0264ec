import JSON

/// A text with places for a record's fields, written as Python's `str.format` has them: `{problem}`, `{meta.source}`, `{tags[0]}`;
/// `{{` and `}}` stand for braces.
public struct RecordTemplate: Sendable, Equatable {
    private enum Part: Sendable, Equatable {
        case text(String)
        case field(String)
    }

    private let parts: [Part]

    /// Why a text is no template.
    public struct SyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
        /// Characters before the fault.
        public var offset: Int
        public var message: String
        public var description: String { "character \(offset + 1): \(message)" }
    }

    public init(_ text: String) throws(SyntaxError) {
        var parts: [Part] = []
        var literal = ""
        let characters = Array(text)
        var index = 0
        while index < characters.count {
            let character = characters[index]
            guard character == "{" || character == "}" else {
                literal.append(character)
                index += 1
                continue
            }
            if index + 1 < characters.count, characters[index + 1] == character {
                literal.append(character)
                index += 2
                continue
            }
            guard character == "{" else {
                throw SyntaxError(offset: index, message: "a single '}'; write '}}' for a brace")
            }
            guard let end = characters[index...].firstIndex(of: "}") else {
                throw SyntaxError(offset: index, message: "'{' has no '}'; write '{{' for a brace")
            }
            if !literal.isEmpty { parts.append(.text(literal)) }
            literal = ""
            parts.append(.field(try Self.path(String(characters[(index + 1)..<end]), offset: index)))
            index = end + 1
        }
        if !literal.isEmpty { parts.append(.text(literal)) }
        self.parts = parts
    }

    /// The path of a field; `a[b]` and `a.b` mean the same.
    private static func path(_ field: String, offset: Int) throws(SyntaxError) -> String {
        guard !field.isEmpty else { throw SyntaxError(offset: offset, message: "'{}' names no field; write '{{}}' for braces") }
        if let sign = field.first(where: { "{!:\n\"\\".contains($0) }) {
            let hint = "write '{{' and '}}' for braces"
            throw SyntaxError(offset: offset, message: "'{\(field.prefix(40))}' is no field name: it holds '\(sign)'; \(hint)")
        }
        return String(field.filter { $0 != "]" }.map { $0 == "[" ? "." : $0 })
    }

    /// The names of the fields, in order.
    public var fields: [String] { parts.compactMap { if case .field(let name) = $0 { name } else { nil } } }

    /// The text with the fields of `record`; `others` go before them.
    func filled(_ record: PreparedRecord, others: [String: String] = [:]) throws(DatasetError) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .text(let literal): text += literal
            case .field(let name):
                if let other = others[name] { text += other; continue }
                guard let member = record.member(name) else {
                    let known = record.value.object.map { Array($0.keys.prefix(20)).joined(separator: ", ") } ?? ""
                    throw record.failure("the template's field '\(name)' is missing; the record has \(known)", at: name)
                }
                guard let value = member.plainText else {
                    throw record.failure(
                        "the template's field '\(name)' is \(DatasetFormat.article(member)); it must be a text or a number", at: name)
                }
                text += value
            }
        }
        return text
    }
}

/// The marks around the turns of a conversation that is written as one text.
public struct TurnMarks: Sendable, Equatable {
    public var textBegin = ""
    public var systemBegin = ""
    public var systemEnd = ""
    public var userBegin = ""
    public var userEnd = ""
    public var assistantBegin = ""
    public var assistantEnd = ""

    public init() {}

    /// ChatML, as Qwen's instruction models have it.
    public static var qwenInstruct: TurnMarks {
        var marks = TurnMarks()
        (marks.systemBegin, marks.systemEnd) = ("<|im_start|>system\n", "<|im_end|>\n")
        (marks.userBegin, marks.userEnd) = ("<|im_start|>user\n", "<|im_end|>\n")
        (marks.assistantBegin, marks.assistantEnd) = ("<|im_start|>assistant\n", "<|im_end|>")
        return marks
    }

    /// Marks by name.
    public static let named: [String: TurnMarks] = ["qwen-instruct": .qwenInstruct, "none": TurnMarks()]
}

/// Writes records as prompts, with an answer or without.
public struct PromptRendering: Sendable, Equatable {
    public enum Target: String, Sendable, CaseIterable {
        /// Chat messages; the trainer's chat template puts in the marks.
        case messages
        /// One text for the prompt and one for the answer, with `marks`.
        case inputOutput = "input_output"
        /// A `prompt` of messages without an answer.
        case prompt
    }

    /// Worked examples that go before the question, at the place `{examples}` of the user's text.
    public struct Examples: Sendable, Equatable {
        public var prefix = ""
        public var template: RecordTemplate
        public var suffix = ""
        public var records: [JSONObject]
        public init(template: RecordTemplate, records: [JSONObject]) { (self.template, self.records) = (template, records) }
    }

    public var target = Target.messages
    public var user: RecordTemplate
    public var system: RecordTemplate?
    public var examples: Examples?
    public var marks: TurnMarks?
    public var outputKey = "generation"
    /// Members that are kept beside the prompt; `nil` for all.
    public var kept: [String]? = ["expected_answer"]
    /// Members that every record gets.
    public var metadata: JSONObject = [:]

    public init(user: RecordTemplate) { self.user = user }

    /// What `generate` asks under the name `generic/math`, so that models are trained on the question that they were asked.
    private static let math = """
        Solve the following math problem. Put the answer, and nothing but the answer, inside \\boxed{{}}.

        {problem}
        """

    /// Prompts by name.
    public static let named = [
        "math": math, "generic/math": math,
        "default": "{question}",
    ]

    /// The text of `examples`; the same for all records.
    func exampleText() throws(DatasetError) -> String {
        guard let examples, !examples.records.isEmpty else { return "" }
        var text = examples.prefix
        for (index, record) in examples.records.enumerated() {
            do throws(DatasetError) {
                text += try examples.template.filled(PreparedRecord(value: .object(record), line: index + 1))
            } catch {
                throw DatasetError(.badRequest, "few-shot example \(index + 1): \(error.issues.first?.detail ?? error.message)")
            }
        }
        return text + examples.suffix
    }
}

/// Renders one record after the other.
struct PromptRenderer: RecordTransform {
    private let rendering: PromptRendering
    private let others: [String: String]

    init(_ rendering: PromptRendering) throws(DatasetError) {
        self.rendering = rendering
        others = ["examples": try rendering.exampleText()]
    }

    func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        let user = try rendering.user.filled(record, others: others)
        let system = try rendering.system?.filled(record, others: others)
        var messages: [JSONValue] = system.map { [["role": "system", "content": .string($0)]] } ?? []
        messages.append(["role": "user", "content": .string(user)])
        var members = JSONObject()
        switch rendering.target {
        case .messages:
            messages.append(["role": "assistant", "content": .string(try record.text(rendering.outputKey))])
            members["messages"] = .array(messages)
        case .prompt: members["prompt"] = .array(messages)
        case .inputOutput:
            let marks = rendering.marks ?? TurnMarks()
            members["input"] = .string(
                marks.textBegin + marks.systemBegin + (system ?? "") + marks.systemEnd + marks.userBegin + user + marks.userEnd
                    + marks.assistantBegin)
            members["output"] = .string(try record.text(rendering.outputKey) + marks.assistantEnd)
        }
        try next(record.replacing(completed(members, record)))
    }

    private func completed(_ made: JSONObject, _ record: PreparedRecord) -> JSONObject {
        guard let source = record.value.object else { return made }
        var members = JSONObject()
        // The answer's text goes first, as in NeMo-Skills' files.
        if let answer = source["expected_answer"], rendering.kept?.contains("expected_answer") ?? true {
            members["expected_answer"] = answer.plainText.map(JSONValue.string) ?? answer
        }
        members.merge(made) { _, new in new }
        for (key, value) in source where members[key] == nil && key != rendering.outputKey {
            if rendering.kept?.contains(key) ?? true { members[key] = value }
        }
        members.merge(rendering.metadata) { _, new in new }
        return members
    }
}
