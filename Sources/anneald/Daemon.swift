import Devices
import Diagnosis
import Domain
import EventLoop
import Glibc
import HTTPAPI
import HTTPServer
import Logging
import Service
import Store

/// Puts the parts together, and takes them apart again at the end.
///
/// Order of start: data folder and its lock, database and migrations, listening (health says `reconciling`), reconciliation with the
/// attempts of an earlier daemon, scheduling. Order of the end: scheduling, connections, database. Workers go on under their shims.
struct Daemon {
    private static let shutdownGrace: Duration = .seconds(5)

    let settings: Settings

    func run() async throws {
        try DataFolder.prepare(settings.dataDirectory)
        let lock = try DataFolder.lock(settings.dataDirectory)
        defer { lock.release() }
        let log = Logger(label: "anneald") { _ in LogLine() }
        let relay = EventRelay()
        let store = try Store.open(path: settings.dataDirectory + "/anneal.db", onCommit: relay.publish)
        let devices = try DeviceInventory(mode: settings.gpus)
        let host = HostFacts.read()
        let capacity = HostCapacity(
            slots: devices.devices().map(\.slot), cpus: settings.cpus ?? host.cpuCount,
            memoryBytes: settings.memoryBytes ?? host.memoryBytes, counters: settings.counters)
        let patterns = try settings.causePatterns()
        try await serve(store: store, devices: devices, capacity: capacity, patterns: patterns, relay: relay, log: log)
        await store.close()
        log.info("stopped; workers go on under their shims")
    }

    @LoopActor
    private func serve(
        store: Store, devices: DeviceInventory, capacity: HostCapacity, patterns: CausePatterns, relay: EventRelay, log: Logger
    )
        async throws
    {
        let installation = try Installation()
        let token = try requiredToken()
        let gate = RequestGuard(
            hosts: settings.hosts + [settings.address?.host].compactMap(\.self), token: token, proxies: settings.proxies)
        let front = FrontDoor()
        var limits = HTTPLimits.standard
        // Attempts need descriptors too.
        limits.connectionsMax = min(limits.connectionsMax, DescriptorLimit.raise() / 2)
        let server = HTTPServer(limits: limits, handler: front)
        try server.listen(unixPath: settings.socketPath)
        var url = "unix://" + settings.socketPath
        if let address = settings.address {
            let port = try server.listen(host: address.host, port: address.port)
            url =
                "http://\(settings.listensBeyondLoopback ? "127.0.0.1" : address.host.contains(":") ? "[\(address.host)]" : address.host):\(port)"
        }
        let service = AnnealService(
            configuration: installation.configuration(settings, workerURL: url), store: store, devices: devices, capacity: capacity,
            causePatterns: patterns, log: log)
        relay.connect(service)
        front.api = API(service: service, admission: gate)
        log.info(
            "listening",
            metadata: [
                "url": "\(url)", "socket": "\(settings.socketPath)", "data": "\(settings.dataDirectory)",
                "gpus": "\(capacity.gpus.count) (\(devices.source))",
            ])
        let signals = StopSignals()
        try await service.recover()
        await signals.wait()
        log.info("stopping")
        service.stopScheduling()
        await server.shutdown(grace: Self.shutdownGrace)
    }

    /// The configured token; one is made where others can reach the daemon, by themselves or through a proxy, and none is configured.
    private func requiredToken() throws -> String? {
        if let token = settings.token { return token }
        guard settings.listensBeyondLoopback || !settings.proxies.isEmpty else { return nil }
        return try TokenFile.readOrCreate(settings.dataDirectory + "/token", make: AnnealService.makeToken)
    }
}

/// Answers until the service is put together; the server listens a moment earlier, so that its port is known.
@LoopActor
private final class FrontDoor: HTTPHandler {
    var api: API?

    func allowedMethods(at target: String) -> [String]? { api?.allowedMethods(at: target) }

    func handle(_ exchange: HTTPExchange) {
        guard let api else { return exchange.respond(.serviceUnavailable, headers: ["Retry-After": "1"]) }
        api.handle(exchange)
    }
}

/// Waits for SIGTERM or SIGINT.
@LoopActor
private final class StopSignals {
    private var watchers: [SignalWatcher] = []
    private var isStopped = false
    private var waiting: CheckedContinuation<Void, Never>?

    init() {
        // A signal that cannot be watched keeps its default effect, which ends the daemon as well.
        watchers = [SIGTERM, SIGINT].compactMap { number in try? SignalWatcher(signal: number) { [weak self] in self?.stop() } }
    }

    func wait() async {
        if !isStopped { await withCheckedContinuation { waiting = $0 } }
    }

    private func stop() {
        isStopped = true
        waiting?.resume()
        waiting = nil
    }
}
