import Devices
import Domain
import EventLoop
import Foundation
import Logging
import Testing

@testable import Service
@testable import Store

/// A whole service on a folder of its own, without the HTTP before it.
struct ServiceFixture: Sendable {
    let folder: String
    let store: Store
    let service: AnnealService

    /// - Parameter python: makes what stands for Python in the service's folder, which is then the trainer's, too; returns its path.
    static func with(
        python: (_ folder: String) throws -> String? = { _ in nil }, _ body: (ServiceFixture) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/anneal-service-" + UUID().uuidString
        for name in ["attempts", "jobs"] {
            try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: true)
        }
        defer { try? FileManager.default.removeItem(atPath: folder) }  // A leftover of a test does no harm.
        let interpreter = try python(folder)
        let store = try Store.open(path: folder + "/anneal.db", onCommit: { _ in })
        let programs = Bundle.main.executableURL?.deletingLastPathComponent().path ?? ""
        let service = try await LoopActor.run {
            let configuration = ServiceConfiguration(
                dataDirectory: folder, shimPath: programs + "/anneal-shim", workerPath: programs + "/anneal-worker",
                pythonPath: interpreter,
                trainerDirectory: interpreter.map { _ in folder }, workerURL: "http://127.0.0.1:1", version: "test")
            return AnnealService(
                configuration: configuration, store: store, devices: try DeviceInventory(mode: .none),
                capacity: HostCapacity(slots: [], cpus: 1, memoryBytes: 1 << 30),
                log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
        let outcome: Result<Void, any Error>
        do {
            try await service.recover()
            outcome = .success(try await body(ServiceFixture(folder: folder, store: store, service: service)))
        } catch {
            outcome = .failure(error)
        }
        await LoopActor.run { service.stopScheduling() }
        await store.close()
        try outcome.get()
    }

    /// Starts a job whose worker fails when it is told to, with retries to come. Returns its id once it runs.
    func startJob() async throws -> String {
        let spec = """
            name: race
            jobs:
              a:
                command: "mkfifo \(folder)/fifo.new && mv \(folder)/fifo.new \(folder)/fifo && read line < \(folder)/fifo; exit 3"
                kind: command
                retry: {limit: 5, delay: 1h}
                cache: false
            """
        let request = SubmissionRequest(document: Array(spec.utf8), format: .yaml, overrides: [], baseDirectory: folder)
        let job = try #require(try await service.submit(request).jobs.first?.id)
        while try await state(of: job) != .running || !FileManager.default.fileExists(atPath: folder + "/fifo") { await Task.yield() }
        return job
    }

    /// Lets the worker go to its end.
    func endWorker() throws {
        let fifo = try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/fifo"))
        try fifo.write(contentsOf: Data("end\n".utf8))
        try fifo.close()
    }

    func state(of job: String) async throws -> JobState { try await store.read { try #require(try $0.jobState(job)) } }

    /// Whether the job may come to another attempt without anybody's doing.
    func mayStart(_ job: String) async -> Bool {
        await LoopActor.run { service.jobs[job]?.isDispatched == true || service.scheduler.queuedJob(job) != nil }
    }

    /// Whether the service still sees an attempt of the job, whose end may be in the database already.
    func isDispatched(_ job: String) async -> Bool { await LoopActor.run { service.jobs[job]?.isDispatched == true } }
}
