import EventLoop
import Glibc
import Supervision
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ScaleTests {
    @Test func fiftyAttemptsAtOnceEndEachWithItsOwnCodeAndLog() async throws {
        try await AttemptFixture.with { fixture in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for code in 0..<50 {
                    group.addTask {
                        let launch = fixture.launch("\(code)", ["/bin/sh", "-c", "echo \(code); echo \(code) >&2; exit \(code)"])
                        let record = try await fixture.run(launch)
                        #expect(record.exitCode == Int32(code))
                        #expect(try fixture.contents("stdout.log", of: launch.directory) == Array("\(code)\n".utf8))
                        #expect(try fixture.contents("stderr.log", of: launch.directory) == Array("\(code)\n".utf8))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func noDescriptorIsLeftOpen() async throws {
        // In a process of its own, where no other test opens files.
        await #expect(processExitsWith: .success) {
            try await AttemptFixture.with { fixture in
                func everyWayToEnd(_ suffix: String) async throws {
                    _ = try await fixture.run(script: "exit 0", name: "ok" + suffix)
                    _ = try await fixture.run(fixture.launch("missing" + suffix, ["no-such-program"]))
                    let (stopped, stopEvents) = try await fixture.start(fixture.launch("stop" + suffix, ["sleep", "600"]))
                    try await stopped.stop(reason: "cancelled")
                    _ = try await stopEvents.ended()
                    let (orphaned, orphanEvents) = try await fixture.start(fixture.launch("orphan" + suffix, ["sleep", "600"]))
                    try await orphanEvents.started()
                    kill(try #require(await orphaned.shimPID), SIGKILL)
                    guard case .unsupervised(let worker) = try await orphanEvents.next() else {
                        throw EventProbe.Missing(what: "an orphan")
                    }
                    try await worker.signal(SIGKILL)
                    _ = try await orphanEvents.lost()
                    let (left, leftEvents) = try await fixture.start(fixture.launch("left" + suffix, ["sleep", "600"]))
                    try await leftEvents.started()
                    await left.detach()
                    let probe = EventProbe()
                    let result = await fixture.supervisor.reattach(directory: left.directory) { probe.append($0) }
                    guard case .running(let taken) = result else { throw EventProbe.Missing(what: "\(result)") }
                    try await taken.stop(reason: "cancelled")
                    _ = try await probe.ended()
                }
                func descriptorCount() async throws -> Int {
                    try #require(Int(try await fixture.shell("ls /proc/\(getpid())/fd | wc -l").split(separator: "\n").first ?? ""))
                }
                // The first round starts the loop and whatever else stays open by design.
                try await everyWayToEnd("1")
                let before = try await descriptorCount()
                for round in 2...6 { try await everyWayToEnd("\(round)") }
                // The runtime opens a descriptor or two of its own when it likes; five rounds that each left one would be more.
                let after = try await descriptorCount()
                #expect(after < before + 5)
            }
        }
    }

    @Test func noChildIsLeftBehind() async throws {
        // In a process of its own, where no other test has children.
        await #expect(processExitsWith: .success) {
            try await AttemptFixture.with { fixture in _ = try await fixture.run(script: "exit 0") }
            // The supervisor is gone, and what it started is ending. A zombie would stay, and be found again and again.
            var child = siginfo_t()
            while waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 { await Task.yield() }
            #expect(errno == ECHILD)
        }
    }
}
