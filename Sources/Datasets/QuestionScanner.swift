import Glibc
import JSON

/// Finds the parts of an ordinary JCommonsenseQA record without building values.
///
/// It takes only records that every reader understands alike: one line, no escapes in the texts that are needed, each key once,
/// an answer from 0 to 4. Whatever else it meets it leaves to the JSON parser.
struct QuestionScanner {
    /// The places of the texts, without their quotes, and the answer.
    struct Question {
        var question: Range<Int> = 0..<0
        var choices: (Range<Int>, Range<Int>, Range<Int>, Range<Int>, Range<Int>) = (0..<0, 0..<0, 0..<0, 0..<0, 0..<0)
        var answer: UInt8 = 0
        /// Behind the record.
        var end = 0
    }

    /// Containers within containers that are passed over.
    private static let depthMax = 32

    private let bytes: UnsafeBufferPointer<UInt8>
    private var offset: Int

    /// The question that starts at `offset`; `nil` where the parser must look at it.
    static func scan(_ bytes: UnsafeBufferPointer<UInt8>, at offset: Int) -> Question? {
        var scanner = QuestionScanner(bytes: bytes, offset: offset)
        return scanner.record()
    }

    private init(bytes: UnsafeBufferPointer<UInt8>, offset: Int) { (self.bytes, self.offset) = (bytes, offset) }

    private mutating func record() -> Question? {
        var found: Question?
        guard take(UInt8(ascii: "{")) else { return nil }
        while true {
            guard let key = plainString(), take(UInt8(ascii: ":")) else { return nil }
            if equals(key, "jcqa_data") {
                guard found == nil, let question = question() else { return nil }
                found = question
            } else {
                guard skipValue(depth: 0) else { return nil }
            }
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "}")), var found else { return nil }
            found.end = offset
            return found
        }
    }

    /// Reads the members of `jcqa_data`; each that is needed must stand exactly once.
    private mutating func question() -> Question? {
        guard take(UInt8(ascii: "{")) else { return nil }
        var question = Question()
        var seen: UInt8 = 0
        while true {
            guard let key = plainString(), take(UInt8(ascii: ":")), let bit = member(key, of: &question) else { return nil }
            guard seen & bit == 0 else { return nil }
            seen |= bit
            if take(UInt8(ascii: ",")) { continue }
            return take(UInt8(ascii: "}")) && seen == 0x7F ? question : nil
        }
    }

    /// Reads one member's value; its bit among those seen, 0 for a member that is not needed.
    private mutating func member(_ key: Range<Int>, of question: inout Question) -> UInt8? {
        if equals(key, "question") {
            guard let text = plainString() else { return nil }
            question.question = text
            return 1 << 5
        }
        if equals(key, "answer_index") {
            skipBlanks()
            guard offset + 1 < bytes.count, case let digit = bytes[offset] &- UInt8(ascii: "0"), digit <= 4 else { return nil }
            switch bytes[offset + 1] {
            case UInt8(ascii: ","), UInt8(ascii: "}"), 0x20: break
            default: return nil
            }
            offset += 1
            question.answer = digit
            return 1 << 6
        }
        guard key.count == 7, bytes[key.lowerBound] == UInt8(ascii: "c"), let slot = choiceSlot(key) else {
            return skipValue(depth: 1) ? 0 : nil
        }
        guard let text = plainString() else { return nil }
        switch slot {
        case 0: question.choices.0 = text
        case 1: question.choices.1 = text
        case 2: question.choices.2 = text
        case 3: question.choices.3 = text
        default: question.choices.4 = text
        }
        return 1 << slot
    }

    private func choiceSlot(_ key: Range<Int>) -> UInt8? {
        let digit = bytes[key.upperBound - 1] &- UInt8(ascii: "0")
        return digit <= 4 && equals(key.lowerBound..<(key.upperBound - 1), "choice") ? digit : nil
    }

    private func equals(_ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount, let base = bytes.baseAddress else { return false }
        return memcmp(base + range.lowerBound, text.utf8Start, range.count) == 0
    }

    private mutating func skipBlanks() {
        while offset < bytes.count, bytes[offset] == 0x20 || bytes[offset] == 0x09 { offset += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    /// A string without escapes, and the place of its content.
    private mutating func plainString() -> Range<Int>? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        let start = offset
        offset = PlainText.end(in: bytes, from: offset)
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte == UInt8(ascii: "\"") {
                offset += 1
                return start..<(offset - 1)
            }
            if byte < 0x20 || byte == UInt8(ascii: "\\") { return nil }
            offset += 1
        }
        return nil
    }

    private mutating func skipValue(depth: Int) -> Bool {
        skipBlanks()
        guard offset < bytes.count, depth <= Self.depthMax else { return false }
        switch bytes[offset] {
        case UInt8(ascii: "\""): return skipString()
        case UInt8(ascii: "{"): return skipContainer(closing: UInt8(ascii: "}"), hasKeys: true, depth: depth)
        case UInt8(ascii: "["): return skipContainer(closing: UInt8(ascii: "]"), hasKeys: false, depth: depth)
        case UInt8(ascii: "t"): return skipWord("true")
        case UInt8(ascii: "f"): return skipWord("false")
        case UInt8(ascii: "n"): return skipWord("null")
        case UInt8(ascii: "1")...UInt8(ascii: "9"): return skipInteger()
        default: return false
        }
    }

    private mutating func skipContainer(closing: UInt8, hasKeys: Bool, depth: Int) -> Bool {
        offset += 1
        if take(closing) { return true }
        while true {
            if hasKeys { guard plainString() != nil, take(UInt8(ascii: ":")) else { return false } }
            guard skipValue(depth: depth + 1) else { return false }
            if take(UInt8(ascii: ",")) { continue }
            return take(closing)
        }
    }

    /// Passes over a string; of escapes only the short ones are taken here.
    private mutating func skipString() -> Bool {
        offset += 1
        while offset < bytes.count {
            offset = PlainText.end(in: bytes, from: offset)
            guard offset < bytes.count else { return false }
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                offset += 1
                return true
            case UInt8(ascii: "\\"):
                guard offset + 1 < bytes.count else { return false }
                switch bytes[offset + 1] {
                case UInt8(ascii: "n"), UInt8(ascii: "t"), UInt8(ascii: "r"), UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
                    offset += 2
                default: return false
                }
            case 0..<0x20: return false
            default: offset += 1
            }
        }
        return false
    }

    private mutating func skipWord(_ word: StaticString) -> Bool {
        guard offset + word.utf8CodeUnitCount < bytes.count, equals(offset..<(offset + word.utf8CodeUnitCount), word) else { return false }
        offset += word.utf8CodeUnitCount
        return true
    }

    private mutating func skipInteger() -> Bool {
        while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) { offset += 1 }
        guard offset < bytes.count else { return false }
        switch bytes[offset] {
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), 0x20: return true
        default: return false
        }
    }
}
