import Glibc
import Supervision
import Testing

@Suite(.timeLimit(.minutes(1)))
struct StartFailureTests {
    @Test func aMissingProgramIsAStartErrorThatNamesIt() async throws {
        try await AttemptFixture.with { fixture in
            let record = try await fixture.run(fixture.launch("a", ["no-such-program", "x"]))
            let error = try #require(record.startError)
            #expect(error.step == "exec")
            #expect(error.errorNumber == ENOENT)
            #expect(error.message.hasPrefix("the program 'no-such-program' was not found in PATH"))
            #expect(record.exitCode == nil)

            let absolute = try await fixture.run(fixture.launch("b", ["/no/such/program"]))
            #expect(absolute.startError?.message == "the program '/no/such/program' does not exist")
        }
    }

    @Test func aFileThatIsNotExecutableIsAStartError() async throws {
        try await AttemptFixture.with { fixture in
            let program = try await fixture.writeScript("#!/bin/sh", mode: "600")
            let record = try await fixture.run(fixture.launch("a", [program]))
            #expect(record.startError?.errorNumber == EACCES)
            #expect(record.startError?.message == "the program '\(program)' is not executable")
        }
    }

    @Test func aMissingInterpreterIsToldFromAMissingProgram() async throws {
        try await AttemptFixture.with { fixture in
            let program = try await fixture.writeScript("#!/no/such/interpreter", mode: "700")
            let record = try await fixture.run(fixture.launch("a", [program]))
            #expect(record.startError?.message == "cannot run '\(program)': the interpreter that it names does not exist")
        }
    }

    @Test func aBadWorkingDirectoryIsAStartErrorThatNamesIt() async throws {
        try await AttemptFixture.with { fixture in
            let record = try await fixture.run(fixture.launch("a", ["/bin/true"], workingDirectory: "/no/such/folder"))
            #expect(record.startError?.step == "working_directory")
            #expect(record.startError?.message == "cannot enter the working directory '/no/such/folder': No such file or directory")
        }
    }

    @Test func aZeroByteInAnArgumentIsAStartError() async throws {
        try await AttemptFixture.with { fixture in
            let record = try await fixture.run(fixture.launch("a", ["/bin/echo", "a\0b"]))
            #expect(record.startError?.step == "spec")
            #expect(record.startError?.message == "argv of spec.json holds a zero byte")
        }
    }

    @Test func noProgramAtAllIsRefusedBeforeAnythingIsWritten() async throws {
        try await AttemptFixture.with { fixture in
            await #expect(throws: SupervisionError.self) { try await fixture.start(fixture.launch("a", [])) }
            #expect(access(fixture.directory("a"), F_OK) != 0)
        }
    }

    @Test func aMissingShimFailsTheStart() async throws {
        try await AttemptFixture.with { fixture in
            let supervisor = Supervisor(shimPath: "/no/such/shim", attemptsDirectory: fixture.root)
            let error = await #expect(throws: SupervisionError.self) {
                _ = try await supervisor.start(fixture.launch("a", ["/bin/true"])) { _ in }
            }
            #expect(error?.code == .spawn)
            #expect(error?.message == "cannot start the supervisor '/no/such/shim': No such file or directory")
        }
    }

    @Test func aShimThatIsNoneEndsTheAttemptAsNotStarted() async throws {
        try await AttemptFixture.with { fixture in
            let probe = EventProbe()
            let supervisor = Supervisor(shimPath: "/bin/false", attemptsDirectory: fixture.root)
            _ = try await supervisor.start(fixture.launch("a", ["/bin/true"])) { probe.append($0) }
            let record = try await probe.ended()
            #expect(record.startError?.step == "supervisor")
            // How it ended can only be told where it was started directly.
            #expect(record.startError?.message.hasPrefix("the worker was not started: ") == true)
        }
    }

    @Test func aFolderIsNeverUsedForTwoAttempts() async throws {
        try await AttemptFixture.with { fixture in
            _ = try await fixture.run(fixture.launch("a", ["/bin/true"]))
            let error = await #expect(throws: SupervisionError.self) { try await fixture.start(fixture.launch("a", ["/bin/true"])) }
            #expect(error?.code == .alreadyUsed)
        }
    }
}
