import JSON

/// Leaves out records that stand earlier already, word for word or nearly so.
public struct Deduplication: Sendable, Equatable {
    public enum Method: String, Sendable, CaseIterable {
        /// The same text.
        case exact
        /// About the same words: the estimated share of common word runs is at least `threshold`.
        case near
    }

    public var method: Method
    /// The members that are compared; empty for the whole record.
    public var keys: [String]
    /// The smallest Jaccard similarity of two records that count as one.
    public var threshold: Double
    /// Hash functions; the estimate's standard error is about `1 / (2 √permutations)`.
    public var permutations: Int
    /// Words of one run.
    public var ngram: Int
    public var seed: Int

    public init(
        method: Method = .exact, keys: [String] = [], threshold: Double = 0.8, permutations: Int = 128, ngram: Int = 5, seed: Int = 1
    ) {
        (self.method, self.keys, self.threshold) = (method, keys, threshold)
        (self.permutations, self.ngram, self.seed) = (permutations, ngram, seed)
    }

    func transform() -> any RecordTransform {
        switch method {
        case .exact: ExactDeduplication(keys: keys)
        case .near: NearDeduplication(self)
        }
    }
}

/// Keeps a digest of 16 bytes for each different record.
private struct ExactDeduplication: RecordTransform {
    let keys: [String]
    private var seen: Set<TextDigest> = []
    private var digester = TextDigester()

    init(keys: [String]) { self.keys = keys }

    mutating func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        let parts = keys.isEmpty ? [record.value.text(sortsKeys: true)] : try keys.map { try record.groupText($0) }
        guard seen.insert(digester.digest(parts)).inserted else { return report.drop("duplicate") }
        try next(record)
    }
}

/// Keeps a signature for each record that was kept, and finds like ones by its bands.
private struct NearDeduplication: RecordTransform {
    private let settings: Deduplication
    private let minHash: MinHash
    /// The newest record of each band's value; earlier ones follow through `links`.
    private var heads: [UInt64: Int32] = [:]
    /// For each record and band the record before it with the same value, or -1.
    private var links: [Int32] = []
    private var signatures: [UInt32] = []
    private var count = 0

    init(_ settings: Deduplication) {
        self.settings = settings
        minHash = MinHash(permutations: settings.permutations, threshold: settings.threshold, seed: settings.seed)
    }

    mutating func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        let texts = settings.keys.isEmpty ? record.allTexts : try settings.keys.map { try record.groupText($0) }
        // Words of two members must not make a run.
        let runs = texts.flatMap { TextTokens.ngrams(of: TextTokens.hashes(of: $0), length: settings.ngram) }
        guard !runs.isEmpty else { return try next(record) }
        let signature = minHash.signature(of: runs)
        let keys = minHash.bandKeys(of: signature)
        if isKnown(signature, keys) { return report.drop("near_duplicate") }
        for key in keys {
            links.append(heads[key] ?? -1)
            heads[key] = Int32(count)
        }
        signatures += signature
        count += 1
        try next(record)
    }

    private func isKnown(_ signature: [UInt32], _ keys: [UInt64]) -> Bool {
        let needed = settings.threshold * Double(signature.count)
        for (band, key) in keys.enumerated() {
            var candidate = heads[key] ?? -1
            while candidate >= 0 {
                let start = Int(candidate) * signature.count
                var equal = 0
                for index in signature.indices where signatures[start + index] == signature[index] { equal += 1 }
                if Double(equal) >= needed { return true }
                candidate = links[Int(candidate) * keys.count + band]
            }
        }
        return false
    }
}

extension PreparedRecord {
    /// All texts of a record, in order, without its keys.
    var allTexts: [String] {
        var texts: [String] = []
        func visit(_ value: JSONValue) {
            switch value {
            case .string(let text): texts.append(text)
            case .array(let elements): elements.forEach(visit)
            case .object(let members): members.values.forEach(visit)
            default: break
            }
        }
        visit(value)
        return texts
    }
}

/// Signatures whose share of equal places estimates the Jaccard similarity of two sets.
struct MinHash {
    let bands: Int
    let rows: Int
    private let factors: [(multiplier: UInt64, addend: UInt64)]

    init(permutations: Int, threshold: Double, seed: Int) {
        var random = MersenneTwister(seed: seed, stream: RandomStream.minHash)
        factors = (0..<permutations).map { _ in (random.bits(64) | 1, random.bits(64)) }
        (bands, rows) = Self.bestBands(permutations: permutations, threshold: threshold)
    }

    /// The smallest hash of the elements under each function.
    func signature(of elements: [UInt64]) -> [UInt32] {
        var smallest = [UInt32](repeating: .max, count: factors.count)
        for element in elements {
            for index in factors.indices {
                let hash = UInt32(truncatingIfNeeded: (element &* factors[index].multiplier &+ factors[index].addend) >> 32)
                if hash < smallest[index] { smallest[index] = hash }
            }
        }
        return smallest
    }

    /// One key for each band; two sets are compared where they share one.
    func bandKeys(of signature: [UInt32]) -> [UInt64] {
        (0..<bands).map { band in
            var key = UInt64(band)
            for row in 0..<rows { key = TextTokens.mixed(key &* 0x100_0000_01B3 ^ UInt64(signature[band * rows + row])) }
            return key
        }
    }

    /// The bands that lose few pairs above the threshold: at the threshold a pair must be found with 97 %, and with as few other
    /// comparisons as that allows.
    static func bestBands(permutations: Int, threshold: Double) -> (bands: Int, rows: Int) {
        for rows in (1...max(1, permutations)).reversed() {
            let bands = permutations / rows
            if bands > 0, 1 - power(1 - power(threshold, rows), bands) >= 0.97 { return (bands, rows) }
        }
        return (permutations, 1)
    }

    private static func power(_ base: Double, _ exponent: Int) -> Double { (0..<exponent).reduce(1) { product, _ in product * base } }

    /// The share of equal places.
    static func similarity(_ first: [UInt32], _ second: [UInt32]) -> Double {
        Double(zip(first, second).count { $0 == $1 }) / Double(max(1, first.count))
    }
}
