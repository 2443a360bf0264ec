import Testing

@testable import Telemetry

@Suite struct MetricLineTests {
    private func parse(_ text: String) -> MetricLine.Reading { MetricLine.parse(Array(text.utf8), receivedAt: 5) }

    @Test func aLineGivesAPointForEachKey() {
        let reading = parse(#"{"step": 10, "time": 1760000000.25, "train/loss": 1.5, "lr": 3e-6, "tokens": 12}"#)
        #expect(reading.dropped == 0)
        #expect(
            reading.points == [
                FollowedPoint(key: "train/loss", step: 10, seconds: 1_760_000_000.25, value: 1.5),
                FollowedPoint(key: "lr", step: 10, seconds: 1_760_000_000.25, value: 3e-6),
                FollowedPoint(key: "tokens", step: 10, seconds: 1_760_000_000.25, value: 12),
            ])
    }

    @Test func numbersBeyondJSONAreReadInBothSpellings() {
        let reading = parse(#"{"step":0,"a":NaN,"b":Infinity,"c":-Infinity,"d":"NaN","e":"Infinity","f":"-Infinity"}"#)
        #expect(reading.points.map { "\($0.key)=\($0.value)" } == ["a=nan", "b=inf", "c=-inf", "d=nan", "e=inf", "f=-inf"])
    }

    @Test func aLineWithoutAUsableTimeHasThatOfItsReading() {
        for time in ["", #""time": null,"#, #""time": "now","#, #""time": NaN,"#, #""time": -1,"#, #""time": 1e300,"#] {
            #expect(parse("{\(time)\"step\":1,\"a\":2}").points == [FollowedPoint(key: "a", step: 1, seconds: 5, value: 2)])
        }
    }

    @Test(arguments: [
        "", "{", "[1]", "7", "{}", #"{"a":1}"#, #"{"step":-1,"a":1}"#, #"{"step":1.5,"a":1}"#, #"{"step":"1","a":1}"#, "\u{1}\u{2}",
    ])
    func aLineThatIsNoObjectWithAStepIsCounted(text: String) {
        #expect(parse(text) == MetricLine.Reading(points: [], dropped: 1))
    }

    @Test func valuesThatAreNoNumbersAreCountedAndTheRestIsKept() {
        let reading = parse(#"{"step":1,"a":"fast","b":true,"c":null,"d":[1],"e":{"x":1},"":1,"f\u0000":1,"g":2}"#)
        #expect(reading.points.map(\.key) == ["g"])
        #expect(reading.dropped == 7)
    }

    @Test func keysAreTakenUpToTheirLimits() {
        let longest = String(repeating: "k", count: TelemetryLimits.keyBytesMax)
        #expect(
            parse(#"{"step":1,"\#(longest)":1,"\#(longest)x":1}"#)
                == MetricLine.Reading(points: [FollowedPoint(key: longest, step: 1, seconds: 5, value: 1)], dropped: 1))
        let members = (0...TelemetryLimits.keysPerLineMax).map { ",\"k\($0)\":1" }.joined()
        let reading = parse("{\"step\":1\(members)}")
        #expect(reading.points.count == TelemetryLimits.keysPerLineMax && reading.dropped == 1)
    }
}
