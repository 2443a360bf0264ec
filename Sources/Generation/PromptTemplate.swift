import Datasets
import JSON

/// A text with Python's format placeholders, `{field}`, that a record fills; literal braces are doubled.
public struct PromptTemplate: Sendable {
    /// Why a template cannot be read, or not be filled from a record.
    public struct Problem: Error, Sendable, CustomStringConvertible {
        public var description: String
    }

    private enum Part: Sendable {
        case literal(String)
        case field(String)
    }

    private let parts: [Part]

    public init(_ text: String) throws(Problem) {
        var parts: [Part] = []
        var literal = ""
        var rest = text[...]
        while let character = rest.first {
            rest.removeFirst()
            if character == "{" || character == "}", rest.first == character {
                rest.removeFirst()
                literal.append(character)
            } else if character == "{" {
                guard let end = rest.firstIndex(of: "}") else { throw Problem(description: "a '{' is not closed; write '{{' for a brace") }
                let name = String(rest[..<end])
                guard Self.isName(name) else {
                    throw Problem(description: "'{\(name)}' is no placeholder: it must name a field of the records")
                }
                rest = rest[rest.index(after: end)...]
                parts += [.literal(literal), .field(name)]
                literal = ""
            } else if character == "}" {
                throw Problem(description: "a '}' stands alone; write '}}' for a brace")
            } else {
                literal.append(character)
            }
        }
        self.parts = parts + [.literal(literal)]
    }

    /// Fields that the template asks for.
    public var fields: [String] {
        parts.compactMap { part in if case .field(let name) = part { name } else { nil } }
    }

    /// The text with the record's values in it; `others` go before them.
    public func filled(from record: JSONObject, others: [String: String] = [:]) throws(Problem) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .literal(let literal): text += literal
            case .field(let name):
                if let other = others[name] {
                    text += other
                    continue
                }
                guard let value = record[name] else { throw Problem(description: "the record has no field '\(name)'") }
                text += Self.text(of: value)
            }
        }
        return text
    }

    /// The value as Python's `format` writes it; lists and mappings as JSON.
    private static func text(of value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .bool(let flag): flag ? "True" : "False"
        case .null: "None"
        default: value.text(layout: .python)
        }
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.first, first.isLetter || first == "_" else { return false }
        return text.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" }
    }
}

/// From a record to what the model is asked with.
public struct PromptRule: Sendable {
    /// The user's turn; `nil` takes the record's own question.
    public var user: PromptTemplate?
    public var system: PromptTemplate?
    /// Worked examples, written out, for the place `{examples}` of the user's turn; `nil` where the records' own field stands there.
    public var examples: String?
    public var api: GenerationSettings.API

    public init(user: PromptTemplate? = nil, system: PromptTemplate? = nil, api: GenerationSettings.API) {
        (self.user, self.system, self.api) = (user, system, api)
    }

    /// The prompt names that need no template of the spec's.
    public static let named = PromptRendering.named.filter { $0.key == "generic/math" }

    private static let questionKeys = ["prompt", "input", "question", "problem"]

    /// The prompt of a record.
    public func prompt(for record: JSONObject) throws(PromptTemplate.Problem) -> GenerationPrompt {
        if let user {
            let others = examples.map { ["examples": $0] } ?? [:]
            return try prompt(user: user.filled(from: record, others: others), record)
        }
        if let value = record["messages"] {
            guard let conversation = value.array else { throw PromptTemplate.Problem(description: "'messages' must be a list") }
            // The answer of a training record is not shown to the model that is to find one.
            let end = conversation.last?["role"] == "assistant" ? conversation.count - 1 : conversation.count
            return try messages(Array(conversation[..<end]), record)
        }
        guard let value = Self.questionKeys.lazy.compactMap({ record[$0] }).first else {
            throw PromptTemplate.Problem(
                description: "the record has none of messages, \(Self.questionKeys.joined(separator: ", ")); give 'prompt.user'")
        }
        if let conversation = value.array { return try messages(conversation, record) }
        guard let text = value.string else { throw PromptTemplate.Problem(description: "the record's question must be a string") }
        return try prompt(user: text, record)
    }

    private func messages(_ conversation: [JSONValue], _ record: JSONObject) throws(PromptTemplate.Problem) -> GenerationPrompt {
        guard api == .chat else {
            throw PromptTemplate.Problem(description: "the completions API takes a text and the record holds messages; give 'prompt.user'")
        }
        guard !conversation.isEmpty else { throw PromptTemplate.Problem(description: "the conversation is empty") }
        var messages = conversation
        if let system, messages.first?["role"] != "system" {
            messages.insert(["role": "system", "content": .string(try system.filled(from: record))], at: 0)
        }
        return .messages(messages)
    }

    private func prompt(user: String, _ record: JSONObject) throws(PromptTemplate.Problem) -> GenerationPrompt {
        let system = try system?.filled(from: record)
        if api == .completions { return .text((system ?? "") + user) }
        let turn: JSONValue = ["role": "user", "content": .string(user)]
        return .messages((system.map { [["role": "system", "content": .string($0)]] } ?? []) + [turn])
    }
}
