import Domain
import Testing

@Suite struct IdentifierTests {
    private struct Counter: RandomNumberGenerator {
        var value: UInt64 = 0
        mutating func next() -> UInt64 {
            value &+= 0x9E37_79B9_7F4A_7C15
            return value
        }
    }

    @Test(arguments: IdentifierKind.allCases)
    func anIdentifierIsItsPrefixAndTwentySixDigits(_ kind: IdentifierKind) {
        var generator = IdentifierGenerator()
        var random = Counter()
        let id = generator.next(kind, at: Timestamp(milliseconds: 1_795_161_600_000), using: &random)
        let parts = id.split(separator: "_")
        #expect(parts.count == 2 && parts[0] == kind.rawValue && parts[1].utf8.count == 26)
        #expect(parts[1].allSatisfy { "0123456789abcdefghjkmnpqrstvwxyz".contains($0) })
    }

    @Test func identifiersSortByTimeAlsoWithinOneMillisecond() {
        var generator = IdentifierGenerator()
        var random = Counter()
        var ids: [String] = []
        for step in 0..<2000 {
            ids.append(generator.next(.job, at: Timestamp(milliseconds: 1_000_000 + Int64(step / 100)), using: &random))
        }
        #expect(ids == ids.sorted())
        #expect(Set(ids).count == ids.count)
    }

    @Test func aClockThatGoesBackDoesNotBreakTheOrder() {
        var generator = IdentifierGenerator()
        var random = Counter()
        let first = generator.next(.job, at: Timestamp(milliseconds: 5000), using: &random)
        let second = generator.next(.job, at: Timestamp(milliseconds: 4000), using: &random)
        #expect(first < second)
    }

    @Test func theTimeStandsInTheFirstTenDigits() {
        var generator = IdentifierGenerator()
        var random = Counter()
        // 01ARZ3NDEK is the time part of the example in the ULID specification.
        let id = generator.next(.job, at: Timestamp(milliseconds: 1_469_922_850_259), using: &random)
        #expect(id.hasPrefix("job_01arz3ndek"))
    }
}
