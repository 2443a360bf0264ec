/// How many tokens each record of a dataset has.
public enum PackingLengths: Sendable, Equatable {
    /// The tokens of a preferred and of a rejected answer, each with its prompt.
    public struct Pair: Sendable, Hashable {
        public var chosen: Int
        public var rejected: Int

        public init(chosen: Int, rejected: Int) {
            self.chosen = chosen
            self.rejected = rejected
        }
    }

    /// One sequence a record, as for SFT.
    case sequences([Int])
    /// Two sequences a record that must stay together, as for DPO: the loss compares them.
    case pairs([Pair])

    /// The number of records.
    public var count: Int {
        switch self {
        case .sequences(let lengths): lengths.count
        case .pairs(let pairs): pairs.count
        }
    }

    /// The longest sequence of `record`.
    func longest(_ record: Int) -> Int {
        switch self {
        case .sequences(let lengths): lengths[record]
        case .pairs(let pairs): max(pairs[record].chosen, pairs[record].rejected)
        }
    }

    /// The shortest sequence of `record`.
    func shortest(_ record: Int) -> Int {
        switch self {
        case .sequences(let lengths): lengths[record]
        case .pairs(let pairs): min(pairs[record].chosen, pairs[record].rejected)
        }
    }

    /// The tokens of `record`, without padding.
    func tokens(_ record: Int) -> Int {
        switch self {
        case .sequences(let lengths): lengths[record]
        case .pairs(let pairs): pairs[record].chosen + pairs[record].rejected
        }
    }

    /// The room that `record` takes when each of its sequences is filled up to a multiple of `multiple`.
    func room(_ record: Int, multiple: Int) -> Int {
        switch self {
        case .sequences(let lengths): lengths[record].roundedUp(to: multiple)
        case .pairs(let pairs): pairs[record].chosen.roundedUp(to: multiple) + pairs[record].rejected.roundedUp(to: multiple)
        }
    }
}

extension Int {
    /// The least multiple of `multiple` that is not below a number that is not negative.
    func roundedUp(to multiple: Int) -> Int {
        let remainder = self % multiple
        return remainder == 0 ? self : self + (multiple - remainder)
    }
}
