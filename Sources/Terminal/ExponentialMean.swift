/// A mean that forgets: each value weighs `memory` times as much as the one after it.
///
/// The weights are divided by their sum, so that the mean is not drawn towards zero at its beginning.
public struct ExponentialMean: Sendable {
    private let memory: Double
    private var sum = 0.0
    private var weight = 0.0

    /// - Parameter memory: From 0, which keeps nothing, to 1, which makes it the mean of all values.
    public init(memory: Double) { self.memory = min(1, max(0, memory)) }

    /// Takes the next value and returns the mean; a value that is not finite is returned as it is and counts for nothing.
    public mutating func add(_ value: Double) -> Double {
        guard value.isFinite else { return value }
        sum = sum * memory + value
        weight = weight * memory + 1
        return sum / weight
    }
}
