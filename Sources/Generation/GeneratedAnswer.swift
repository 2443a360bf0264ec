import JSON

/// One generation of a model.
public struct GeneratedAnswer: Sendable, Equatable {
    public var text = ""
    /// The reasoning, where the server parts it from the answer.
    public var reasoning: String?
    /// Calls of tools as the server gave them; `nil` where there are none.
    public var toolCalls: JSONValue?
    /// `stop`, `length` and others; empty where the server did not tell.
    public var finishReason = ""
    public var promptTokens: Int?
    public var completionTokens: Int?

    public init() {}

    /// Reads the body of an answer that came in one piece; `nil` where it is none.
    init?(body: JSONValue) {
        guard let choice = body["choices"]?[0] else { return nil }
        if let message = choice["message"]?.object {
            text = message["content"]?.string ?? ""
            reasoning = message["reasoning_content"]?.string ?? message["reasoning"]?.string
            if let calls = message["tool_calls"], calls.array?.isEmpty == false { toolCalls = calls }
        } else if let text = choice["text"]?.string {
            self.text = text
        } else {
            return nil
        }
        finishReason = choice["finish_reason"]?.string ?? ""
        read(usage: body["usage"])
    }

    fileprivate mutating func read(usage: JSONValue?) {
        promptTokens = usage?["prompt_tokens"]?.int ?? promptTokens
        completionTokens = usage?["completion_tokens"]?.int ?? completionTokens
    }
}

/// Puts the pieces of a streamed answer (server-sent events) together as they come.
struct StreamAssembly {
    private(set) var answer = GeneratedAnswer()
    /// Why the stream cannot be read; whatever came after is not looked at.
    private(set) var problem: String?
    /// Whether more came than an answer may have.
    var isTooLong: Bool { received > GenerationLimits.answerBytesMax }
    private var received = 0
    /// Whether `[DONE]` came.
    private(set) var isDone = false
    /// Pieces with text in them, which is near the number of tokens before the server tells it.
    private(set) var pieces = 0
    private var line: [UInt8] = []
    private var calls: [Int: JSONObject] = [:]

    /// Whether the answer came to its end.
    var isComplete: Bool { problem == nil && (isDone || !answer.finishReason.isEmpty) }

    mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        received += bytes.count
        guard !isTooLong else { return }
        for part in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            if part.offset > 0 { endLine() }
            guard problem == nil, !isDone else { return }
            line.append(contentsOf: part.element)
            if line.count > GenerationLimits.streamLineBytesMax {
                problem = "the stream has a line of more than \(GenerationLimits.streamLineBytesMax) bytes"
            }
        }
    }

    /// Called at the end of the body, whose last line may lack its end.
    mutating func finish() {
        endLine()
        guard !calls.isEmpty else { return }
        answer.toolCalls = .array(calls.sorted { $0.key < $1.key }.map { .object($0.value) })
    }

    private mutating func endLine() {
        defer { line.removeAll(keepingCapacity: true) }
        if line.last == 0x0D { line.removeLast() }
        let name = Array("data:".utf8)
        // Blank lines part events; comments, names and ids say nothing about the answer.
        guard problem == nil, !isDone, !line.isEmpty, line[0] != UInt8(ascii: ":") else { return }
        guard line.starts(with: name) else {
            let known = ["event:", "id:", "retry:"]
            if !known.contains(where: { line.starts(with: Array($0.utf8)) }) { problem = "no event of a stream: \(excerpt(line))" }
            return
        }
        let data = line[name.count...].drop { $0 == 0x20 }
        if data.elementsEqual("[DONE]".utf8) { return isDone = true }
        guard String(validating: data, as: UTF8.self) != nil else {
            return problem = "an event of the stream is no UTF-8: \(excerpt(Array(data)))"
        }
        do throws(JSONError) {
            take(try JSONParser.parse(data, options: .python))
        } catch {
            problem = "an event of the stream is no JSON (\(error)): \(excerpt(Array(data)))"
        }
    }

    private mutating func take(_ event: JSONValue) {
        if let error = event["error"], !error.isNull {
            return problem = "the stream tells an error: \(excerpt(Array((error["message"]?.string ?? error.text()).utf8)))"
        }
        answer.read(usage: event["usage"])
        guard let choice = event["choices"]?[0] else { return }
        let delta = choice["delta"]
        if let text = delta?["content"]?.string ?? choice["text"]?.string, !text.isEmpty {
            answer.text += text
            pieces += 1
        }
        if let text = delta?["reasoning_content"]?.string ?? delta?["reasoning"]?.string, !text.isEmpty {
            answer.reasoning = (answer.reasoning ?? "") + text
            pieces += 1
        }
        for call in delta?["tool_calls"]?.array ?? [] { merge(call) }
        if let reason = choice["finish_reason"]?.string { answer.finishReason = reason }
    }

    /// The pieces of a call's arguments follow each other; its other members come once.
    private mutating func merge(_ piece: JSONValue) {
        guard var members = piece.object else { return }
        let index = members.removeValue(forKey: "index")?.int ?? 0
        var call = calls[index] ?? [:]
        var function = call["function"]?.object ?? [:]
        for (key, value) in members.removeValue(forKey: "function")?.object ?? [:] {
            if key == "arguments", let more = value.string, let there = function[key]?.string {
                function[key] = .string(there + more)
            } else if !value.isNull {
                function[key] = value
            }
        }
        for (key, value) in members where !value.isNull { call[key] = value }
        call["function"] = .object(function)
        calls[index] = call
    }
}

/// The start of a text on one line.
func excerpt(_ bytes: [UInt8]) -> String {
    let line = String(decoding: bytes.prefix(2048), as: UTF8.self).split(whereSeparator: \.isNewline).joined(separator: " ")
    return line.count > 300 ? line.prefix(300) + "…" : line
}
