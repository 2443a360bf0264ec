import JSON

/// A toy task whose answers are known for certain; each record follows from its number and the seed alone.
public enum ToyGenerator: Sendable, Equatable {
    /// Rows in one dataset; guards disk and memory.
    public static let countMax = 10_000_000

    case timesTen(TimesTenGenerator)
    case refusals(RefusalGenerator)
    case arithmetic(ArithmeticGenerator)

    /// The generators' names in a spec.
    public static let names = ["times_ten", "refusals", "arithmetic"]

    public var count: Int {
        switch self {
        case .timesTen(let generator): generator.count
        case .refusals(let generator): generator.questions.count
        case .arithmetic(let generator): generator.count
        }
    }

    /// The format of the records.
    public var format: DatasetFormat {
        switch self {
        case .timesTen(let generator): generator.format
        case .refusals: .preference
        case .arithmetic: .records
        }
    }

    /// The seed of the rows' order; `nil` where they stand as they are made.
    var orderSeed: Int? {
        switch self {
        case .timesTen(let generator): generator.seed
        case .refusals(let generator): generator.questions.seed
        case .arithmetic: nil
        }
    }

    /// Whether all numbers fit 64-bit integers.
    public var isRepresentable: Bool {
        switch self {
        case .timesTen(let generator): generator.isRepresentable
        case .refusals(let generator): generator.questions.isRepresentable
        case .arithmetic(let generator): generator.isRepresentable
        }
    }

    /// The record of `row`, from 0 to `count - 1`.
    func record(at row: Int) -> JSONValue {
        switch self {
        case .timesTen(let generator): generator.record(for: generator.number(of: row))
        case .refusals(let generator): generator.record(at: row)
        case .arithmetic(let generator): generator.record(at: row)
        }
    }
}

/// Random numbers of one row, which need none of the rows before it (SplitMix64; Steele, Lea and Flood 2014).
struct RowRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: Int, row: Int) {
        state = UInt64(truncatingIfNeeded: seed)
        // One step of the seed's own, so that rows of neighbouring seeds have nothing in common.
        state = next() ^ UInt64(truncatingIfNeeded: row)
        state = next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, whose bias is that of 64 bits.
    mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }
}
