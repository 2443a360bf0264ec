import EventLoop
import Glibc
import JSON
import Supervision
import Testing

@Suite(.timeLimit(.minutes(1)))
struct StopTests {
    @Test func aStopEndsARunningWorkerBySIGTERM() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"], ladder: StopLadder()))
            try await events.started()
            try await handle.stop(reason: "cancelled")
            let record = try await events.ended()
            #expect(record.signal == SIGTERM)
            #expect(record.stopReason == "cancelled")
        }
    }

    @Test func aWorkerThatSavesAndExitsOnSIGTERMKeepsItsExitCode() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("ready")
            let script = "trap 'echo saved; exit 75' TERM; echo ready > \(fifo); while :; do sleep 600 & wait; done"
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/sh", "-c", script], ladder: StopLadder()))
            _ = try await fixture.line(from: fifo)
            try await handle.stop(reason: "preempted")
            let record = try await events.ended()
            #expect(record.exitCode == 75)
            #expect(record.stopReason == "preempted")
            #expect(try fixture.contents("stdout.log", of: handle.directory) == Array("saved\n".utf8))
        }
    }

    @Test func aWorkerThatIgnoresSIGTERMIsKilled() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("ready")
            let script = "trap '' TERM; echo ready > \(fifo); while :; do sleep 600; done"
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/sh", "-c", script]))
            _ = try await fixture.line(from: fifo)
            try await handle.stop(reason: "cancelled")
            let record = try await events.ended()
            #expect(record.signal == SIGKILL)
            #expect(record.stopReason == "cancelled")
        }
    }

    @Test func aStoppedWorkerIsContinuedToSeeSIGTERM() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"], ladder: StopLadder()))
            let pid = try await events.started()
            kill(pid, SIGSTOP)
            try await handle.stop(reason: "cancelled")
            #expect(try await events.ended().signal == SIGTERM)
        }
    }

    @Test func theCheckpointSignalComesFirstAndReachesTheFirstProcessAlone() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("ready")
            // The child would die of SIGUSR1; the shell outlives it only where the signal was not sent to the whole group.
            let script = """
                import os, signal, subprocess
                child = subprocess.Popen(['sleep', '600'])
                def save(number, frame):
                    print('checkpoint', child.poll(), flush=True)
                    child.kill(); os._exit(75)
                signal.signal(signal.SIGUSR1, save)
                open('\(fifo)', 'w').write('ready\\n')
                while True: signal.pause()
                """
            let ladder = StopLadder(checkpointSignal: SIGUSR1, checkpointGrace: .seconds(60))
            let (handle, events) = try await fixture.start(fixture.launch("a", ["python3", "-c", script], ladder: ladder))
            _ = try await fixture.line(from: fifo)
            try await handle.stop(reason: "paused")
            #expect(try await events.ended().exitCode == 75)
            #expect(try fixture.contents("stdout.log", of: handle.directory) == Array("checkpoint None\n".utf8))
        }
    }

    @Test func aSecondStopHastensTheFirst() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("ready")
            let script = "trap '' TERM; echo ready > \(fifo); while :; do sleep 600; done"
            let ladder = StopLadder(terminateGrace: .seconds(3_600))
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/sh", "-c", script], ladder: ladder))
            _ = try await fixture.line(from: fifo)
            try await handle.stop(reason: "paused")
            #expect(try await handle.status()?.stopPhase == "terminate")
            #expect(try await handle.status()?.state == "stopping")
            try await handle.stop(reason: "cancelled", ladder: .immediate)
            let record = try await events.ended()
            #expect(record.signal == SIGKILL)
            #expect(record.stopReason == "cancelled")
        }
    }

    @Test func aStopDuringTheStartIsNotForgotten() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            // Sent without waiting for the start.
            try await handle.stop(reason: "cancelled")
            let record = try await events.ended()
            #expect(record.stopReason == "cancelled")
            #expect(record.signal == SIGTERM)
        }
    }

    @Test func aStopAfterTheEndDoesNothing() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/sh", "-c", "exit 3"]))
            #expect(try await events.ended().exitCode == 3)
            try await handle.stop(reason: "cancelled")
            #expect(try await handle.status() == nil)
            #expect(try fixture.record("exit.json", of: handle.directory)["stop_reason"] == .null)
        }
    }

    @Test func aTimeLimitEndsTheWorkerWithThatReason() async throws {
        try await AttemptFixture.with { fixture in
            let record = try await fixture.run(fixture.launch("a", ["sleep", "600"], timeLimit: .milliseconds(50)))
            #expect(record.stopReason == "timeout")
            #expect(record.signal == SIGTERM)
            #expect(record.wall >= .milliseconds(50))
        }
    }

    @Test func statusTellsTheWorkerAndTheTimeLeft() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"], timeLimit: .seconds(1_000)))
            let pid = try await events.started()
            let status = try #require(try await handle.status())
            #expect(status.state == "running")
            #expect(status.workerPID == pid)
            #expect(status.startedAtMs == (await handle.startedAtMs))
            #expect(try #require(status.timeLeft) <= .seconds(1_000))
            try await handle.stop(reason: "cancelled", ladder: .immediate)
            _ = try await events.ended()
        }
    }

    @Test func aSignalReachesTheWorkerAndIsNoStop() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("ready")
            let script = "trap 'exit 9' USR2; echo ready > \(fifo); while :; do sleep 600 & wait; done"
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/sh", "-c", script]))
            _ = try await fixture.line(from: fifo)
            try await handle.signal(SIGUSR2)
            let record = try await events.ended()
            #expect(record.exitCode == 9)
            #expect(record.stopReason == nil)
        }
    }

    @Test func aShimThatCannotAnswerIsAnErrorAndNotAnEnd() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            try await events.started()
            let socket = handle.directory + "/ctl.sock"
            #expect(rename(socket, socket + ".away") == 0)
            let error = await #expect(throws: SupervisionError.self) { try await handle.stop(reason: "cancelled") }
            #expect(error?.code == .unreachable)
            #expect(await !handle.isOver)
            #expect(rename(socket + ".away", socket) == 0)
            try await handle.stop(reason: "cancelled")
            #expect(try await events.ended().signal == SIGTERM)
        }
    }
}
