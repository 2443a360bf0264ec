import Glibc
import JSON

/// Two evaluations of the same items, item by item.
///
/// Pairing takes the difficulty of the items out of the comparison, so that it sees smaller differences than two separate means.
public struct PairedComparison: Sendable, Equatable {
    /// An item whose mean score changed.
    public struct Change: Sendable, Equatable {
        public var item: Int
        public var base: Double
        public var candidate: Double

        /// True where the item was right in most samples of the one and not of the other.
        public var isFlip: Bool { PairedComparison.isRight(base) != PairedComparison.isRight(candidate) }
    }

    /// Changed items that are listed, the largest changes first.
    public static let changesMax = 200

    public var items: Int
    public var baseMean: Double
    public var candidateMean: Double
    /// The mean of candidate minus base.
    public var difference: Double
    /// The standard error of `difference`; `nil` for fewer than two items.
    public var standardError: Double?
    /// The 95 % confidence interval of `difference`, from Student's t.
    public var interval: ClosedRange<Double>?
    /// The two-sided probability of such a difference if there were none: a paired t test. Where every item differs by the same
    /// amount the t test has no answer, and the sign test gives the value.
    public var probability: Double?
    /// Items whose score rose.
    public var up: Int
    /// Items whose score fell.
    public var down: Int
    /// Items that were wrong and are right.
    public var flippedUp: Int
    /// Items that were right and are wrong.
    public var flippedDown: Int
    /// The two-sided probability of such numbers of rises and falls if both were as likely: the sign test, for one sample of each item
    /// McNemar's exact test.
    public var signProbability: Double
    public var changes: [Change]

    /// `nil` where the lists differ in length or are empty.
    public init?(base: [Double], candidate: [Double]) {
        guard base.count == candidate.count, !base.isEmpty else { return nil }
        let count = Double(base.count)
        let differences = zip(candidate, base).map { $0 - $1 }
        items = base.count
        baseMean = base.reduce(0, +) / count
        candidateMean = candidate.reduce(0, +) / count
        let mean = differences.reduce(0, +) / count
        difference = mean
        up = differences.count { $0 > 0 }
        down = differences.count { $0 < 0 }
        flippedUp = zip(base, candidate).count { !Self.isRight($0) && Self.isRight($1) }
        flippedDown = zip(base, candidate).count { Self.isRight($0) && !Self.isRight($1) }
        signProbability = ExactTests.signTest(up: up, down: down)
        changes = differences.indices.filter { differences[$0] != 0 }
            .sorted { (abs(differences[$1]), $0) < (abs(differences[$0]), $1) }
            .prefix(Self.changesMax).map { Change(item: $0, base: base[$0], candidate: candidate[$0]) }
        guard base.count > 1 else { return }
        let error = (Sums.deviation(differences) ?? 0) / count.squareRoot()
        standardError = error
        interval = Self.interval(ofMean: differences, confidence: 0.95)
        // Equal differences may leave an error of a few roundings, which is none.
        if error > abs(mean) * 1e-12 {
            probability = StudentDistribution.twoSidedProbability(mean / error, degrees: count - 1)
        } else {
            probability = mean == 0 ? 1 : min(1, 2 * pow(0.5, count))
        }
    }

    /// An item is right where more than half of its samples are.
    public static func isRight(_ score: Double) -> Bool { score > 0.5 }

    /// The interval that holds the mean of `values` with this confidence, from Student's t; `nil` for fewer than two values.
    static func interval(ofMean values: [Double], confidence: Double) -> ClosedRange<Double>? {
        guard let deviation = Sums.deviation(values) else { return nil }
        let count = Double(values.count)
        let reach = StudentDistribution.twoSidedQuantile(confidence, degrees: count - 1) * deviation / count.squareRoot()
        let mean = Sums.mean(values)
        return (mean - reach)...(mean + reach)
    }

    /// The comparison as part of a document.
    public var json: JSONValue {
        [
            "items": .int(Int64(items)), "base": .double(baseMean), "candidate": .double(candidateMean), "difference": .double(difference),
            "stderr": standardError.map { .double($0) } ?? .null,
            "ci95": interval.map { [.double($0.lowerBound), .double($0.upperBound)] } ?? .null,
            "p_value": probability.map { .double($0) } ?? .null, "test": "paired t",
            "sign_p_value": .double(signProbability),
            "up": .int(Int64(up)), "down": .int(Int64(down)), "same": .int(Int64(items - up - down)),
            "flipped_up": .int(Int64(flippedUp)), "flipped_down": .int(Int64(flippedDown)),
            "changes": .array(
                changes.map {
                    [
                        "item": .int(Int64($0.item)), "base": .double($0.base), "candidate": .double($0.candidate),
                        "flipped": .bool($0.isFlip),
                    ]
                }),
        ]
    }
}
