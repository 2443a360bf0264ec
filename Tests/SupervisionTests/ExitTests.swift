import Glibc
import Supervision
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ExitTests {
    @Test(arguments: [0, 1, 64, 75, 255] as [Int32])
    func theExitCodeIsExact(code: Int32) async throws {
        try await AttemptFixture.with { fixture in
            let record = try await fixture.run(script: "exit \(code)")
            #expect(record.exitCode == code)
            #expect(record.signal == nil)
            #expect(record.stopReason == nil)
            #expect(record.startError == nil)
            #expect(record.survivors.isEmpty)
            #expect(record.endedAtMs >= record.startedAtMs)
        }
    }

    @Test(arguments: [SIGKILL, SIGSEGV, SIGTERM])
    func theSignalThatEndedTheWorkerIsRecorded(signal: Int32) async throws {
        try await AttemptFixture.with { fixture in
            let record = try await fixture.run(script: "ulimit -c 0; kill -\(signal) $$")
            #expect(record.signal == signal)
            #expect(record.exitCode == nil)
            #expect(record.stopReason == nil)
        }
    }

    @Test func theStartIsToldOnceAndBeforeTheEnd() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/sh", "-c", "echo $$; exit 7"]))
            let pid = try await events.started()
            let record = try await events.ended()
            #expect(record.exitCode == 7)
            #expect(String(decoding: try fixture.contents("stdout.log", of: handle.directory), as: UTF8.self) == "\(pid)\n")
            #expect(await handle.workerPID == pid)
            #expect(await handle.isOver)
        }
    }

    @Test func theWorkerGetsItsEnvironmentAndFolderAndNothingElse() async throws {
        try await AttemptFixture.with { fixture in
            let launch = fixture.launch("a", ["/usr/bin/env"], environment: [("A", "1"), ("B", "ä b"), ("A", "2")], workingDirectory: "/")
            #expect(try await fixture.run(launch).exitCode == 0)
            let text = String(decoding: try fixture.contents("stdout.log", of: launch.directory), as: UTF8.self)
            #expect(Set(text.split(separator: "\n")) == ["A=2", "B=ä b", "ANNEAL_ATTEMPT_DIR=\(launch.directory)"])
        }
    }

    @Test func theWorkerInheritsNoDescriptor() async throws {
        try await AttemptFixture.with { fixture in
            let launch = fixture.launch("a", ["ls", "/proc/self/fd"])
            let record = try await fixture.run(launch)
            #expect(record.exitCode == 0)
            // The last is the folder that ls itself reads; it would have a higher number if another were open.
            #expect(try fixture.contents("stdout.log", of: launch.directory) == Array("0\n1\n2\n3\n".utf8))
        }
    }

    @Test func theWorkerStartsWithEverySignalAtItsDefault() async throws {
        try await AttemptFixture.with { fixture in
            let launch = fixture.launch("a", ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"])
            #expect(try await fixture.run(launch).exitCode == 0)
            let text = String(decoding: try fixture.contents("stdout.log", of: launch.directory), as: UTF8.self)
            #expect(text == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")
        }
    }

    @Test func theWorkerLeadsItsOwnSession() async throws {
        try await AttemptFixture.with { fixture in
            _ = try await fixture.run(script: "cut -d' ' -f1,5,6 /proc/$$/stat")
            let text = String(decoding: try fixture.contents("stdout.log", of: fixture.directory("attempt")), as: UTF8.self)
            let numbers = Set(text.split(whereSeparator: \.isWhitespace))
            #expect(numbers.count == 1)
        }
    }

    @Test func processorTimeAndMemoryOfTheTreeAreCounted() async throws {
        try await AttemptFixture.with { fixture in
            let script = "x = bytearray(64 << 20)\nimport time\nwhile time.process_time() < 0.2: pass\n"
            let record = try await fixture.run(fixture.launch("a", ["/bin/sh", "-c", "python3 -c '\(script)'; exit 0"]))
            #expect(record.maxRSSBytes > 64 << 20)
            #expect(record.userCPU + record.systemCPU >= .milliseconds(200))
            #expect(record.wall >= .milliseconds(100))
        }
    }

    @Test func theFilesOfTheAttemptAreForItsOwnerOnly() async throws {
        try await AttemptFixture.with { fixture in
            let launch = fixture.launch("a", ["/bin/true"], environment: [("TOKEN", "secret")])
            _ = try await fixture.run(launch)
            for name in ["", "/spec.json", "/job.json", "/exit.json", "/shim.json", "/stdout.log", "/stderr.log"] {
                var information = stat()
                #expect(stat(launch.directory + name, &information) == 0)
                #expect(information.st_mode & 0o077 == 0, "\(name)")
            }
            #expect(try fixture.record("job.json", of: launch.directory)["name"] == "a")
        }
    }

    @Test func aWorkerGoesBeforeItsSupervisorWhenMemoryRunsOut() async throws {
        try await AttemptFixture.with { fixture in
            let launch = fixture.launch("a", ["cat", "/proc/self/oom_score_adj"])
            _ = try await fixture.run(launch)
            let score = String(decoding: try fixture.contents("stdout.log", of: launch.directory), as: UTF8.self)
            #expect(Int(score.split(separator: "\n").first ?? "") ?? 0 >= 500)
        }
    }
}
