import Glibc
import JSON
import Supervision
import Testing

/// What holds when the process that started the attempts is killed.
@Suite(.timeLimit(.minutes(1)))
struct DaemonDeathTests {
    @Test func theStopLadderGoesOnWhenItsStarterIsKilled() async throws {
        try await AttemptFixture.with { fixture in
            let worker = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
            let directory = try fixture.makeFolder(
                "a",
                spec: [
                    "version": 1, "argv": ["python3", "-c", .string(worker)], "working_directory": "/tmp",
                    "environment": ["PATH": .string(String(cString: getenv("PATH")))], "ladder": ["terminate_grace_ms": 100],
                ])
            let starter = """
                import os, signal, socket, subprocess, sys, time
                read, write = os.pipe()
                os.set_inheritable(write, True)
                shim = subprocess.Popen([sys.argv[1], sys.argv[2], '--ready-fd', str(write)], start_new_session=True, close_fds=False)
                os.close(write)
                os.read(read, 1000)
                os.chdir(sys.argv[2])
                client = socket.socket(socket.AF_UNIX)
                client.connect('ctl.sock')
                client.sendall(b'{"version":1,"command":"stop","reason":"cancelled"}\\n')
                client.recv(1000)
                os.kill(os.getpid(), signal.SIGKILL)
                """
            let program = fixture.directory("starter.py")
            try fixture.write(starter, to: program)
            try await fixture.shell("python3 '\(program)' '\(AttemptFixture.shimPath)' '\(directory)' 2>/dev/null")

            let probe = EventProbe()
            let record: ExitRecord
            switch await fixture.supervisor.reattach(directory: directory, onEvent: { probe.append($0) }) {
            case .ended(let ended): record = ended
            case .running: record = try await probe.ended()
            case let other: throw EventProbe.Missing(what: "\(other)")
            }
            #expect(record.stopReason == "cancelled")
            #expect(record.signal == SIGKILL || record.signal == SIGTERM)
        }
    }

    /// Where the process below puts its attempts: named for this one, which is its parent.
    private static func folder(of pid: pid_t) -> String { "/tmp/anneal-supervision-killed-\(pid)" }

    @Test func aDaemonKilledWhileItStartsAttemptsLosesNoneAndRunsNoneTwice() async throws {
        let root = Self.folder(of: getpid())
        mkdir(root, 0o700)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            let root = DaemonDeathTests.folder(of: getppid())
            let supervisor = Supervisor(shimPath: AttemptFixture.shimPath, attemptsDirectory: root)
            for code in 0..<20 {
                let launch = AttemptLaunch(
                    directory: "\(root)/killed-\(getppid())-\(code)", argv: ["/bin/sh", "-c", "echo ran; exit \(code)"],
                    environment: AttemptFixture.environment, workingDirectory: "/tmp", jobDocument: [:])
                // Begun and not awaited: the death below falls somewhere among the starts.
                Task {
                    _ = try await supervisor.start(launch) { event in
                        if case .started = event, code == 8 { kill(getpid(), SIGKILL) }
                    }
                }
            }
            while true { pause() }
        }
        var ended = 0
        let supervisor = Supervisor(shimPath: AttemptFixture.shimPath, attemptsDirectory: root)
        for listing in try await supervisor.scan() {
            let log = listing.directory + "/stdout.log"
            let probe = EventProbe()
            let code = listing.directory.split(separator: "-").last.flatMap { Int32($0) }
            switch await supervisor.reattach(directory: listing.directory, onEvent: { probe.append($0) }) {
            case .ended(let record):
                #expect(record.exitCode == code)
                ended += 1
            case .running:
                #expect(try await probe.ended().exitCode == code)
                ended += 1
            case .neverStarted:
                #expect(access(log, F_OK) != 0)
                continue
            case let other: Issue.record("\(other)")
            }
            #expect(try AttemptFixture.read(log) == Array("ran\n".utf8))
        }
        #expect(ended > 0)
        try await AttemptFixture.with { fixture in _ = try await fixture.shell("rm -rf '\(root)'") }
    }
}
