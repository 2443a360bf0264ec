import EventLoop
import Synchronization
import Testing

@testable import Service

/// Rates, guessing and places for streams, on a clock that stands still until it is moved.
@Suite struct CallLimiterTests {
    private final class Clock: Sendable {
        private let moment = Mutex(ContinuousClock.now)
        func move(_ span: Duration) { moment.withLock { $0 += span } }
        var now: ContinuousClock.Instant { moment.withLock { $0 } }
    }

    private static func limiter(_ clock: Clock, rememberedMax: Int = 100, change: (inout CallLimits) -> Void) -> CallLimiter {
        var limits = CallLimits()
        change(&limits)
        return CallLimiter(limits, rememberedMax: rememberedMax) { clock.now }
    }

    /// Seconds that the caller is to wait; `nil` where it is admitted.
    private func wait(_ body: () throws -> Void) -> Int? {
        do {
            try body()
            return nil
        } catch {
            return (error as? CallLimiter.Excess)?.seconds ?? -1
        }
    }

    @Test func aBurstIsAdmittedAndThenTheSteadyRate() {
        let clock = Clock()
        let limiter = Self.limiter(clock) { $0.token = CallRate(perSecond: 0.5, burst: 3) }
        for _ in 0..<3 { #expect(wait { try limiter.admit(token: "a") } == nil) }
        #expect(wait { try limiter.admit(token: "a") } == 2)
        #expect(wait { try limiter.admit(token: "b") } == nil)
        clock.move(.seconds(1))
        #expect(wait { try limiter.admit(token: "a") } == 1)
        clock.move(.seconds(1))
        #expect(wait { try limiter.admit(token: "a") } == nil)
        clock.move(.seconds(1000))
        for _ in 0..<3 { #expect(wait { try limiter.admit(token: "a") } == nil) }
        #expect(wait { try limiter.admit(token: "a") } == 2)
    }

    @Test func onlyProvedTokensPassOnceAnAddressHasGuessedOften() {
        let clock = Clock()
        let limiter = Self.limiter(clock) { $0.failures = CallRate(perSecond: 0.1, burst: 2) }
        limiter.noteSuccess(from: "x", proof: "known")
        for _ in 0..<2 {
            #expect(wait { try limiter.checkGuessing(from: "x", proof: "guess") } == nil)
            limiter.noteFailure(from: "x")
        }
        #expect(wait { try limiter.checkGuessing(from: "x", proof: "guess") } == 10)
        #expect(wait { try limiter.checkGuessing(from: "x", proof: "known") } == nil)
        #expect(wait { try limiter.checkGuessing(from: "y", proof: "guess") } == nil)
        clock.move(.seconds(10))
        #expect(wait { try limiter.checkGuessing(from: "x", proof: "guess") } == nil)
    }

    @Test func aPlaceForAStreamComesBackWhenNobodyHoldsIt() throws {
        let limiter = Self.limiter(Clock()) { $0.streams = 2 }
        let open = { () throws -> StreamPlace in try limiter.openStream(of: "a", token: nil) {} }
        let first = try open()
        do {
            let second = try open()
            #expect(wait { _ = try open() } != nil)
            withExtendedLifetime(second) {}
        }
        #expect(wait { _ = try open() } == nil)
        withExtendedLifetime(first) {}
    }

    @Test func callersBeyondTheBoundAreForgottenOldestFirst() {
        let clock = Clock()
        let limiter = Self.limiter(clock, rememberedMax: 10) { $0.address = CallRate(perSecond: 0.001, burst: 1) }
        for number in 0..<10 {
            #expect(wait { try limiter.admit(address: "\(number)") } == nil)
            clock.move(.milliseconds(1))
        }
        #expect(wait { try limiter.admit(address: "9") } != nil)
        #expect(wait { try limiter.admit(address: "new") } == nil)
        #expect(wait { try limiter.admit(address: "9") } != nil)
        #expect(wait { try limiter.admit(address: "0") } == nil)
    }

    @Test func soManyCallersAreRememberedAsTheServiceSays() {
        let clock = Clock()
        var limits = CallLimits()
        limits.address = CallRate(perSecond: 0.001, burst: 1)
        let limiter = CallLimiter(limits, clock: { clock.now })
        for number in 0..<ServiceLimits.callersRememberedMax { _ = wait { try limiter.admit(address: "\(number)") } }
        #expect(wait { try limiter.admit(address: "0") } != nil)
        clock.move(.milliseconds(1))
        let remembered = (0..<ServiceLimits.callersRememberedMax).count { number in wait { try limiter.admit(address: "\(number)") } != nil
        }
        #expect(remembered == ServiceLimits.callersRememberedMax)
        #expect(wait { try limiter.admit(address: "one more") } == nil)
        let left = (0..<100).count { number in wait { try limiter.admit(address: "\(number)") } != nil }
        #expect(left < 100)
    }

    @Test func comparisonSeesEachDifference() {
        #expect(ConstantTime.areEqual("abc", "abc") && ConstantTime.areEqual("", ""))
        #expect(!ConstantTime.areEqual("abc", "abd") && !ConstantTime.areEqual("abc", "ab") && !ConstantTime.areEqual("xbc", "abc"))
    }
}
