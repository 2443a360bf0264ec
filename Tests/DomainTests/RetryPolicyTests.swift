import Domain
import Testing

@Suite struct RetryPolicyTests {
    @Test func waitsGrowByTheFactor() {
        let policy = RetryPolicy(limit: 5, delay: .seconds(2), backoff: 3)
        #expect((1...4).map { policy.delay(afterFailures: $0) } == [.seconds(2), .seconds(6), .seconds(18), .seconds(54)])
        #expect(policy.delay(afterFailures: 0) == .seconds(2))
    }

    @Test func waitsAreBounded() {
        #expect(RetryPolicy(delay: .seconds(1), backoff: 10).delay(afterFailures: 1_000_000) == RetryPolicy.delayMax)
        #expect(RetryPolicy(delay: .seconds(86_400)).delay(afterFailures: 1) == RetryPolicy.delayMax)
        #expect(RetryPolicy(delay: .seconds(5), backoff: 1).delay(afterFailures: 1_000_000) == .seconds(5))
        #expect(RetryPolicy(delay: .zero, backoff: 2).delay(afterFailures: 1000) == .zero)
    }

    @Test func whatNoRetryCanMendIsListed() {
        #expect(RetryPolicy.permanent.isSuperset(of: [.badConfig, .badData]))
        #expect(RetryPolicy.permanent.isDisjoint(with: [.crashed, .killed, .interrupted, .preempted, .supervisorLost, .serverFailed]))
    }
}

@Suite struct HostCapacityTests {
    private let capacity = HostCapacity(gpus: ["a", "b"], cpus: 4, memoryBytes: 1000)

    @Test func whatFitsHasNoShortfall() {
        #expect(capacity.shortfalls(of: ResourceRequest(gpus: 2, cpus: 4, memoryBytes: 1000)).isEmpty)
        #expect(capacity.shortfalls(of: ResourceRequest()).isEmpty)
    }

    @Test func everyShortfallIsTold() {
        let told = capacity.shortfalls(of: ResourceRequest(gpus: 3, cpus: 5, memoryBytes: 1001))
        #expect(told.count == 3)
        #expect(told[0] == "asks for 3 GPUs; this machine offers 2")
        #expect(told[1] == "asks for 5 CPUs; this machine offers 4")
        #expect(told[2].contains("1001") && told[2].contains("1000"))
    }
}
