import Domain
import Testing

@Suite struct RetryPolicyTests {
    @Test func waitsGrowByTheFactor() {
        let policy = RetryPolicy(limit: 5, delay: .seconds(2), backoff: 3)
        #expect((1...4).map { policy.delay(for: .crashed, afterFailures: $0) } == [.seconds(2), .seconds(6), .seconds(18), .seconds(54)])
        #expect(policy.delay(for: .crashed, afterFailures: 0) == .seconds(2))
    }

    @Test func waitsAreBounded() {
        #expect(RetryPolicy(delay: .seconds(1), backoff: 10).delay(for: .crashed, afterFailures: 1_000_000) == RetryPolicy.delayMax)
        #expect(RetryPolicy(delay: .seconds(86_400)).delay(for: .crashed, afterFailures: 1) == RetryPolicy.delayMax)
        #expect(RetryPolicy(delay: .seconds(5), backoff: 1).delay(for: .crashed, afterFailures: 1_000_000) == .seconds(5))
        #expect(RetryPolicy(delay: .zero, backoff: 2).delay(for: .crashed, afterFailures: 1000) == .zero)
    }

    @Test func whatNoRetryCanMendIsNeverRetriedByDefault() {
        for cause in [Reason.badConfig, .badData, .importError, .nanLoss, .diskFull, .gateFailed] {
            #expect(RetryPolicy(limit: 9).limit(for: cause, canResume: true) == 0)
        }
        #expect(RetryPolicy.permanent.isDisjoint(with: [.crashed, .killed, .interrupted, .preempted, .supervisorLost, .serverFailed]))
    }

    @Test func aCrashIsRetriedByDefaultOnlyWhereACheckpointKeepsTheWork() {
        #expect(RetryPolicy().limit(for: .crashed, canResume: false) == 0)
        #expect(RetryPolicy().limit(for: .crashed, canResume: true) == 3)
        #expect(RetryPolicy(limit: 1).limit(for: .crashed, canResume: true) == 1)
    }

    @Test func theNetworkIsGivenTimeToComeBack() {
        #expect(RetryPolicy().limit(for: .network, canResume: false) == 3)
        #expect(RetryPolicy().delay(for: .network, afterFailures: 1) == .seconds(10))
        #expect(RetryPolicy().delay(for: .network, afterFailures: 2) == .seconds(20))
    }

    @Test func aRuleOfTheSpecOutranksTheDefaults() {
        let policy = RetryPolicy(limit: 3, rules: [.badData: .init(limit: 2, delay: .seconds(7)), .crashed: .init(limit: 0)])
        #expect(policy.limit(for: .badData, canResume: false) == 2)
        #expect(policy.delay(for: .badData, afterFailures: 1) == .seconds(7))
        #expect(policy.limit(for: .crashed, canResume: true) == 0)
    }
}
