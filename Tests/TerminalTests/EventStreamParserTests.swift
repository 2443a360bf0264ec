@testable import Terminal
import Testing

@Suite struct EventStreamParserTests {
    private let stream =
        "\u{FEFF}: hello\nid: 7\nevent: state\ndata: {\"a\":1}\n\nid: 8\rdata\rdata:x\r\r\r\nretry: 250\ndata:  y\r\n"
        + "foo: bar\r\n\r\n: ping\n\ndata: lost"
    private let expected = [
        ServerSentEvent(name: "state", data: "{\"a\":1}", id: "7"),
        ServerSentEvent(name: "message", data: "\nx", id: "8"),
        ServerSentEvent(name: "message", data: " y", id: "8"),
    ]

    @Test func eventsAreReadWithAllThreeLineEndings() throws {
        var parser = EventStreamParser()
        #expect(try parser.events(in: stream.utf8) == expected)
        #expect(parser.lastEventID == "8")
        #expect(parser.retryMilliseconds == 250)
    }

    @Test func eventsAreTheSameHoweverTheBytesAreCut() throws {
        let bytes = Array(stream.utf8)
        for cut in 0...bytes.count {
            var parser = EventStreamParser()
            let events = try parser.events(in: bytes[..<cut]) + parser.events(in: bytes[cut...])
            #expect(events == expected)
        }
        var parser = EventStreamParser()
        #expect(try bytes.flatMap { try parser.events(in: [$0]) } == expected)
    }

    @Test func anIdentifierCountsOnlyOnceItsEventIsComplete() throws {
        var parser = EventStreamParser(lastEventID: "3")
        #expect(try parser.events(in: "id: 4\ndata: x\n".utf8).isEmpty)
        #expect(parser.lastEventID == "3")
        #expect(try parser.events(in: "\n".utf8).first?.id == "4")
        #expect(parser.lastEventID == "4")
    }

    @Test func anEventAtTheLimitIsReadAndOnePastItIsRefused() throws {
        let body = [UInt8](repeating: UInt8(ascii: "x"), count: EventStreamParser.eventBytesMax - 5)
        var parser = EventStreamParser()
        #expect(try parser.events(in: Array("data:".utf8) + body + [10, 10]).first?.data.utf8.count == body.count)
        #expect(throws: EventStreamParser.TooLarge.self) { try parser.events(in: Array("data:x".utf8) + body) }
    }
}

@Suite struct LiveRegionTests {
    @Test func aFrameReplacesTheOneBefore() {
        var region = LiveRegion()
        #expect(region.frame(["one", "two"], columns: 20, rows: 10, coloured: false) == "\rone\u{1B}[K\ntwo\u{1B}[K\n\u{1B}[J")
        #expect(region.frame(["three"], columns: 20, rows: 10, coloured: false) == "\r\u{1B}[2Athree\u{1B}[K\n\u{1B}[J")
        #expect(region.clear(columns: 20, rows: 10) == "\r\u{1B}[1A\u{1B}[J")
        #expect(region.clear(columns: 20, rows: 10) == "\r\u{1B}[J")
    }

    @Test func linesWrappedByANarrowerTerminalCountAsTheRowsTheyTake() {
        var region = LiveRegion()
        _ = region.frame([StyledText(String(repeating: "x", count: 20)), "short"], columns: 20, rows: 10, coloured: false)
        #expect(region.frame(["y"], columns: 8, rows: 10, coloured: false).hasPrefix("\r\u{1B}[4Ay"))
    }

    @Test func aRegionHigherThanTheTerminalShowsItsEnd() {
        var region = LiveRegion()
        let frame = region.frame((1...9).map { StyledText("line \($0)") }, columns: 20, rows: 4, coloured: false)
        #expect(!frame.contains("line 6") && frame.contains("line 7") && frame.contains("line 9"))
        #expect(region.clear(columns: 20, rows: 4).contains("\u{1B}[3A"))
    }
}
