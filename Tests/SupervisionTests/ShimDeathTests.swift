import Glibc
import JSON
import Supervision
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ShimDeathTests {
    @Test func aWorkerWhoseShimWasKilledIsFoundAndNotCalledDead() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            let pid = try await events.started()
            kill(try #require(await handle.shimPID), SIGKILL)
            guard case .unsupervised(let worker) = try await events.next() else { throw EventProbe.Missing(what: "not unsupervised") }
            #expect(await worker.pid == pid)
            #expect(AttemptFixture.isAlive(pid))

            // A new daemon sees the same.
            let probe = EventProbe()
            let successor = Supervisor(shimPath: AttemptFixture.shimPath, attemptsDirectory: fixture.root)
            let result = await successor.reattach(directory: handle.directory) { probe.append($0) }
            guard case .unsupervised(let found) = result else { throw EventProbe.Missing(what: "\(result)") }
            #expect(await found.pids == [pid])

            try await worker.signal(SIGTERM)
            let evidence = "the supervisor died and the worker ended after it, so its exit code is unknown"
            #expect(try await events.lost() == evidence)
            #expect(try await probe.lost() == evidence)
        }
    }

    @Test(arguments: [ControlGroupPlacement.belowOwn, .none])
    func aDaemonOfTheWorkerCountsAsTheWorkerWhileItLives(placement: ControlGroupPlacement) async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("pid")
            let script = "setsid sh -c 'echo $$ > \(fifo); exec sleep 600' & exec sleep 600"
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/sh", "-c", script], controlGroup: placement))
            let pid = try await events.started()
            let daemon = try #require(Int32(try await fixture.line(from: fifo)))
            kill(try #require(await handle.shimPID), SIGKILL)
            guard case .unsupervised(let worker) = try await events.next() else { throw EventProbe.Missing(what: "not unsupervised") }
            #expect(await Set(worker.pids) == [pid, daemon])
            try await worker.signal(SIGKILL)
            _ = try await events.lost()
            #expect(!AttemptFixture.isAlive(daemon))
        }
    }

    @Test func aShimAndAWorkerKilledTogetherAreLostWithEvidence() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            let pid = try await events.started()
            let shim = try #require(await handle.shimPID)
            // The shim first stands still, so that it cannot see the worker's death.
            kill(shim, SIGSTOP)
            kill(pid, SIGKILL)
            kill(shim, SIGKILL)
            let evidence = try await events.lost()
            #expect(evidence.contains("supervisor"))
        }
    }

    @Test func aSecondShimOnTheSameAttemptIsRefused() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            try await events.started()
            let before = try fixture.contents("shim.json", of: handle.directory)
            #expect(try await fixture.runShim("'\(handle.directory)'").code == 73)
            #expect(try fixture.contents("shim.json", of: handle.directory) == before)
            try await handle.stop(reason: "cancelled")
            let record = try await events.ended()
            #expect(record.stopReason == "cancelled")
            // And none begins anew what has ended.
            #expect(try await fixture.runShim("'\(handle.directory)'").code == 76)
        }
    }

    @Test func noShimBeginsAnewWhatAnotherHasStarted() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            try await events.started()
            kill(try #require(await handle.shimPID), SIGKILL)
            guard case .unsupervised(let worker) = try await events.next() else { throw EventProbe.Missing(what: "not unsupervised") }
            #expect(try await fixture.runShim("'\(handle.directory)'").code == 77)
            try await worker.signal(SIGKILL)
            _ = try await events.lost()
        }
    }

    @Test(arguments: [SIGTERM, SIGHUP, SIGINT])
    func signalsForTheDaemonDoNotEndTheShim(signal: Int32) async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            try await events.started()
            kill(try #require(await handle.shimPID), signal)
            #expect(try await handle.status()?.state == "running")
            try await handle.stop(reason: "cancelled")
            #expect(try await events.ended().stopReason == "cancelled")
        }
    }
}
