import Domain
import Testing

@testable import anneal

@Suite struct PastMomentTests {
    private static let now = Timestamp(milliseconds: 1_800_000_000_000)

    @Test(arguments: [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604_800), ("2w", 1_209_600), ("0h", 0)])
    func aSpanIsCountedBackFromNow(text: String, seconds: Int64) throws {
        #expect(try PastMoment(text).timestamp(now: Self.now).milliseconds == Self.now.milliseconds - seconds * 1000)
    }

    @Test(arguments: ["", "h", "-1h", "1", "1.5h", "1y", "2026-13-01", "99999999999999999999d", "9223372036854775807w", "yesterday"])
    func anythingElseIsRefused(text: String) { #expect(throws: (any Error).self) { try PastMoment(text) } }
}
