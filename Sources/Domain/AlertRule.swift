/// When a running job is worth an alert: `train/loss > 10 for 3`, `a < b for 50`, `train/loss is nan`, `stalled`, `gpu_idle > 20m`.
public struct AlertRule: Sendable, Hashable {
    /// What a value is compared with.
    public enum Operand: Sendable, Hashable {
        case number(Double)
        /// The value of another key at the same step.
        case key(String)
    }

    public enum Sign: String, Sendable, CaseIterable {
        case less = "<"
        case atMost = "<="
        case greater = ">"
        case atLeast = ">="
        case equal = "=="
        case unequal = "!="

        /// Whether `left` stands so to `right`; NaN stands so to nothing.
        public func holds(_ left: Double, _ right: Double) -> Bool {
            switch self {
            case .less: left < right
            case .atMost: left <= right
            case .greater: left > right
            case .atLeast: left >= right
            case .equal: left == right
            case .unequal: left != right
            }
        }
    }

    public enum Condition: Sendable, Hashable {
        /// Holds at so many steps in a row.
        case value(key: String, Sign, Operand, steps: Int)
        case notANumber(key: String, steps: Int)
        /// The attempt makes no progress.
        case stalled
        /// None of the attempt's GPUs has done anything for so long.
        case gpuIdle(Duration)
    }

    /// What follows beside the alert itself.
    public enum Action: String, Sendable, CaseIterable {
        case notify
        /// The attempt is stopped and the job fails.
        case stop
    }

    /// As the spec has it.
    public var text: String
    public var condition: Condition
    public var action: Action
    /// `info`, `warn` or `error`.
    public var level: String

    /// Steps in a row that a rule may ask for.
    public static let stepsMax = 1_000_000

    /// Reads a rule; `nil` where it says nothing that can be looked at.
    public init?(_ text: String, action: Action = .notify, level: String = "warn") {
        guard let condition = Self.condition(text.split(separator: " ").map(String.init)) else { return nil }
        self.text = text
        self.condition = condition
        self.action = action
        self.level = level
    }

    private static func condition(_ words: [String]) -> Condition? {
        if words == ["stalled"] { return .stalled }
        if words.count == 3, words[0] == "gpu_idle", words[1] == ">" { return duration(words[2]).map(Condition.gpuIdle) }
        var (words, steps) = (words, 1)
        if words.count >= 2, words[words.count - 2] == "for" {
            guard let count = Int(words[words.count - 1]), (1...stepsMax).contains(count) else { return nil }
            steps = count
            words.removeLast(2)
        }
        guard words.count == 3, isKey(words[0]) else { return nil }
        if words[1] == "is", words[2] == "nan" { return .notANumber(key: words[0], steps: steps) }
        guard let sign = Sign(rawValue: words[1]) else { return nil }
        if let number = Double(words[2]) {
            return number.isFinite ? .value(key: words[0], sign, .number(number), steps: steps) : nil
        }
        return isKey(words[2]) ? .value(key: words[0], sign, .key(words[2]), steps: steps) : nil
    }

    private static func isKey(_ word: String) -> Bool {
        guard let first = word.unicodeScalars.first, word.utf8.count <= 250 else { return false }
        return first.properties.isAlphabetic || first == "_"
    }

    /// `90s`, `20m`, `2h`.
    private static func duration(_ word: String) -> Duration? {
        guard let number = Int(word.dropLast()), number > 0, number <= 1_000_000 else { return nil }
        switch word.last {
        case "s": return .seconds(number)
        case "m": return .seconds(number * 60)
        case "h": return .seconds(number * 3600)
        default: return nil
        }
    }
}
