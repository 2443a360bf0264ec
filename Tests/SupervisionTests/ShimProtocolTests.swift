import Glibc
import JSON
import Supervision
import Testing

/// The shim run by hand: what its command line, spec.json and ctl.sock accept.
@Suite(.timeLimit(.minutes(1)))
struct ShimProtocolTests {
    @Test func membersThatAreNotKnownAreIgnored() async throws {
        try await AttemptFixture.with { fixture in
            let spec: JSONValue = ["version": 1, "argv": ["/bin/sh", "-c", "exit 5"], "environment": [:], "from_the_future": [1, 2]]
            let directory = try fixture.makeFolder("a", spec: spec)
            #expect(try await fixture.runShim("'\(directory)'").code == 0)
            #expect(try fixture.record("exit.json", of: directory)["exit_code"] == 5)
        }
    }

    @Test(
        arguments: [
            (#"{"version":2,"argv":["/bin/true"],"environment":{}}"#, "spec.json has version 2; this shim reads up to 1"),
            (#"{"argv":["/bin/true"]}"#, "spec.json has no version"),
            (#"{"version":1,"argv":[],"environment":{}}"#, "spec.json names no program in argv"),
            (#"{"version":1,"argv":[7],"environment":{}}"#, "argv of spec.json holds integer where a string should stand"),
            (#"{"version":1,"argv":["a"],"environment":{"A=B":""}}"#, "environment of spec.json has a variable that cannot be named 'A=B'"),
            ("[]", "spec.json is not an object"),
            ("{", "spec.json is not JSON: expected a member name in double quotes at byte 2"),
        ])
    func aBadSpecIsAnEndWithAMessage(text: String, message: String) async throws {
        try await AttemptFixture.with { fixture in
            let directory = try fixture.makeFolder("a", spec: [:])
            try fixture.write(text + "\n", to: directory + "/spec.json")
            #expect(try await fixture.runShim("'\(directory)'").code == 0)
            #expect(try fixture.record("exit.json", of: directory)["start_error"]?["message"]?.string == message)
        }
    }

    @Test func aWrongCommandLineIsAUsageError() async throws {
        try await AttemptFixture.with { fixture in
            for arguments in ["", "/no/such/folder", "/tmp --lock-fd", "/tmp --lock-fd 1", "/tmp --other 5"] {
                let result = try await fixture.runShim(arguments)
                #expect(result.code == 64, "\(arguments)")
            }
        }
    }

    @Test func aLockDescriptorOfAnotherFileIsRefused() async throws {
        try await AttemptFixture.with { fixture in
            let directory = try fixture.makeFolder("a", spec: ["version": 1, "argv": ["/bin/true"], "environment": [:]])
            #expect(try await fixture.runShim("'\(directory)' --lock-fd 5 5>'\(fixture.directory("other"))'").code == 73)
        }
    }

    @Test func theSocketAnswersGoodAndBadCommandsInTurn() async throws {
        try await AttemptFixture.with { fixture in
            let (handle, events) = try await fixture.start(fixture.launch("a", ["sleep", "600"]))
            let pid = try await events.started()
            let client = """
                import os, socket, sys
                os.chdir(sys.argv[1])
                s = socket.socket(socket.AF_UNIX)
                s.connect('ctl.sock')
                s.sendall(b'nonsense\\n{"version":1}\\n{"command":"dance"}\\n{"command":"stop"}\\n{"command":"signal","signal":99}\\n')
                s.sendall(b'{"version":9,"command":"sta')
                s.sendall(b'tus","unknown":true}\\n')
                for line in s.makefile(): 
                    print(line, end='', flush=True)
                    if '"ok":true' in line: break
                """
            let program = fixture.directory("client.py")
            try fixture.write(client, to: program)
            let answers = try await fixture.shell("python3 '\(program)' '\(handle.directory)'").split(separator: "\n").map { line in
                try JSONParser.parse(line.utf8)
            }
            #expect(
                answers.dropLast().map { $0["error"]?.string } == [
                    "the command is not JSON: expected 'null' at byte 1", "the command has no member 'command'", "unknown command 'dance'",
                    "a stop needs a reason of at most 64 bytes", "a signal needs a number from 1 to 64",
                ])
            #expect(answers.last?["child_pid"]?.int == Int(pid))
            var information = stat()
            #expect(stat(handle.directory + "/ctl.sock", &information) == 0)
            #expect(information.st_mode & 0o777 == 0o600)
            try await handle.stop(reason: "cancelled")
            _ = try await events.ended()
            #expect(access(handle.directory + "/ctl.sock", F_OK) != 0)
        }
    }

    @Test func aFolderWithALongerPathThanASocketAddressWorks() async throws {
        try await AttemptFixture.with { fixture in
            let long = fixture.root + "/" + String(repeating: "x", count: 200)
            #expect(mkdir(long, 0o700) == 0)
            var launch = fixture.launch("a", ["sleep", "600"])
            launch.directory = long + "/" + (launch.directory.split(separator: "/").last ?? "")
            let (handle, events) = try await fixture.start(launch)
            try await events.started()
            try await handle.stop(reason: "cancelled")
            #expect(try await events.ended().stopReason == "cancelled")
        }
    }

    /// Whether a file system of this test's own can be mounted; only then can its disk be filled.
    private static let canMount: Bool = geteuid() == 0 && mount("none", "/mnt", "tmpfs", 0, nil) == 0 && umount("/mnt") == 0

    @Test(.enabled(if: canMount, "needs the right to mount a small file system"))
    func theExitCodeIsRecordedOnAFullDisk() async throws {
        try await AttemptFixture.with { fixture in
            let disk = fixture.root + "/disk"
            #expect(mkdir(disk, 0o700) == 0)
            try await fixture.shell("mount -t tmpfs -o size=256k none '\(disk)'")
            var launch = fixture.launch("a", ["/bin/sh", "-c", "dd if=/dev/zero of=fill bs=4k 2>/dev/null; echo x; exit 33"])
            launch.directory = disk + "/" + (launch.directory.split(separator: "/").last ?? "")
            launch.workingDirectory = disk
            let record = try await fixture.run(launch)
            #expect(record.exitCode == 33)
            let second = await #expect(throws: SupervisionError.self) {
                var late = fixture.launch("b", ["/bin/true"])
                late.directory = disk + "/b"
                _ = try await fixture.start(late)
            }
            #expect(second?.errorNumber == ENOSPC)
            try await fixture.shell("umount '\(disk)'")
        }
    }
}
