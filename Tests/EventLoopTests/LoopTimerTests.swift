import EventLoop
import Testing

@Suite(.timeLimit(.minutes(1)))
struct LoopTimerTests {
    @Test @LoopActor func timersFireInTheOrderOfTheirTimes() async {
        let order = await withCheckedContinuation { continuation in
            var order: [Int] = []
            _ = LoopTimer(after: .milliseconds(30)) {
                order.append(3)
                continuation.resume(returning: order)
            }
            _ = LoopTimer(after: .milliseconds(1)) { order.append(1) }
            _ = LoopTimer(after: .milliseconds(15)) { order.append(2) }
        }
        #expect(order == [1, 2, 3])
    }

    @Test @LoopActor func timersOfEqualTimeFireInTheOrderOfTheirStarts() async {
        let order = await withCheckedContinuation { continuation in
            var order: [Int] = []
            for number in 0..<20 {
                _ = LoopTimer(after: .milliseconds(5)) {
                    order.append(number)
                    if number == 19 { continuation.resume(returning: order) }
                }
            }
        }
        #expect(order == Array(0..<20))
    }

    @Test @LoopActor func aCancelledTimerDoesNotFireAndCancelsTwiceInPeace() async {
        var hasFired = false
        let timer = LoopTimer(after: .milliseconds(1)) { hasFired = true }
        #expect(timer.isActive)
        timer.cancel()
        timer.cancel()
        #expect(!timer.isActive)
        await withCheckedContinuation { continuation in
            _ = LoopTimer(after: .milliseconds(10)) { continuation.resume() }
        }
        #expect(!hasFired)
    }

    @Test @LoopActor func aRepeatingTimerFiresUntilItCancelsItself() async {
        let count = await withCheckedContinuation { continuation in
            var count = 0
            var timer: LoopTimer?
            timer = LoopTimer(after: .milliseconds(1), every: .milliseconds(1)) {
                count += 1
                guard count == 3 else { return }
                timer?.cancel()
                timer = nil
                continuation.resume(returning: count)
            }
        }
        #expect(count == 3)
    }

    @Test @LoopActor func aTimerLetsGoOfItsClosureWhenItEnds() async {
        final class Token: Sendable {}
        weak var fired: Token?
        weak var cancelled: Token?
        await withCheckedContinuation { continuation in
            let token = Token()
            fired = token
            _ = LoopTimer(after: .zero) {
                _ = token
                continuation.resume()
            }
        }
        do {
            let token = Token()
            cancelled = token
            LoopTimer(after: .seconds(60)) { _ = token }.cancel()
        }
        #expect(fired == nil)
        #expect(cancelled == nil)
    }

    @Test func durationsAreRoundedUpToMilliseconds() {
        #expect(Duration.microseconds(1).loopMilliseconds == 1)
        #expect(Duration.milliseconds(7).loopMilliseconds == 7)
        #expect(Duration.seconds(-1).loopMilliseconds == 0)
        #expect(Duration.seconds(90).loopMilliseconds == 90_000)
        #expect(Duration.seconds(Int64.max).loopMilliseconds > 0)
    }
}
