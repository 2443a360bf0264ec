import JSON

/// Puts `detailed thinking on` or `detailed thinking off` into the system turn, as the answer thinks or does not.
public struct ReasoningToggle: Sendable, Equatable {
    public var onText = "detailed thinking on"
    public var offText = "detailed thinking off"
    public var openingTag = "<think>"
    public var closingTag = "</think>"
    /// Whether the empty thinking block of an answer without thinking is removed.
    public var stripsEmpty = true
    /// The share of thinking records that get a twin without the thinking, in mode off.
    public var offShare = 0.0
    /// Whether only prompts stay that have an answer of each kind, one pair each.
    public var onlyPairs = false
    public var seed = 42

    public init() {}

    enum Kind { case on, off, unclosed }

    /// The kind of an answer, and where its thinking ends.
    func kind(of answer: String) -> (kind: Kind, rest: String) {
        if let close = answer.firstBytes(closingTag, from: answer.startIndex) {
            var thinking = answer[..<close.lowerBound]
            // The chat template may have opened the thinking.
            if let open = answer.firstBytes(openingTag, from: answer.startIndex), open.upperBound <= close.lowerBound {
                thinking = answer[open.upperBound..<close.lowerBound]
            }
            let rest = String(answer[close.upperBound...].drop(while: \.isWhitespace))
            return (thinking.allSatisfy(\.isWhitespace) ? .off : .on, rest)
        }
        return (answer.containsBytes(openingTag) ? .unclosed : .off, answer)
    }
}

/// Toggles one record after the other; records with `input` and `output` become messages.
struct ReasoningToggling: RecordTransform {
    private let toggle: ReasoningToggle
    private var random: MersenneTwister
    /// Prompts of which one kind of answer was seen; only where pairs are asked for.
    private var waiting: [TextDigest: (on: PreparedRecord?, off: PreparedRecord?)] = [:]
    private var paired: Set<TextDigest> = []
    private var digester = TextDigester()

    init(_ toggle: ReasoningToggle) {
        self.toggle = toggle
        random = MersenneTwister(seed: toggle.seed, stream: RandomStream.toggle)
    }

    mutating func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        var messages = try conversation(of: record)
        guard let last = messages.lastIndex(where: { $0["role"] == "assistant" }), let answer = messages[last]["content"]?.string else {
            throw record.failure("the record has no answer of an assistant", at: "messages")
        }
        let (kind, rest) = toggle.kind(of: answer)
        if kind == .unclosed { return report.drop("unclosed_thinking") }
        if let stated = stated(messages), stated != kind { return report.drop("contradicts_system") }
        report.note(kind == .on ? "on" : "off")
        if kind == .off, toggle.stripsEmpty, rest != answer { messages[last] = messages[last].setting("content", to: .string(rest)) }
        let made = finished(record, messages, kind)
        guard toggle.onlyPairs else {
            try next(made)
            // The draw is made for every thinking record, so that a larger share keeps the twins of a smaller one.
            if kind == .on, toggle.offShare > 0, Double(random.bits(53)) / 0x1p53 < toggle.offShare, !rest.isEmpty {
                var twin = messages
                twin[last] = messages[last].setting("content", to: .string(rest))
                report.note("twins")
                try next(finished(record, twin, .off))
            }
            return
        }
        try pair(made, kind, prompt: messages[..<last].filter { $0["role"] != "system" }, report: report, next)
    }

    private mutating func pair(
        _ record: PreparedRecord, _ kind: ReasoningToggle.Kind, prompt: [JSONValue], report: StepReport,
        _ next: (PreparedRecord) throws -> Void
    ) throws {
        let key = digester.digest(prompt.map { $0.text(sortsKeys: true) })
        guard !paired.contains(key) else { return report.drop("further_answer") }
        var entry = waiting[key] ?? (nil, nil)
        if (kind == .on ? entry.on : entry.off) != nil { return report.drop("further_answer") }
        if kind == .on { entry.on = record } else { entry.off = record }
        guard let on = entry.on, let off = entry.off else { return waiting[key] = entry }
        waiting[key] = nil
        paired.insert(key)
        try next(on)
        try next(off)
    }

    func finish(report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        if !waiting.isEmpty { report.drop("unpaired", waiting.count) }
    }

    private func conversation(of record: PreparedRecord) throws(DatasetError) -> [JSONValue] {
        if let messages = record.value["messages"]?.array { return messages }
        guard record.value["input"] != nil, record.value["output"] != nil else {
            throw record.failure("the record has neither 'messages' nor 'input' and 'output'")
        }
        return [
            ["role": "user", "content": .string(try record.text("input"))],
            ["role": "assistant", "content": .string(try record.text("output"))],
        ]
    }

    /// The kind that a system turn asks for already.
    private func stated(_ messages: [JSONValue]) -> ReasoningToggle.Kind? {
        guard let system = messages.first, system["role"] == "system", let text = system["content"]?.string else { return nil }
        if text.containsBytes(toggle.onText) { return .on }
        return text.containsBytes(toggle.offText) ? .off : nil
    }

    private func finished(_ record: PreparedRecord, _ messages: [JSONValue], _ kind: ReasoningToggle.Kind) -> PreparedRecord {
        var messages = messages
        let text = kind == .on ? toggle.onText : toggle.offText
        if let system = messages.first, system["role"] == "system", let old = system["content"]?.string {
            var kept = old
            for stale in [toggle.onText, toggle.offText] {
                if let range = kept.firstBytes(stale, from: kept.startIndex) { kept.removeSubrange(range) }
            }
            kept = String(kept.drop(while: \.isWhitespace))
            messages[0] = system.setting("content", to: .string(kept.isEmpty ? text : text + "\n\n" + kept))
        } else {
            messages.insert(["role": "system", "content": .string(text)], at: 0)
        }
        var members: JSONObject = ["messages": .array(messages)]
        for (key, value) in record.value.object ?? [:] where !["messages", "input", "output"].contains(key) { members[key] = value }
        return record.replacing(members)
    }
}

extension JSONValue {
    /// The same object with one member changed.
    func setting(_ key: String, to value: JSONValue) -> JSONValue {
        guard case .object(var members) = self else { return self }
        members[key] = value
        return .object(members)
    }
}
