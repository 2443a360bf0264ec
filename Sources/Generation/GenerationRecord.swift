import JSON

/// The record that a generation becomes: all fields of the input and what the model gave.
public struct GenerationRecord: Sendable {
    /// `nil` leaves the text as it is.
    public var reasoning: ReasoningSplit?

    private static let ownKeys: Set<String> = [
        "generation", "num_generated_tokens", "generation_start_time", "generation_end_time", "generation_time", "finish_reason",
        "_full_generation", "_generation_finished_thinking", "reasoning_content", "tool_calls", "_async_position",
    ]

    public init(reasoning: ReasoningSplit? = nil) { self.reasoning = reasoning }

    /// The record's bytes. Fields of the input keep their order and their text; those that the generation sets are replaced.
    public func bytes(input: [UInt8], answer: GeneratedAnswer, startedAt: Int64, endedAt: Int64) throws(JSONError) -> [UInt8] {
        var output = try Self.start(of: input)
        let writer = JSONWriter(layout: .python)
        for (key, value) in members(answer, startedAt: startedAt, endedAt: endedAt) {
            if output.count > 1 { output.append(contentsOf: ", ".utf8) }
            JSONWriter.appendQuoted(key, to: &output)
            output.append(contentsOf: ": ".utf8)
            writer.append(value, to: &output)
        }
        output.append(UInt8(ascii: "}"))
        return output
    }

    /// The input's object without its last brace, and without the fields that are set anew.
    private static func start(of input: [UInt8]) throws(JSONError) -> [UInt8] {
        var bytes = input
        // Numbers keep their digits only where the text is taken over as it is, so it is parsed only where it must be.
        let members = try JSONParser.parse(bytes).object ?? [:]
        if members.keys.contains(where: ownKeys.contains) {
            bytes = JSONWriter(layout: .python).bytes(of: .object(members.filter { !ownKeys.contains($0.key) }))
        }
        while let last = bytes.last, last != UInt8(ascii: "}") { bytes.removeLast() }
        bytes.removeLast()
        while let last = bytes.last, [0x20, 0x09].contains(last) { bytes.removeLast() }
        return Array(bytes.drop { $0 != UInt8(ascii: "{") })
    }

    private func members(_ answer: GeneratedAnswer, startedAt: Int64, endedAt: Int64) -> [(String, JSONValue)] {
        var text = answer.text
        var isFinished: Bool?
        if let reasoning {
            // Where the server itself parted the reasoning from the answer, the text holds no tag.
            let parts = answer.reasoning == nil ? reasoning.split(text) : (answer: text, finishedThinking: !text.isEmpty)
            isFinished = parts.finishedThinking
            text = parts.answer
        }
        var members: [(String, JSONValue)] = [
            ("generation", .string(text)),
            ("num_generated_tokens", answer.completionTokens.map { .int(Int64($0)) } ?? .null),
            ("generation_start_time", .double(Double(startedAt) / 1000)),
            ("generation_end_time", .double(Double(endedAt) / 1000)),
            ("generation_time", .double(Double(endedAt - startedAt) / 1000)),
        ]
        if !answer.finishReason.isEmpty { members.append(("finish_reason", .string(answer.finishReason))) }
        if let isFinished {
            members.append(("_full_generation", .string(answer.text)))
            members.append(("_generation_finished_thinking", .bool(isFinished)))
        }
        if let reasoning = answer.reasoning { members.append(("reasoning_content", .string(reasoning))) }
        if let calls = answer.toolCalls { members.append(("tool_calls", calls)) }
        return members
    }
}
