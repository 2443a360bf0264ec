/// Finds arithmetic in a text, such as `1 + 2 * 3 = 7`, checks it and writes it out step by step.
enum Arithmetic {
    /// The relative error that an equation may have.
    private static let tolerance = 1e-4
    /// Bytes of the longest expression that is looked at.
    private static let bytesMax = 1000

    private enum Token: Equatable {
        case number(Double)
        case sign(UInt8)
    }

    /// True where the first side of some equation differs from its last.
    static func holdsWrongEquation(_ text: String) -> Bool {
        equations(in: text).contains { equation in
            let sides = sides(of: equation, in: text)
            guard sides.count > 1, let first = sides.first.flatMap(value), let last = sides.last.flatMap(value) else { return false }
            return abs(first - last) > tolerance * max(abs(first), abs(last))
        }
    }

    /// The text with every right equation of two sides written out: `1 + 2 + 3 = 6` becomes `1 + 2 + 3 = 3 + 3 = 6`.
    static func expanded(_ text: String) -> String {
        var result = ""
        var start = text.startIndex
        for equation in equations(in: text) {
            result += text[start..<equation.lowerBound]
            start = equation.upperBound
            result += writtenOut(sides(of: equation, in: text)) ?? String(text[equation])
        }
        return result + text[start...]
    }

    private static func writtenOut(_ sides: [Substring]) -> String? {
        guard sides.count == 2, let tokens = tokens(sides[0]), let answer = value(sides[1]), let steps = steps(tokens), steps.count > 1,
            case .number(let result)? = steps.last?.first, abs(result - answer) < 1e-9 * max(1, abs(answer))
        else { return nil }
        let middle = steps.dropFirst().dropLast().map(written)
        return ([trimmed(sides[0])] + middle + [trimmed(sides[1])]).joined(separator: " = ")
    }

    private static func trimmed(_ side: Substring) -> String {
        String(side.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    private static func sides(of equation: Range<String.Index>, in text: String) -> [Substring] {
        text[equation].split(separator: "=", omittingEmptySubsequences: false)
    }

    /// The places of runs of digits and signs that hold an equals sign between two numbers.
    private static func equations(in text: String) -> [Range<String.Index>] {
        var found: [Range<String.Index>] = []
        let utf8 = text.utf8
        var index = utf8.startIndex
        while index < utf8.endIndex {
            guard starts(utf8[index]), index == utf8.startIndex || !isWord(utf8[utf8.index(before: index)]) else {
                index = utf8.index(after: index)
                continue
            }
            let run = utf8[index...].prefix { belongs($0) }
            var end = run.endIndex
            while end > index, !closes(utf8[utf8.index(before: end)]) { end = utf8.index(before: end) }
            let equation = index..<end
            let follows = run.endIndex == utf8.endIndex || end < run.endIndex || !isWord(utf8[run.endIndex])
            if follows, utf8[equation].contains(UInt8(ascii: "=")), utf8[equation].count <= bytesMax { found.append(equation) }
            index = run.endIndex
        }
        return found
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isWord(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x41...0x5A).contains(byte & 0xDF) || byte == UInt8(ascii: "_") || byte >= 0x80
    }
    private static func starts(_ byte: UInt8) -> Bool { isDigit(byte) || byte == UInt8(ascii: "(") || byte == UInt8(ascii: "-") }
    private static func closes(_ byte: UInt8) -> Bool { isDigit(byte) || byte == UInt8(ascii: ")") }
    private static func belongs(_ byte: UInt8) -> Bool { isDigit(byte) || " +-*/().=".utf8.contains(byte) }

    private static func value(_ side: Substring) -> Double? {
        guard let tokens = tokens(side), case .number(let value)? = steps(tokens)?.last?.first else { return nil }
        return value
    }

    private static func tokens(_ side: Substring) -> [Token]? {
        var tokens: [Token] = []
        var rest = side.utf8[...]
        while let byte = rest.first {
            if byte == UInt8(ascii: " ") { rest.removeFirst(); continue }
            if isDigit(byte) || byte == UInt8(ascii: ".") {
                let digits = rest.prefix { isDigit($0) || $0 == UInt8(ascii: ".") }
                guard let number = Double(Substring(digits)) else { return nil }
                tokens.append(.number(number))
                rest = rest[digits.endIndex...]
                continue
            }
            rest.removeFirst()
            tokens.append(.sign(byte))
        }
        return signed(tokens)
    }

    /// Joins a minus that starts an expression with the number behind it.
    private static func signed(_ tokens: [Token]) -> [Token]? {
        var result: [Token] = []
        var index = 0
        while index < tokens.count {
            let opens: Bool
            switch result.last {
            case nil: opens = true
            case .sign(let sign)?: opens = sign != UInt8(ascii: ")")
            case .number?: opens = false
            }
            if opens, tokens[index] == .sign(UInt8(ascii: "-")) {
                guard index + 1 < tokens.count, case .number(let number) = tokens[index + 1] else { return nil }
                result.append(.number(-number))
                index += 2
            } else {
                result.append(tokens[index])
                index += 1
            }
        }
        return result.isEmpty ? nil : result
    }

    /// The expression after each operation, the last one a single number; `nil` where it is no expression.
    private static func steps(_ tokens: [Token]) -> [[Token]]? {
        var steps = [tokens]
        var current = tokens
        while current.count > 1 {
            guard let next = reduced(current) else { return nil }
            current = next
            steps.append(current)
        }
        guard case .number? = current.first else { return nil }
        return steps
    }

    /// Carries out one operation: the first inner parenthesis before others, products before sums, from left to right.
    private static func reduced(_ tokens: [Token]) -> [Token]? {
        let close = tokens.firstIndex(of: .sign(UInt8(ascii: ")")))
        let open = close.flatMap { tokens[..<$0].lastIndex(of: .sign(UInt8(ascii: "("))) }
        guard (close == nil) == (open == nil) else { return nil }
        let inner = open.map { $0 + 1 } ?? 0
        let range = inner..<(close ?? tokens.count)
        if open != nil, range.count == 1, case .number = tokens[range.lowerBound] {
            return Array(tokens[..<(range.lowerBound - 1)] + [tokens[range.lowerBound]] + tokens[(range.upperBound + 1)...])
        }
        guard let place = operation(in: tokens, range), place > range.lowerBound, place + 1 < range.upperBound,
            case .number(let left) = tokens[place - 1], case .number(let right) = tokens[place + 1], case .sign(let sign) = tokens[place],
            let result = apply(sign, left, right)
        else { return nil }
        var next = tokens
        let isWhole = range.count == 3
        let replaced = isWhole && open != nil ? (range.lowerBound - 1)..<(range.upperBound + 1) : (place - 1)..<(place + 2)
        next.replaceSubrange(replaced, with: [.number(result)])
        return next
    }

    private static func operation(in tokens: [Token], _ range: Range<Int>) -> Int? {
        func first(_ signs: String) -> Int? {
            range.first { index in if case .sign(let sign) = tokens[index] { signs.utf8.contains(sign) } else { false } }
        }
        return first("*/") ?? first("+-")
    }

    private static func apply(_ sign: UInt8, _ left: Double, _ right: Double) -> Double? {
        switch sign {
        case UInt8(ascii: "+"): return left + right
        case UInt8(ascii: "-"): return left - right
        case UInt8(ascii: "*"): return left * right
        default: return right == 0 ? nil : left / right
        }
    }

    private static func written(_ tokens: [Token]) -> String {
        var text = ""
        for token in tokens {
            switch token {
            case .number(let number): text += Int(exactly: number).map(String.init) ?? number.description
            case .sign(UInt8(ascii: "(")): text += "("
            case .sign(UInt8(ascii: ")")): text += ")"
            case .sign(let sign): text += " " + String(Unicode.Scalar(sign)) + " "
            }
        }
        return text
    }
}
