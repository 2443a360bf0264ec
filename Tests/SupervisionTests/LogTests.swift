import Glibc
import Supervision
import Testing

@Suite(.timeLimit(.minutes(1)))
struct LogTests {
    @Test func twentyMegabytesWrittenFastAreThereByteForByte() async throws {
        try await AttemptFixture.with { fixture in
            let script = """
                import sys
                line = b'0123456789abcdef' * 64 + b'\\n'
                for i in range(20480): sys.stdout.buffer.write(line)
                """
            let launch = fixture.launch("a", ["python3", "-c", script])
            #expect(try await fixture.run(launch).exitCode == 0)
            let log = try fixture.contents("stdout.log", of: launch.directory)
            let line = Array(String(repeating: "0123456789abcdef", count: 64).utf8) + [10]
            #expect(log.count == 20_480 * line.count)
            let areEqual = log.withUnsafeBytes { log in
                line.withUnsafeBytes { line in
                    stride(from: 0, to: log.count, by: line.count).allSatisfy { offset in
                        guard let place = log.baseAddress?.advanced(by: offset), let expected = line.baseAddress else { return false }
                        return memcmp(place, expected, line.count) == 0
                    }
                }
            }
            #expect(areEqual)
        }
    }

    @Test func bytesWithoutNewlineAndWithoutUTF8AreKept() async throws {
        try await AttemptFixture.with { fixture in
            _ = try await fixture.run(script: "printf 'a\\377\\000b'; printf 'no newline' >&2")
            #expect(try fixture.contents("stdout.log", of: fixture.directory("attempt")) == [0x61, 0xFF, 0x00, 0x62])
            #expect(try fixture.contents("stderr.log", of: fixture.directory("attempt")) == Array("no newline".utf8))
        }
    }

    @Test func aWorkerThatClosesItsOutputEarlyRunsToItsEnd() async throws {
        try await AttemptFixture.with { fixture in
            let record = try await fixture.run(script: "echo first; exec 1>&- 2>&-; /bin/true; exit 5")
            #expect(record.exitCode == 5)
            #expect(try fixture.contents("stdout.log", of: fixture.directory("attempt")) == Array("first\n".utf8))
        }
    }

    @Test func standardInputIsEmpty() async throws {
        try await AttemptFixture.with { fixture in
            let record = try await fixture.run(script: "read line && exit 1; exit 0")
            #expect(record.exitCode == 0)
        }
    }

    @Test(arguments: [4_096, 4_097])
    func aLogMayReachItsLimitAndNotPassIt(byteCount: Int) async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("ready")
            let script = "head -c \(byteCount) /dev/zero; echo ready > \(fifo); exec sleep 600"
            let (handle, events) = try await fixture.start(fixture.launch("a", ["/bin/sh", "-c", script], logBytesMax: 4_096))
            if byteCount == 4_096 {
                _ = try await fixture.line(from: fifo)
                // The shim looks at its limits after each command, so before it answers the second it has looked.
                for _ in 0..<2 { _ = try await handle.status() }
                #expect(try await handle.status()?.state == "running")
                try await handle.stop(reason: "cancelled")
                #expect(try await events.ended().stopReason == "cancelled")
            } else {
                #expect(try await events.ended().stopReason == "log_limit")
            }
        }
    }
}
