import Domain
import Testing

@Suite struct TimestampTests {
    @Test(
        arguments: [
            (0 as Int64, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"), (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_795_162_530_250, "2026-11-20T08:15:30.250Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-86_400_000, "1969-12-31T00:00:00.000Z"),
        ] as [(Int64, String)])
    func textAndMillisecondsMatchBothWays(_ milliseconds: Int64, _ text: String) {
        #expect(Timestamp(milliseconds: milliseconds).description == text)
        #expect(Timestamp(rfc3339: text)?.milliseconds == milliseconds)
    }

    @Test(
        arguments: [
            ("2026-11-20T08:15:30Z", 1_795_162_530_000 as Int64), ("2026-11-20t08:15:30z", 1_795_162_530_000),
            ("2026-11-20 08:15:30Z", 1_795_162_530_000),
            ("2026-11-20T08:15:30.2Z", 1_795_162_530_200), ("2026-11-20T08:15:30.25Z", 1_795_162_530_250),
            ("2026-11-20T08:15:30.2509999Z", 1_795_162_530_250),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ] as [(String, Int64)])
    func otherFormsOfRFC3339AreRead(_ text: String, _ milliseconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.milliseconds == milliseconds)
    }

    @Test(arguments: [
        "", "Z", "2026-11-20", "2026-11-20T08:15:30", "2026-11-20T08:15:30+00:00", "2026-13-20T08:15:30Z", "2026-00-20T08:15:30Z",
        "2026-11-00T08:15:30Z", "2026-11-32T08:15:30Z",
        "2026-11-20T24:15:30Z", "2026-11-20T08:60:30Z", "2026-11-20T08:15:61Z", "2026-11-20T08:15:30.Z", "2026-11-20T08:15:30.x5Z",
        "2026-11-20X08:15:30Z", "2026/11/20T08:15:30Z",
        "2026-11-20T08:15:30ZZ",
        "2026-11-20T08:15:30.123456789012345678901x5Z", "２０２６-11-20T08:15:30Z",
    ])
    func otherTextIsRefused(_ text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test(arguments: [
        "+026-11-20T08:15:30Z", "2026-11-20T08:15:-1Z", "2026-11-20T+8:15:30Z", "2026-02-30T08:15:30Z", "2025-02-29T00:00:00Z",
        "2026-11-31T00:00:00Z",
    ])
    func signsInsideADateAndDaysThatNoMonthHasAreRefused(_ text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func daysOfEightCenturiesSurviveTheWayThere() {
        for day in stride(from: Int64(-146_097), through: 146_097, by: 17) {
            let moment = Timestamp(milliseconds: day * 86_400_000 + 43_200_123)
            #expect(Timestamp(rfc3339: moment.description) == moment)
        }
    }

    @Test func spansAreAddedAndTakenAway() {
        let moment = Timestamp(milliseconds: 1000)
        #expect(moment + .seconds(2) == Timestamp(milliseconds: 3000))
        #expect(Timestamp(milliseconds: 500) - moment == .milliseconds(-500))
        #expect(moment < moment + .milliseconds(1))
        #expect(Duration.microseconds(1999).milliseconds == 1 && Duration.microseconds(-1999).milliseconds == -1)
        #expect(Duration.milliseconds(1500).inSeconds == 1.5)
    }
}
