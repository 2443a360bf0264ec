import Glibc
import Supervision
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ProcessTreeTests {
    /// A daemon by the book: fork, new session, fork again. It says its pid and stays; the worker goes on when it has said it.
    private static func daemon(_ fifo: String) -> String {
        """
        import os, signal, time
        done, said = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                with open('\(fifo)', 'w') as fifo: fifo.write(f'{os.getpid()}\\n')
                os.write(said, b'x')
                time.sleep(600)
            os._exit(0)
        os.read(done, 1)
        """
    }

    @Test(arguments: [ControlGroupPlacement.belowOwn, .none])
    func aDaemonThatTheWorkerLeavesBehindIsKilled(placement: ControlGroupPlacement) async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("pid")
            let script = Self.daemon(fifo) + "\nos.wait(); os._exit(4)"
            let (_, events) = try await fixture.start(fixture.launch("a", ["python3", "-c", script], controlGroup: placement))
            let pid = try #require(Int32(try await fixture.line(from: fifo)))
            let record = try await events.ended()
            #expect(record.exitCode == 4)
            #expect(record.survivors.isEmpty)
            #expect(!AttemptFixture.isAlive(pid))
        }
    }

    @Test(arguments: [ControlGroupPlacement.belowOwn, .none])
    func aStopEndsTheWholeTree(placement: ControlGroupPlacement) async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("pid")
            let script = Self.daemon(fifo) + "\ntime.sleep(600)"
            let (handle, events) = try await fixture.start(fixture.launch("a", ["python3", "-c", script], controlGroup: placement))
            let pid = try #require(Int32(try await fixture.line(from: fifo)))
            #expect(AttemptFixture.isAlive(pid))
            try await handle.stop(reason: "cancelled")
            #expect(try await events.ended().signal == SIGTERM)
            #expect(!AttemptFixture.isAlive(pid))
        }
    }

    @Test func processesThatKeepForkingAreKilledAllTheSame() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("ready")
            // Each process lives a hundredth of a second and is followed by a child in a session of its own.
            let script = """
                import os, signal, time
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                if os.fork() == 0:
                    open('\(fifo)', 'w').write('ready\\n')
                    while True:
                        os.setsid() if os.getpid() != os.getsid(0) else None
                        time.sleep(0.01)
                        if os.fork() != 0: os._exit(0)
                time.sleep(600)
                """
            let launch = fixture.launch("a", ["python3", "-c", script], ladder: .immediate, controlGroup: .none)
            let (handle, events) = try await fixture.start(launch)
            _ = try await fixture.line(from: fifo)
            try await handle.stop(reason: "cancelled")
            #expect(try await events.ended().survivors.isEmpty)
            #expect(try await fixture.shell("grep -lsz 'ANNEAL_ATTEMPT_DIR=\(launch.directory)' /proc/[0-9]*/environ") == "")
        }
    }

    @Test func aChildThatEndsWithinTheGraceIsNotKilled() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("go")
            let script = "(read line < \(fifo); echo late) & exit 2"
            let launch = fixture.launch("a", ["/bin/sh", "-c", script], stragglerGrace: .seconds(60))
            let (handle, events) = try await fixture.start(launch)
            try await events.started()
            try await fixture.shell("echo go > \(fifo)")
            #expect(try await events.ended().exitCode == 2)
            #expect(try fixture.contents("stdout.log", of: handle.directory) == Array("late\n".utf8))
        }
    }

    @Test func theControlGroupOfAnAttemptIsRemovedAtItsEnd() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/true"]))
            _ = try await events.ended()
            // Null where this machine lets no control group be made: then there is none to remove.
            if let group = try fixture.record("shim.json", of: handle.directory)["control_group"]?.string {
                #expect(access(group, F_OK) != 0)
            }
        }
    }
}
