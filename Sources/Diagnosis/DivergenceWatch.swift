/// Looks for a loss that is no finite number any more.
public struct DivergenceWatch: Sendable {
    /// What a loss means.
    public enum Verdict: Sendable, Equatable {
        case sound
        /// Told once.
        case diverged
    }

    private let stepsMax: Int
    private var firstBad: Int?
    private var lastStep: Int?
    private var count = 0

    /// - Parameter stepsMax: steps in a row without a finite loss that are one too many.
    public init(stepsMax: Int) { self.stepsMax = max(1, stepsMax) }

    /// Takes the loss of a step; several values of one step count once, and a finite one redeems the step.
    public mutating func take(step: Int, loss: Double) -> Verdict {
        guard !loss.isFinite else {
            firstBad = nil
            count = 0
            lastStep = step
            return .sound
        }
        // A finite value of the same step has redeemed it, or it has been counted.
        guard step != lastStep else { return .sound }
        lastStep = step
        firstBad = firstBad ?? step
        count += 1
        return count == stepsMax ? .diverged : .sound
    }

    /// The first step of the present row without a finite loss; `nil` where the loss is sound.
    public var firstBadStep: Int? { firstBad }

    /// In words.
    public var evidence: String { "no finite loss for \(count) steps, from step \(firstBad ?? 0) on" }
}
