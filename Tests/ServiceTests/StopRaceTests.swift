import Dispatch
import Domain
import Synchronization
import Testing

@testable import Service
@testable import Store

/// Requests to stop a job whose attempt ends by itself, with a retry to come, at the same moment.
@Suite struct StopRaceTests {
    @Test(arguments: [Way.cancel, .pause]) func aRequestHoldsThoughTheAttemptEndsBeforeItIsAskedToStop(way: Way) async throws {
        try await ServiceFixture.with { fixture in
            let job = try await fixture.startJob()
            let gate = Gate()
            try await withThrowingTaskGroup { group in
                // While the database is held, the first look of the request waits in its queue, and behind it the end of the attempt.
                group.addTask { try await fixture.store.write { _ in gate.pass() } }
                await gate.reached()
                group.addTask { try await way.ask(fixture.service, job) }
                while fixture.store.queuedWrites < 1 { await Task.yield() }
                try fixture.endWorker()
                while fixture.store.queuedWrites < 2 { await Task.yield() }
                gate.open()
                try await group.waitForAll()
            }
            try await expect(job, fixture, ends: way)
        }
    }

    @Test(arguments: [Way.cancel, .pause]) func aRequestHoldsThoughTheWorkerEndsBeforeItHearsOfIt(way: Way) async throws {
        try await ServiceFixture.with { fixture in
            let job = try await fixture.startJob()
            // As `stop` leaves the job where the supervisor does not hear of it any more.
            try await fixture.store.write { writer in
                let (reason, message) = way.request.stopping
                try writer.transition(
                    job: job, from: [.running], to: .stopping, reason: reason, message: message, at: Timestamp(milliseconds: 1))
            }
            try fixture.endWorker()
            try await expect(job, fixture, ends: way)
        }
    }

    /// A job that keeps to the request is where it leads, stays there, and its only attempt tells of its own end.
    private func expect(_ job: String, _ fixture: ServiceFixture, ends way: Way) async throws {
        while try await fixture.state(of: job).holdsResources { await Task.yield() }
        // The end is in the database a moment before the service has heard of it.
        while await fixture.isDispatched(job) { await Task.yield() }
        #expect(try await fixture.state(of: job) == way.state)
        #expect(await fixture.mayStart(job) == false)
        let attempts = try await fixture.store.read { try $0.attempts(job: job) }
        #expect(attempts.map(\.state) == [.failed] && attempts.first?.exitCode == 3)
    }

    enum Way: Sendable {
        case cancel, pause

        var state: JobState { self == .cancel ? .cancelled : .paused }
        var request: StopRequest { self == .cancel ? .cancelled : .paused }

        func ask(_ service: AnnealService, _ job: String) async throws {
            if self == .cancel { try await service.cancel(jobID: job) } else { try await service.pause(jobID: job) }
        }
    }
}

/// Keeps the thread that passes it until it is opened.
private final class Gate: Sendable {
    private let isReached = Atomic(false)
    private let semaphore = DispatchSemaphore(value: 0)

    func pass() {
        isReached.store(true, ordering: .sequentiallyConsistent)
        semaphore.wait()
    }

    func reached() async { while !isReached.load(ordering: .sequentiallyConsistent) { await Task.yield() } }

    func open() { semaphore.signal() }
}
