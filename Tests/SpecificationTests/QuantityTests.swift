import Domain
import JSON
import Testing

@testable import Specification

@Suite struct QuantityTests {
    @Test(
        arguments: [
            ("90s" as JSONValue, 90_000), ("30m", 1_800_000), ("4h", 14_400_000), ("1d", 86_400_000), ("500ms", 500), ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            (90, 90_000), (0.5, 500), ("0s", 0), (0, 0),
        ] as [(JSONValue, Int64)])
    func durationsAreRead(_ value: JSONValue, _ milliseconds: Int64) {
        #expect(Quantity.duration(value) == .milliseconds(milliseconds))
    }

    @Test(arguments: [
        "" as JSONValue, "90", "s", "-5s", "5 s", "5x", "1h30", "h1", "1..5h", ".5h", "5.h", "1e3s", -1, nil, true, "1000000d",
        .double(.nan), .double(.infinity),
    ])
    func otherTextIsNoDuration(_ value: JSONValue) {
        #expect(Quantity.duration(value) == nil)
    }

    @Test(
        arguments: [
            ("16GiB" as JSONValue, 17_179_869_184), ("512MiB", 536_870_912), ("1.5KiB", 1536), ("1TB", 1_000_000_000_000),
            ("5 GB", 5_000_000_000), ("7", 7), ("7B", 7),
            ("2G", 2_147_483_648), ("2Gi", 2_147_483_648), (1024, 1024), (0, 0),
        ] as [(JSONValue, Int64)])
    func sizesAreRead(_ value: JSONValue, _ bytes: Int64) {
        #expect(Quantity.bytes(value) == bytes)
    }

    @Test(arguments: ["" as JSONValue, "GiB", "-1GiB", "1gb", "1 Gi B", "99999999TiB", 1.5, -1, nil, true])
    func otherTextIsNoSize(_ value: JSONValue) {
        #expect(Quantity.bytes(value) == nil)
    }
}
