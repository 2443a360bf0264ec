import JSON

/// Turns `input` and `output`, or a list of `conversations`, into messages; other members stay.
struct MessageConversion: RecordTransform {
    let system: String?

    /// The names that other tools give to the roles.
    private static let roles = [
        "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system", "tool": "tool",
    ]

    func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        guard let members = record.value.object else { throw record.failure("the record must be an object") }
        var messages: [JSONValue] = system.map { [["role": "system", "content": .string($0)]] } ?? []
        if let turns = members["conversations"]?.array {
            for (index, turn) in turns.enumerated() {
                guard let role = turn["from"]?.string.flatMap({ Self.roles[$0.lowercased()] }), let text = turn["value"]?.string else {
                    throw record.failure("a turn needs 'from' (human, gpt or system) and 'value'", at: "conversations.\(index)")
                }
                messages.append(["role": .string(role), "content": .string(text)])
            }
        } else {
            messages.append(["role": "user", "content": .string(try record.text("input"))])
            messages.append(["role": "assistant", "content": .string(try record.text("output"))])
        }
        var converted: JSONObject = ["messages": .array(messages)]
        for (key, value) in members where !["input", "output", "messages", "conversations"].contains(key) { converted[key] = value }
        try next(record.replacing(converted))
    }
}
