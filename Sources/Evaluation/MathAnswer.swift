import Glibc

/// Whether two mathematical answers are the same, as far as text and plain numbers tell.
///
/// The rules are those of NeMo-Skills (`evaluation/math_grader.py`). What is decided here is decided as the whole of its procedure would
/// decide it; whatever needs symbolic mathematics is left to the math-verify library.
public enum MathAnswer {
    /// Decimals that are closer than this may be equal to math-verify, which rounds to six places.
    private static let roundingReach = 2e-6
    /// Numbers below this have their sixth decimal place exactly enough in a Double.
    private static let exactMagnitude = 1e9

    /// The answer within an expected solution: in its last box, else behind its last `#### `, else all of it.
    public static func truth(in expected: String) -> String {
        AnswerExtraction.boxed.answer(in: expected) ?? AnswerExtraction.hashes.answer(in: expected) ?? AnswerText.trimmed(expected)
    }

    /// True or false where that is certain; `nil` where only symbolic mathematics can tell.
    public static func isEqual(_ answer: String, to expected: String, modulo: Int? = nil) -> Bool? {
        let (left, right) = (AnswerText.trimmed(expected), AnswerText.trimmed(answer))
        if let modulo { return isCongruent(right, to: left, modulo: modulo) }
        if isChoice(left) {
            if left.utf8.elementsEqual(right.utf8) { return true }
            return isChoice(right) ? false : nil
        }
        let (first, second) = (withoutDecoration(left), withoutDecoration(right))
        if first.utf8.elementsEqual(second.utf8) { return true }
        guard let one = number(first), let other = number(second) else { return nil }
        if one.utf8.elementsEqual(other.utf8) { return true }
        if !one.utf8.contains(UInt8(ascii: ".")), !other.utf8.contains(UInt8(ascii: ".")) { return false }
        guard let (a, b) = pair(Double(one), Double(other)), max(abs(a), abs(b)) < exactMagnitude, abs(a - b) > roundingReach else {
            return nil
        }
        return false
    }

    /// The remainder of a whole number, from 0 to `modulo` − 1; `nil` for other text.
    static func remainder(of text: String, modulo: Int) -> Int? {
        var digits = Substring(text)
        let isNegative = digits.first == "-"
        if isNegative || digits.first == "+" { digits.removeFirst() }
        guard modulo > 0, !digits.isEmpty, digits.utf8.allSatisfy(AnswerText.isDigit) else { return nil }
        // Digit by digit, so that no number is too long.
        let rest = digits.utf8.reduce(0) { ($0 * 10 + Int($1 - UInt8(ascii: "0"))) % modulo }
        return isNegative && rest > 0 ? modulo - rest : rest
    }

    private static func isCongruent(_ answer: String, to expected: String, modulo: Int) -> Bool {
        guard let truth = remainder(of: expected, modulo: modulo), let found = remainder(of: answer, modulo: modulo) else { return false }
        return truth == found
    }

    private static func isChoice(_ text: String) -> Bool {
        guard text.utf8.count == 1, let byte = text.utf8.first else { return false }
        return (UInt8(ascii: "A")...UInt8(ascii: "J")).contains(byte)
    }

    /// The text without the percent sign of a plain number, and without full stops and back-slashes at its end.
    static func withoutDecoration(_ text: String) -> String {
        var bytes = Array(text.utf8)
        if bytes.last == UInt8(ascii: "%") {
            var number = bytes.dropLast()
            if number.last == UInt8(ascii: "\\") { number.removeLast() }
            let parts = number.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
            if let whole = parts.first, !whole.isEmpty, parts.allSatisfy({ $0.allSatisfy(AnswerText.isDigit) }) { bytes = Array(number) }
        }
        while let last = bytes.last, last == UInt8(ascii: ".") || last == UInt8(ascii: "\\") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A plain number in one form; `nil` also for numbers such as `0,123`, whose comma may part two numbers.
    private static func number(_ text: String) -> String? {
        if text.utf8.contains(UInt8(ascii: ",")), let digit = text.utf8.first(where: AnswerText.isDigit), digit == UInt8(ascii: "0") {
            return nil
        }
        return AnswerText.canonicalNumber(text)
    }

    private static func pair(_ left: Double?, _ right: Double?) -> (Double, Double)? {
        guard let left, let right else { return nil }
        return (left, right)
    }
}
