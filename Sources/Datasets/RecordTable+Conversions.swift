import JSON

extension RecordTable {
    /// Turns JCommonsenseQA questions into messages; records without a question are left out, as in the original.
    mutating func convertQuestions() throws {
        guard format == .jcqa else { throw DatasetError(.badRequest, "jcqa_messages needs records of format 'jcqa'") }
        var kept: [Int] = []
        for index in 0..<count {
            guard let value = try record(at: index)["jcqa_data"] else { continue }
            guard let data = value.object, data["question"] != nil else {
                throw DatasetError(.badData, "line \(line(at: index)): 'jcqa_data' holds no question; the original program fails on it too")
            }
            replace(at: index, with: JCommonsenseQA.messages(from: data))
            kept.append(index)
        }
        keep(kept)
        format = .messages
    }

    /// Turns `input` and `output` into a user's and an assistant's message; other members stay.
    mutating func convertInputOutput(system: String?) throws {
        guard format == .inputOutput else {
            throw DatasetError(.badRequest, "to_messages needs records of format 'input_output', not '\(format.rawValue)'")
        }
        for index in 0..<count {
            guard case .object(let members) = try record(at: index) else { continue }
            var messages: [JSONValue] = system.map { [["role": "system", "content": .string($0)]] } ?? []
            messages.append(["role": "user", "content": members["input"] ?? ""])
            messages.append(["role": "assistant", "content": members["output"] ?? ""])
            var converted: JSONObject = ["messages": .array(messages)]
            for (key, value) in members where !["input", "output", "messages"].contains(key) { converted[key] = value }
            replace(at: index, with: .object(converted))
        }
        format = .messages
    }
}
