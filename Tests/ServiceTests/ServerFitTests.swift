import Domain
import Testing

@testable import Service

@Suite struct ServerFitTests {
    private func request(gpus: Int = 0, share: Int = 0, cpus: Int = 1, memory: Int64 = 0, counters: [String: Int] = [:]) -> ResourceRequest
    {
        var request = ResourceRequest(gpus: gpus, cpus: cpus, memoryBytes: memory)
        request.gpuShare = share
        request.counters = counters
        return request
    }

    @Test func whatAJobAndItsServersHoldAddsUp() {
        let sum = ServerFit.together([
            request(gpus: 1, cpus: 2, memory: 5, counters: ["a": 1]), request(gpus: 4, cpus: 3, memory: 7, counters: ["a": 2, "b": 1]),
        ])
        #expect(sum.gpus == 5 && sum.gpusMax == 5 && sum.cpus == 5 && sum.memoryBytes == 12 && sum.counters == ["a": 3, "b": 1])
    }

    @Test func sharesOfAGPUFitTogetherUpToAWholeOne() {
        #expect(ServerFit.together([request(share: 500), request(share: 500)]).gpus == 1)
        #expect(ServerFit.together([request(share: 500), request(share: 501)]).gpus == 2)
    }

    @Test func theLeastOfAllWaysToRunCounts() {
        var either = request(gpus: 4, cpus: 2)
        either.alternatives = [request(gpus: 1, cpus: 8)]
        let sum = ServerFit.together([either, request()])
        #expect(sum.gpus == 1 && sum.cpus == 3)
    }
}
