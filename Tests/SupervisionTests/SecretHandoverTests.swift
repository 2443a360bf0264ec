import Glibc
import JSON
import Supervision
import Testing

/// Secrets reach the worker's environment, by memory or by a file that is gone when the worker runs.
@Suite struct SecretHandoverTests {
    @Test(arguments: [SecretHandover.descriptor, .file])
    func theWorkerHasThemAndTheFolderHasNot(handover: SecretHandover) async throws {
        try await AttemptFixture.with { fixture in
            var launch = fixture.launch("secrets", ["/bin/sh", "-c", #"test "$TOKEN" = se"cr"et-value && ls "$ANNEAL_ATTEMPT_DIR""#])
            launch.secrets = [("TOKEN", "secret-value")]
            launch.secretHandover = handover
            let record = try await fixture.run(launch)
            #expect(record.exitCode == 0, "\(record)")
            let listing = String(decoding: try fixture.contents("stdout.log", of: launch.directory), as: UTF8.self)
            #expect(!listing.split(separator: "\n").contains("secrets"))
            let spec = String(decoding: try fixture.contents("spec.json", of: launch.directory), as: UTF8.self)
            #expect(spec.contains("TOKEN") && !spec.contains("secret-value"))
        }
    }

    @Test func aFileThatIsGoneIsAStartError() async throws {
        try await AttemptFixture.with { fixture in
            var launch = fixture.launch("lost", ["/bin/true"])
            launch.secretHandover = .file
            // A name with a zero byte in its value cannot be handed over.
            launch.secrets = [("TOKEN", "a\u{0}b")]
            let record = try await fixture.run(launch)
            #expect(record.startError?.step == "secrets" && record.startError?.message.contains("'TOKEN'") == true)
            #expect(access(launch.directory + "/secrets", F_OK) != 0)
        }
    }

    @Test func secretsThatNobodyTookAreRemoved() async throws {
        try await AttemptFixture.with { fixture in
            let folder = fixture.directory("untaken")
            mkdir(folder, 0o700)
            close(open(folder + "/secrets", O_WRONLY | O_CREAT, 0o600))
            SecretHandover.remove(from: folder)
            #expect(access(folder + "/secrets", F_OK) != 0)
        }
    }

    @Test func cleanUpRunsAfterTheWorkerUntilItSucceeds() async throws {
        try await AttemptFixture.with { fixture in
            var launch = fixture.launch("clean", ["/bin/sh", "-c", "exit 3"])
            launch.secrets = [("TOKEN", "secret-value")]
            let count = #"echo x >> tries; test $(wc -l < tries) -ge 3"#
            launch.cleanUp = [
                CleanUpStep(argv: ["/bin/sh", "-c", "test ! -e exit.json && echo state; env | grep -c TOKEN"], output: "state.txt"),
                CleanUpStep(argv: ["/bin/sh", "-c", count], tries: 5),
            ]
            let record = try await fixture.run(launch)
            #expect(record.exitCode == 3)
            let state = String(decoding: try fixture.contents("state.txt", of: launch.directory), as: UTF8.self)
            #expect(state == "state\n0\n")
            let tries = try fixture.contents("tries", of: launch.directory)
            #expect(tries.count == 6)
        }
    }
}
