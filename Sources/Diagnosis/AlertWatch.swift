import Domain

/// Looks at an attempt's metrics for what a rule describes. Raises its alert once, and again only after the condition has ceased.
public struct AlertWatch: Sendable {
    public let rule: AlertRule
    private var stepsInARow = 0
    private var lastStep: Int?
    /// Whether the alert was raised and its condition has held since.
    public private(set) var isRaised = false
    /// The newest values of the two keys of a comparison, with their steps.
    private var newest: [String: (step: Int, value: Double)] = [:]

    public init(_ rule: AlertRule) { self.rule = rule }

    /// The keys that the rule looks at, and how many of their last points say where it stands.
    public var needs: (keys: [String], points: Int) {
        switch rule.condition {
        case .value(let left, _, .key(let right), let steps): ([left, right], steps)
        case .value(let key, _, .number, let steps), .notANumber(let key, let steps): ([key], steps)
        case .stalled, .gpuIdle: ([], 0)
        }
    }

    /// Takes it that the alert was raised already.
    public mutating func setRaised() { isRaised = true }

    /// Takes a point. Returns what is to be told where the rule has come true with it.
    public mutating func take(key: String, step: Int, value: Double) -> String? {
        switch rule.condition {
        case .value(let left, let sign, .number(let limit), let steps):
            guard key == left else { return nil }
            return count(sign.holds(value, limit), at: step, of: steps) { "\(left) is \(value)" }
        case .value(let left, let sign, .key(let right), let steps):
            guard key == left || key == right else { return nil }
            newest[key] = (step, value)
            guard let one = newest[left], let other = newest[right], one.step == other.step else { return nil }
            return count(sign.holds(one.value, other.value), at: step, of: steps) {
                "\(left) is \(one.value) and \(right) is \(other.value)"
            }
        case .notANumber(let left, let steps):
            guard key == left else { return nil }
            return count(!value.isFinite, at: step, of: steps) { "\(left) is \(value)" }
        case .stalled, .gpuIdle: return nil
        }
    }

    private mutating func count(_ holds: Bool, at step: Int, of steps: Int, _ text: () -> String) -> String? {
        guard holds else {
            (stepsInARow, isRaised, lastStep) = (0, false, step)
            return nil
        }
        if lastStep != step { stepsInARow += 1 }
        lastStep = step
        guard stepsInARow >= steps, !isRaised else { return nil }
        isRaised = true
        return text() + " at step \(step)" + (steps > 1 ? ", for \(steps) steps" : "")
    }

    /// Takes how long all GPUs of the attempt have done nothing; `nil` where one works.
    public mutating func take(idle: Duration?) -> String? {
        guard case .gpuIdle(let limit) = rule.condition else { return nil }
        guard let idle, idle > limit else {
            isRaised = false
            return nil
        }
        guard !isRaised else { return nil }
        isRaised = true
        return "its GPUs have done nothing for \(Int(idle.inSeconds)) s"
    }
}
