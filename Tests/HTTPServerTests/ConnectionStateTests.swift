import Testing

@testable import HTTPServer

/// The connection's decisions, without a socket.
struct ConnectionStateTests {
    private static func state(_ limits: HTTPLimits = .standard) -> HTTPConnectionState {
        HTTPConnectionState(times: HTTPConnectionState.Times(limits), drainedBodyBytesMax: limits.drainedBodyBytesMax, now: 0)
    }

    /// A state whose head has just been accepted.
    private static func asked(
        hasBody: Bool = false, length: Int64? = 0, keepsAlive: Bool = true, expects: Bool = false
    ) -> HTTPConnectionState {
        var state = Self.state()
        state.bytesArrive(now: 0)
        state.headEnded(hasBody: hasBody, contentLength: length, keepsAlive: keepsAlive, expectsContinue: expects, now: 0)
        return state
    }

    /// `#expect` cannot hold calls that change the state.
    private func expect(_ value: Bool, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(value, sourceLocation: sourceLocation)
    }

    private func expect<Value: Equatable>(_ value: Value, is expected: Value, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(value == expected, sourceLocation: sourceLocation)
    }

    @Test func aRequestWithoutABodyGoesRoundToTheNext() {
        var state = Self.state()
        #expect(state.reading == .idle && state.canParse)
        state.bytesArrive(now: 1)
        #expect(state.reading == .head && state.canParse)
        state.headEnded(hasBody: false, contentLength: 0, keepsAlive: true, expectsContinue: false, now: 2)
        #expect(state.reading == .complete && state.answer == .pending && !state.canParse)
        expect(state.answerBegan(isStreamed: false, wantsClose: false))
        expect(state.answerEnded(hasPendingBytes: false, now: 3), is: .next)
        #expect(state.reading == .idle && state.answer == .none && state.canParse)
    }

    @Test func aBodyIsParsedOnlyWhileSomebodyWantsIt() {
        var state = Self.asked(hasBody: true, length: 10)
        #expect(state.reading == .undecidedBody && !state.canParse)
        expect(!state.bodyWanted(now: 0))
        #expect(state.canParse)
        state.bodyPaused()
        #expect(!state.canParse)
        state.bodyResumed(now: 0)
        #expect(state.canParse)
        expect(state.bodyArrived(10, now: 0))
        state.messageEnded(now: 0)
        #expect(state.reading == .complete && !state.canParse)
    }

    @Test func theInterimAnswerIsDueOnce() {
        var state = Self.asked(hasBody: true, length: 10, expects: true)
        expect(state.bodyWanted(now: 0))
        expect(!state.bodyWanted(now: 0))
    }

    @Test func anAnswerInPlaceOfTheInterimOneIsTheLast() {
        var state = Self.asked(hasBody: true, length: 1, expects: true)
        expect(!state.answerBegan(isStreamed: false, wantsClose: false))
        expect(state.answerEnded(hasPendingBytes: false, now: 0), is: .close(lingering: true))
    }

    @Test func aSmallUnwantedBodyIsReadOverAndALargeOneIsNot() {
        let limit = HTTPLimits.standard.drainedBodyBytesMax
        var small = Self.asked(hasBody: true, length: limit)
        expect(small.answerBegan(isStreamed: false, wantsClose: false))
        expect(small.answerEnded(hasPendingBytes: false, now: 0), is: .next)
        #expect(small.reading == .discardedBody && small.canParse)
        expect(small.bodyArrived(Int(limit), now: 0))
        small.messageEnded(now: 0)
        #expect(small.reading == .idle)

        var large = Self.asked(hasBody: true, length: limit + 1)
        expect(!large.answerBegan(isStreamed: false, wantsClose: false))
        expect(large.answerEnded(hasPendingBytes: false, now: 0), is: .close(lingering: true))

        var unknown = Self.asked(hasBody: true, length: nil)
        _ = unknown.bodyWanted(now: 0)
        expect(unknown.answerBegan(isStreamed: false, wantsClose: false))
        expect(unknown.answerEnded(hasPendingBytes: false, now: 0), is: .next)
        expect(unknown.bodyArrived(Int(limit), now: 0))
        expect(!unknown.bodyArrived(1, now: 0))
    }

    @Test func anAnswerMayEndBeforeTheBodyAndTheBodyBeforeTheAnswer() {
        var first = Self.asked(hasBody: true, length: 5)
        _ = first.bodyWanted(now: 0)
        _ = first.answerBegan(isStreamed: true, wantsClose: false)
        expect(first.bodyArrived(5, now: 0))
        first.messageEnded(now: 0)
        #expect(first.reading == .complete && first.answer == .streaming)
        expect(first.answerEnded(hasPendingBytes: false, now: 0), is: .next)
        #expect(first.reading == .idle)
    }

    @Test func theClientsCloseEndsTheConnectionAfterTheAnswer() {
        var state = Self.asked(keepsAlive: false)
        expect(!state.answerBegan(isStreamed: false, wantsClose: false))
        expect(state.answerEnded(hasPendingBytes: false, now: 0), is: .close(lingering: false))
        var pipelined = Self.asked(keepsAlive: false)
        _ = pipelined.answerBegan(isStreamed: false, wantsClose: false)
        expect(pipelined.answerEnded(hasPendingBytes: true, now: 0), is: .close(lingering: true))
    }

    @Test func thePeersEndMeansWhatTheStateMakesOfIt() {
        var idle = Self.state()
        expect(idle.peerEnded(), is: .close)
        var head = Self.state()
        head.bytesArrive(now: 0)
        expect(head.peerEnded(), is: .close)
        var body = Self.asked(hasBody: true, length: 5)
        expect(body.peerEnded(), is: .failBody)
        var complete = Self.asked()
        expect(complete.peerEnded(), is: .awaitAnswer)
        _ = complete.answerBegan(isStreamed: false, wantsClose: false)
        expect(complete.answerEnded(hasPendingBytes: false, now: 0), is: .close(lingering: false))
        var pipelined = Self.asked()
        _ = pipelined.peerEnded()
        _ = pipelined.answerBegan(isStreamed: false, wantsClose: false)
        expect(pipelined.answerEnded(hasPendingBytes: true, now: 0), is: .next)
    }

    @Test func drainingClosesWhatIsIdleAndMakesAnswersTheLast() {
        var idle = Self.state()
        expect(idle.drain())
        #expect(!idle.canParse)
        var pending = Self.asked()
        expect(!pending.drain())
        expect(!pending.answerBegan(isStreamed: false, wantsClose: false))
        var streaming = Self.asked()
        expect(streaming.answerBegan(isStreamed: true, wantsClose: false))
        expect(!streaming.drain())
        expect(streaming.answerEnded(hasPendingBytes: false, now: 0), is: .close(lingering: false))
    }

    @Test func eachStateHasItsTime() {
        let limits = HTTPLimits.standard
        let times = HTTPConnectionState.Times(limits)
        var state = Self.state()
        #expect(state.deadline == times.keepAlive)
        state.bytesArrive(now: 100)
        state.bytesArrive(now: 200)
        #expect(state.deadline == 100 + times.head)
        expect(state.timePassed(now: 99 + times.head), is: .nothing)
        guard case .refuse(let refusal) = state.timePassed(now: 100 + times.head) else {
            Issue.record("the head's time is not up")
            return
        }
        #expect(refusal.status == .requestTimeout)
        state.headEnded(hasBody: true, contentLength: nil, keepsAlive: true, expectsContinue: false, now: 300)
        #expect(state.deadline == nil)
        _ = state.bodyWanted(now: 400)
        #expect(state.deadline == 400 + times.bodyIdle)
        _ = state.bodyArrived(1 << 20, now: 500)
        #expect(state.deadline == 500 + times.bodyIdle)
        expect(state.timePassed(now: 500 + times.bodyIdle), is: .failBody)
        state.bodyPaused()
        #expect(state.deadline == nil)
        state.unsentChanged(isWaiting: true, now: 600)
        #expect(state.deadline == 600 + times.writeStall)
        expect(state.timePassed(now: 600 + times.writeStall), is: .abort)
        state.unsentChanged(isWaiting: false, now: 700)
        #expect(state.deadline == nil)
        state.linger(now: 800)
        #expect(state.deadline == 800 + times.linger)
        expect(state.timePassed(now: 800 + times.linger), is: .close)
    }

    @Test func aBodyThatDripsIsTooSlowAlthoughNeverIdle() {
        let times = HTTPConnectionState.Times(.standard)
        var state = Self.asked(hasBody: true, length: nil)
        _ = state.bodyWanted(now: 0)
        for now in stride(from: UInt64(1000), through: times.bodyIdle, by: 1000) { _ = state.bodyArrived(1, now: now) }
        expect(state.timePassed(now: times.bodyIdle), is: .failBody)
    }
}
