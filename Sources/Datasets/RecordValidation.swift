import JSON

extension DatasetFormat {
    /// What is wrong with `record`, as pairs of a JSON pointer and a sentence; empty where nothing is.
    public func problems(in record: JSONValue) -> [(pointer: String, detail: String)] {
        guard let members = record.object else {
            return [("", "the record is \(Self.article(record)); it must be an object")]
        }
        var found = RecordProblems()
        switch self {
        case .messages: found.check(conversation: members["messages"], at: JSONPointer(["messages"]), endsWithAssistant: true)
        case .inputOutput:
            found.check(filledText: members["input"], at: JSONPointer(["input"]))
            found.check(filledText: members["output"], at: JSONPointer(["output"]))
        case .preference: found.check(preference: members)
        case .jcqa: found.check(question: members["jcqa_data"])
        case .prompt: found.check(prompt: members["prompt"])
        case .text: found.check(filledText: members["text"], at: JSONPointer(["text"]))
        case .conversations: found.check(visual: members)
        case .generations: found.check(text: members["generation"], at: JSONPointer(["generation"]))
        case .records: break
        }
        return found.list
    }

    static func article(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .int, .bigInteger, .array, .object: "an \(value.typeName)"
        default: "a \(value.typeName)"
        }
    }
}

/// The roles that chat templates know.
private let roles: Set<String> = ["system", "developer", "user", "assistant", "tool"]

/// Collects what is wrong with one record.
struct RecordProblems {
    var list: [(pointer: String, detail: String)] = []

    mutating func add(_ pointer: JSONPointer, _ detail: String) { list.append((pointer.description, detail)) }

    mutating func check(text value: JSONValue?, at pointer: JSONPointer) {
        guard let value else { return add(pointer, "is missing") }
        if value.string == nil { add(pointer, "is \(DatasetFormat.article(value)); it must be a string") }
    }

    /// A text that must say something.
    mutating func check(filledText value: JSONValue?, at pointer: JSONPointer) {
        check(text: value, at: pointer)
        if value?.string?.isEmpty == true { add(pointer, "is empty") }
    }

    mutating func check(prompt value: JSONValue?) {
        let pointer = JSONPointer(["prompt"])
        guard let messages = value?.array else { return check(filledText: value, at: pointer) }
        check(conversation: value, at: pointer, endsWithAssistant: false)
        if messages.last?["role"] == "assistant" {
            add(pointer / (messages.count - 1), "the last message is from 'assistant'; a prompt ends with what the model is to answer")
        }
    }

    mutating func check(number value: JSONValue?, at pointer: JSONPointer) {
        guard let value else { return }
        if value.double == nil { add(pointer, "is \(DatasetFormat.article(value)); it must be a number") }
    }

    mutating func check(conversation value: JSONValue?, at pointer: JSONPointer, endsWithAssistant: Bool) {
        guard let value else { return add(pointer, "is missing") }
        guard let messages = value.array else { return add(pointer, "is \(DatasetFormat.article(value)); it must be an array") }
        guard let last = messages.last else { return add(pointer, "is empty") }
        for (index, message) in messages.enumerated() { check(message: message, at: pointer / index) }
        if endsWithAssistant, let role = last["role"]?.string, roles.contains(role), role != "assistant" {
            add(pointer / (messages.count - 1), "the last message is from '\(role)'; it must be from the assistant")
        }
    }

    private mutating func check(message: JSONValue, at pointer: JSONPointer) {
        guard let members = message.object else {
            return add(pointer, "is \(DatasetFormat.article(message)); it must be an object with 'role' and 'content'")
        }
        switch members["role"] {
        case nil: add(pointer / "role", "is missing")
        case .string(let role)? where roles.contains(role): break
        case .string(let role)?: add(pointer / "role", "'\(role)' is none of \(roles.sorted().joined(separator: ", "))")
        case let other?: add(pointer / "role", "is \(DatasetFormat.article(other)); it must be a string")
        }
        // An assistant's turn that only calls tools has no text of its own.
        let callsTools = members["role"] == "assistant" && members["tool_calls"]?.array?.isEmpty == false
        if callsTools, members["content"] == nil || members["content"] == .null { return }
        // A system turn may be there to say nothing, which is another prompt than none; nobody asks or answers nothing.
        if members["role"] == "user" || members["role"] == "assistant" {
            check(filledText: members["content"], at: pointer / "content")
        } else {
            check(text: members["content"], at: pointer / "content")
        }
    }

    mutating func check(question value: JSONValue?) {
        let pointer = JSONPointer(["jcqa_data"])
        guard let value else { return add(pointer, "is missing") }
        guard let data = value.object else { return add(pointer, "is \(DatasetFormat.article(value)); it must be an object") }
        check(text: data["question"], at: pointer / "question")
        for key in JCommonsenseQA.choiceKeys { check(text: data[key], at: pointer / key) }
        switch data["answer_index"] {
        case nil: add(pointer / "answer_index", "is missing")
        case .int(let label)? where (0..<Int64(JCommonsenseQA.choiceKeys.count)).contains(label): break
        case .int(let label)?: add(pointer / "answer_index", "\(label) is not one of 0 to \(JCommonsenseQA.choiceKeys.count - 1)")
        case let other?: add(pointer / "answer_index", "is \(DatasetFormat.article(other)); it must be an integer")
        }
    }
}
