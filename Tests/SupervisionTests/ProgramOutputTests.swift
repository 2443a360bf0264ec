import Foundation
import Testing

@testable import Supervision

/// Short programs whose output is read.
@Suite struct ProgramOutputTests {
    private struct Run: Equatable {
        var output: String
        var ending: ProgramOutput.Ending
    }

    private func run(_ script: String, timeout: Duration = .seconds(60), bytesMax: Int = 1000) throws -> Run {
        let (bytes, ending) = try ProgramOutput.run(
            ["/bin/sh", "-c", script], environment: [("PATH", "/usr/bin:/bin"), ("NAME", "value")], timeout: timeout, bytesMax: bytesMax)
        return Run(output: String(decoding: bytes, as: UTF8.self), ending: ending)
    }

    @Test func outputAndExitAreTold() throws {
        #expect(try run("echo $NAME; echo unseen >&2; exit 3") == Run(output: "value\n", ending: .exit(3)))
        #expect(try run("printf a; kill -9 $$") == Run(output: "a", ending: .signal(9)))
        #expect(try run("exec >&-; exit 4") == Run(output: "", ending: .exit(4)))
    }

    @Test func whatItLeavesBehindIsNotWaitedFor() throws {
        let run = try run("sleep 600 & echo $!")
        #expect(run.ending == .exit(0))
        let pid = try #require(Int32(run.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        // It belonged to the program's group, which is ended with it; init or a subreaper may still hold its zombie.
        while kill(pid, 0) == 0, try !String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8).contains(") Z ") { sched_yield() }
    }

    @Test func aProgramThatHangsIsKilled() throws {
        #expect(try run("echo a; sleep 600; echo b", timeout: .milliseconds(500)).ending == .timeout)
        #expect(try run("exec >&-; sleep 600", timeout: .milliseconds(500)).ending == .timeout)
    }

    @Test func itMayPrintSoMuchAndNoMore() throws {
        #expect(try run("head -c 1000 /dev/zero").ending == .exit(0))
        #expect(try run("head -c 1001 /dev/zero").ending == .tooLong)
        #expect(try run("cat /dev/zero").ending == .tooLong)
    }

    @Test func aProgramThatIsNotThereIsTold() {
        let error = #expect(throws: SupervisionError.self) {
            try ProgramOutput.run(["/no/such/program"], environment: [], timeout: .seconds(1), bytesMax: 1)
        }
        #expect(error?.message == "cannot start the program '/no/such/program': No such file or directory")
    }
}
