import Domain
import Testing

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
