import Domain
import Testing

@testable import Service

/// What was asked of a job whose attempt ended by itself meanwhile.
@Suite struct NextStateTests {
    @Test(arguments: [NextState.again(.seconds(2)), .paused, .givenWay, .resting], [Reason.cancelled, .superseded])
    func aJobThatWouldGoOnIsCancelled(next: NextState, reason: Reason) {
        #expect(next.yielding(to: reason) == .ended(.cancelled))
        #expect(next.yielding(to: reason).reason(of: reason) == reason)
    }

    @Test(arguments: [JobState.succeeded, .failed, .cancelled, .lost]) func anEndStays(state: JobState) {
        for reason in [Reason.cancelled, .superseded, .paused] { #expect(NextState.ended(state).yielding(to: reason) == .ended(state)) }
    }

    @Test func aRetryIsPausedAndWhatNobodyAskedForChangesNothing() {
        #expect(NextState.again(.zero).yielding(to: .paused) == .paused && NextState.givenWay.yielding(to: .paused) == .paused)
        #expect(NextState.paused.reason(of: .paused) == .userRequest)
        #expect(NextState.resting.yielding(to: .paused) == .resting)
        for reason in [Reason.preempted, .stalled, nil] { #expect(NextState.again(.zero).yielding(to: reason) == .again(.zero)) }
        #expect(NextState.paused.message(instead: "exit code 3") == "paused by request; its attempt had ended by itself: exit code 3")
    }
}
