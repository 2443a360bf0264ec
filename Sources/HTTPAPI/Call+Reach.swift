import Domain
import EventLoop
import HTTPServer
import Service

// What a call is about, held against what its caller may see.
extension Call {
    /// Whether something has to be looked up before the handler may run.
    var needsReachCheck: Bool {
        guard caller.reach != .everything else { return false }
        if case .subject = route.bound { return true }
        if route.operation == "uploadDataset" { return true }
        return route.named.keys.contains { query($0) != nil }
    }

    /// Throws where something that the path or the query names is beyond the caller's reach.
    func checkReach() async throws {
        if case .subject(let subject) = route.bound { try await service.require(subject, parameter(), within: caller.reach) }
        if route.operation == "uploadDataset", let name = query("name") {
            try await service.checkDatasetName(name, within: caller.reach)
        }
        for (name, subject) in route.named.sorted(by: { $0.key < $1.key }) {
            for id in queries(name) { try await service.require(subject, id, within: caller.reach) }
        }
    }

    /// Whether the answer may take as long as it likes: a stream, or a request that is held.
    private var isHeld: Bool {
        route.operation == "streamEvents" || query("follow") == "true" || (query("wait") != nil && route.query.contains("wait"))
    }

    /// Takes one of the caller's places for streams, until the answer has ended.
    func takeStreamPlace() throws(ServiceError) {
        guard isHeld else { return }
        if caller.address == nil, caller.tokenID == nil, caller.attemptID == nil { return }
        let exchange = exchange
        do {
            streamPlace = try service.limiter.openStream(
                of: caller.rateKey ?? caller.address ?? "", token: caller.tokenID,
                close: { [weak exchange] in exchange?.onShutdown?() })
        } catch {
            var refusal = ServiceError(
                .tooMany,
                "\(service.limiter.limits.streams) streams and held requests of this caller are open already; close some first")
            refusal.retryAfter = error.seconds
            throw refusal
        }
    }
}
