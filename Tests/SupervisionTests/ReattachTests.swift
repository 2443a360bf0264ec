import CPosix
import EventLoop
import Glibc
import JSON
import Supervision
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ReattachTests {
    /// A supervisor as a restarted daemon has it.
    private func successor(_ fixture: AttemptFixture) -> Supervisor {
        Supervisor(shimPath: AttemptFixture.shimPath, attemptsDirectory: fixture.root)
    }

    @Test func aRunningAttemptIsTakenUpWithItsExactExitCode() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("go")
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/sh", "-c", "read line < \(fifo); exit 42"]))
            let pid = try await events.started()
            let shim = await handle.shimPID
            await handle.detach()

            let probe = EventProbe()
            let result = await successor(fixture).reattach(directory: handle.directory) { probe.append($0) }
            guard case .running(let taken) = result else { throw EventProbe.Missing(what: "\(result)") }
            #expect(await taken.workerPID == pid)
            #expect(await taken.shimPID == shim)
            try await fixture.shell("echo go > \(fifo)")
            #expect(try await probe.ended().exitCode == 42)
        }
    }

    @Test func aReattachedAttemptCanBeStopped() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            try await events.started()
            await handle.detach()
            let probe = EventProbe()
            let result = await successor(fixture).reattach(directory: handle.directory) { probe.append($0) }
            guard case .running(let taken) = result else { throw EventProbe.Missing(what: "\(result)") }
            try await taken.stop(reason: "cancelled")
            #expect(try await probe.ended().stopReason == "cancelled")
        }
    }

    @Test func anAttemptThatEndedMeanwhileIsReadFromItsRecord() async throws {
        try await AttemptFixture.with { fixture in
            let record = try await fixture.run(script: "exit 17")
            let result = await successor(fixture).reattach(directory: fixture.directory("attempt")) { _ in }
            guard case .ended(let read) = result else { throw EventProbe.Missing(what: "\(result)") }
            #expect(read == record)
        }
    }

    @Test func manyAttemptsLeftAloneAtOnceAllKeepTheirExitCodes() async throws {
        try await AttemptFixture.with { fixture in
            for code in 0..<30 {
                let script = "sleep 0.0\(code); echo \(code); exit \(code)"
                let (handle, _) = try await fixture.start(fixture.launch("\(code)", ["/bin/sh", "-c", script]))
                await handle.detach()
            }
            let successor = successor(fixture)
            for code in 0..<30 {
                let probe = EventProbe()
                let record: ExitRecord
                switch await successor.reattach(directory: fixture.directory("\(code)"), onEvent: { probe.append($0) }) {
                case .ended(let ended): record = ended
                case .running: record = try await probe.ended()
                case let other: throw EventProbe.Missing(what: "\(other)")
                }
                #expect(record.exitCode == Int32(code))
                #expect(try fixture.contents("stdout.log", of: fixture.directory("\(code)")) == Array("\(code)\n".utf8))
            }
        }
    }

    @Test func aTruncatedExitRecordIsNeverTakenForAnEnd() async throws {
        try await AttemptFixture.with { fixture in
            _ = try await fixture.run(script: "exit 17")
            let directory = fixture.directory("attempt")
            let whole = try fixture.contents("exit.json", of: directory)
            for length in 0..<whole.count {
                try fixture.write(String(decoding: whole.prefix(length), as: UTF8.self), to: directory + "/exit.json")
                let result = await fixture.supervisor.reattach(directory: directory) { _ in }
                guard case .lost(let evidence) = result else { throw EventProbe.Missing(what: "\(length) bytes: \(result)") }
                #expect(evidence.hasPrefix("exit.json is not JSON"))
            }
        }
    }

    @Test(arguments: ["{}", "[]", #"{"version":1,"started_at_ms":1,"ended_at_ms":2}"#])
    func anExitRecordThatSaysNothingIsNeverTakenForAnEnd(text: String) async throws {
        try await AttemptFixture.with { fixture in
            _ = try await fixture.run(script: "exit 17")
            try fixture.write(text, to: fixture.directory("attempt") + "/exit.json")
            let result = await fixture.supervisor.reattach(directory: fixture.directory("attempt")) { _ in }
            guard case .lost(let evidence) = result else { throw EventProbe.Missing(what: "\(result)") }
            #expect(evidence == "exit.json does not say how the worker ended")
        }
    }

    @Test func aFolderWithoutAShimWasNeverStarted() async throws {
        try await AttemptFixture.with { fixture in
            let directory = try fixture.makeFolder("a", spec: ["version": 1, "argv": ["/bin/true"], "environment": [:]])
            let result = await fixture.supervisor.reattach(directory: directory) { _ in }
            guard case .neverStarted = result else { throw EventProbe.Missing(what: "\(result)") }
        }
    }

    @Test func anotherBootMeansTheHostWasRebooted() async throws {
        try await AttemptFixture.with { fixture in
            let spec: JSONValue = ["version": 1, "argv": ["/bin/true"], "boot_id": "00000000-0000-0000-0000-000000000000"]
            let directory = try fixture.makeFolder("a", spec: spec)
            let result = await fixture.supervisor.reattach(directory: directory) { _ in }
            guard case .lost(let evidence) = result else { throw EventProbe.Missing(what: "\(result)") }
            #expect(evidence == "the host was rebooted while the attempt ran")
        }
    }

    @Test func aFolderThatIsGoneIsLost() async throws {
        try await AttemptFixture.with { fixture in
            let result = await fixture.supervisor.reattach(directory: fixture.directory("none")) { _ in }
            guard case .lost(let evidence) = result else { throw EventProbe.Missing(what: "\(result)") }
            #expect(evidence.hasSuffix("is gone"))
        }
    }

    @Test func aFolderRemovedUnderARunningWorkerLosesTheOutcomeButNotTheWorker() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            let pid = try await events.started()
            try await fixture.shell("rm -r '\(handle.directory)'")
            let probe = EventProbe()
            let result = await successor(fixture).reattach(directory: handle.directory) { probe.append($0) }
            guard case .unsupervised(let worker) = result else { throw EventProbe.Missing(what: "\(result)") }
            #expect(await worker.pid == pid)
            try await worker.signal(SIGKILL)
            _ = try await probe.lost()
            #expect(try await events.lost().hasSuffix("is gone"))
        }
    }

    @Test func whoHoldsTheLockIsAliveWhateverElseIsMissing() async throws {
        try await AttemptFixture.with { fixture in
            let directory = try fixture.makeFolder("a", spec: ["version": 1, "argv": ["/bin/true"]])
            let lock = cposix_open(AT_FDCWD, directory + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            #expect(cposix_try_lock(lock) == 1)
            let probe = EventProbe()
            let result = await fixture.supervisor.reattach(directory: directory) { probe.append($0) }
            guard case .running(let handle) = result else { throw EventProbe.Missing(what: "\(result)") }
            #expect(await handle.shimPID == nil)
            try fixture.write(#"{"version":1,"started_at_ms":1,"ended_at_ms":2,"exit_code":6}"#, to: directory + "/exit.json")
            close(lock)
            #expect(try await probe.ended().exitCode == 6)
        }
    }

    @Test func aScanFindsEveryAttemptAndWhetherItLives() async throws {
        try await AttemptFixture.with { fixture in
            _ = try await fixture.run(fixture.launch("a", ["/bin/true"]))
            let (handle, events) = try await fixture.start(fixture.launch("b", ["sleep", "600"]))
            try await events.started()
            _ = try fixture.makeFolder("c", spec: ["version": 1])
            #expect(mkdir(fixture.directory("d"), 0o700) == 0)
            let listings = try await fixture.supervisor.scan()
            #expect(
                listings == [
                    AttemptListing(directory: fixture.directory("a"), hasLiveShim: false, hasExitRecord: true),
                    AttemptListing(directory: fixture.directory("b"), hasLiveShim: true, hasExitRecord: false),
                    AttemptListing(directory: fixture.directory("c"), hasLiveShim: false, hasExitRecord: false),
                ])
            try await handle.stop(reason: "cancelled")
            _ = try await events.ended()
        }
    }
}
