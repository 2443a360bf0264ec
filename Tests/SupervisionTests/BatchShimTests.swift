import Glibc
import JSON
import Supervision
import Testing

/// The shim as a batch job of a cluster: its orders are the cluster's signals and stop.json.
@Suite struct BatchShimTests {
    /// Starts a shim as a batch script does, with the signals ignored, and returns its process once the worker runs.
    private static func start(
        _ fixture: AttemptFixture, _ script: String, ready fifo: String, more: JSONObject = [:], environment: String = ""
    ) async throws -> (directory: String, pid: Int32) {
        var spec: JSONObject = [
            "version": 1, "argv": ["/bin/sh", "-c", .string(script)], "environment": ["FIFO": .string(fifo)],
            "ladder": ["terminate_grace_ms": 20_000], "control_group": false,
        ]
        spec.merge(more) { _, new in new }
        let directory = try fixture.makeFolder("batch", spec: .object(spec))
        let log = directory + "/batch.log"
        let line = "trap '' USR1 TERM; \(environment) exec '\(AttemptFixture.shimPath)' '\(directory)' --batch"
        let text = try await fixture.shell("sh -c \"\(line)\" > '\(log)' 2>&1 & echo $!")
        return (directory, try #require(Int32(text.split(separator: "\n").first ?? "")))
    }

    /// The exit record, once the shim has ended.
    private static func end(_ fixture: AttemptFixture, _ directory: String, _ pid: Int32) async throws -> JSONValue {
        try await fixture.shell("timeout 60 tail --pid=\(pid) -f /dev/null")
        return try fixture.record("exit.json", of: directory)
    }

    private static let saving = "trap 'exit 75' TERM; echo up > $FIFO; while :; do sleep 0.05; done"

    @Test func theEndOfTheAllocationIsAReasonToSave() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("fifo")
            let (directory, pid) = try await Self.start(fixture, Self.saving, ready: fifo, more: ["allocation_grace_ms": 15_000])
            #expect(try await fixture.line(from: fifo) == "up")
            #expect(kill(pid, SIGUSR1) == 0)
            let record = try await Self.end(fixture, directory, pid)
            #expect(record["stop_reason"]?.string == "allocation_ends" && record["exit_code"]?.int == 75)
        }
    }

    @Test func theClustersSIGTERMIsToldFromTheAllocationsEnd() async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("fifo")
            let (directory, pid) = try await Self.start(fixture, Self.saving, ready: fifo)
            #expect(try await fixture.line(from: fifo) == "up")
            #expect(kill(pid, SIGTERM) == 0)
            #expect(try await Self.end(fixture, directory, pid)["stop_reason"]?.string == "cluster_signal")
        }
    }

    @Test(arguments: [true, false])
    func anOrderInTheFolderIsObeyed(_ isWoken: Bool) async throws {
        try await AttemptFixture.with { fixture in
            let fifo = try fixture.makeFIFO("fifo")
            let (directory, pid) = try await Self.start(fixture, Self.saving, ready: fifo)
            #expect(try await fixture.line(from: fifo) == "up")
            try BatchFolder(path: directory).order(reason: "paused", ladder: nil, serial: 1)
            if isWoken { #expect(kill(pid, SIGUSR1) == 0) }
            let record = try await Self.end(fixture, directory, pid)
            #expect(record["stop_reason"]?.string == "paused" && record["exit_code"]?.int == 75)
        }
    }

    @Test func anOrderThatWasThereBeforeTheStartLetsNothingRun() async throws {
        try await AttemptFixture.with { fixture in
            let directory = try fixture.makeFolder("early", spec: ["version": 1, "argv": ["/bin/true"], "environment": [:]])
            try BatchFolder(path: directory).order(reason: "cancelled", ladder: nil, serial: 7)
            #expect(try await fixture.runShim("'\(directory)' --batch").code == 0)
            let record = try fixture.record("exit.json", of: directory)
            #expect(record["stop_reason"]?.string == "cancelled" && record["start_error"]?["step"]?.string == "stopped")
            #expect(access(directory + "/shim.json", F_OK) != 0)
        }
    }

    @Test func theBatchJobsVariablesStandBelowTheSpecs() async throws {
        try await AttemptFixture.with { fixture in
            let spec: JSONValue = [
                "version": 1, "argv": ["/bin/sh", "-c", "echo $OWN $BOTH; exit 5"], "environment": ["BOTH": "spec"],
            ]
            let directory = try fixture.makeFolder("variables", spec: spec)
            let text = try await fixture.shell(
                "OWN=batch BOTH=batch SLURM_JOB_ID=12 SLURMD_NODENAME=n7 SLURM_JOB_GPUS=0,2-3 "
                    + "'\(AttemptFixture.shimPath)' '\(directory)' --batch; echo $?"
            )
            // The cluster counts the batch job as what the worker was.
            #expect(text == "5\n")
            #expect(try String(decoding: fixture.contents("stdout.log", of: directory), as: UTF8.self) == "batch spec\n")
            let batch = try fixture.record("shim.json", of: directory)["batch"]
            #expect(batch?["job_id"]?.string == "12" && batch?["gpus"]?.array?.compactMap(\.string) == ["n7:0", "n7:2", "n7:3"])
            let found = BatchFolder(path: directory).look()
            #expect(found.end?.exitCode == 5 && found.start?.gpus == ["n7:0", "n7:2", "n7:3"])
            // Slurm runs a job again that it has requeued; the attempt does not run again.
            #expect(try await fixture.runShim("'\(directory)' --batch").code == 76)
        }
    }
}
