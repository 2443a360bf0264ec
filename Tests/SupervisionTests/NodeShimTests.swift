import Glibc
import JSON
import Supervision
import Testing

/// The shim of a batch job that has several nodes. A script stands for srun: it runs the agents here, side by side.
@Suite struct NodeShimTests {
    /// Both nodes get what is read, and the first failure kills the other, as `--kill-on-bad-exit` has it.
    private static let srun = """
        #!/bin/bash
        while [[ $1 == --* ]]; do shift; done
        rm -f nodes/in0 nodes/in1; mkfifo nodes/in0 nodes/in1
        for node in 0 1; do
            SLURM_PROCID=$node SLURM_NODEID=$node SLURMD_NODENAME=n$node SLURM_JOB_GPUS=$node "$@" < nodes/in$node & agents+=($!)
        done
        tee nodes/in0 > nodes/in1 <&0 &
        code=0
        for _ in 0 1; do
            wait -n "${agents[@]}" || { code=$?; kill -9 "${agents[@]}" 2> /dev/null; }
        done
        exit $code
        """

    /// Runs a shell script on two nodes; returns what the shim ended with, and its folder.
    private static func run(
        _ fixture: AttemptFixture, _ script: String, during: (String, Int32) async throws -> Void = { _, _ in }
    ) async throws -> (code: String, directory: String) {
        let programs = fixture.directory("programs")
        try await fixture.shell("mkdir -p '\(programs)'")
        try fixture.write(srun, to: programs + "/srun")
        try await fixture.shell("chmod +x '\(programs)/srun'")
        let directory = fixture.directory("nodes")
        let spec: JSONValue = [
            "version": 1, "argv": ["/bin/sh", "-c", .string(script)], "nodes": 2, "processes_per_node": 4, "control_group": false,
            "environment": ["ANNEAL_ATTEMPT_DIR": .string(directory)], "working_directory": .string(directory),
            "ladder": ["terminate_grace_ms": 20_000],
        ]
        let made = try fixture.makeFolder("nodes", spec: spec)
        let line = "PATH='\(programs)':$PATH '\(AttemptFixture.shimPath)' '\(made)' --batch > '\(made)/batch.log' 2>&1"
        let text = try await fixture.shell("(\(line); echo $? > '\(made)/code') > /dev/null 2>&1 & echo $!")
        try await during(made, try #require(Int32(text.split(separator: "\n").first ?? "")))
        let code = try await fixture.shell("while ! [ -s '\(made)/code' ]; do sleep 0.02; done; cat '\(made)/code'")
        return (code.split(separator: "\n").first.map(String.init) ?? "", made)
    }

    private static func lines(_ fixture: AttemptFixture, _ log: String, _ directory: String) throws -> [String] {
        String(decoding: try fixture.contents(log, of: directory), as: UTF8.self).split(separator: "\n").map(String.init).sorted()
    }

    @Test func eachNodeRunsTheWorkerAndKnowsItsPlace() async throws {
        try await AttemptFixture.with { fixture in
            let script = #"echo "$NODE_RANK of $NNODES: $WORLD_SIZE $PET_NPROC_PER_NODE $MASTER_ADDR"; printf "no end of line" >&2"#
            let (code, directory) = try await Self.run(fixture, script)
            #expect(code == "0")
            #expect(try Self.lines(fixture, "stdout.log", directory) == ["0 of 2: 8 4 127.0.0.1", "[node 1] 1 of 2: 8 4 127.0.0.1"])
            #expect(try Self.lines(fixture, "stderr.log", directory).contains { $0.contains("[node 1] no end of line") })
            let found = BatchFolder(path: directory).look()
            #expect(found.end?.exitCode == 0 && found.start?.gpus.contains("n1:1") == true)
        }
    }

    @Test(arguments: [0, 1])
    func theFirstFailureIsTheAttempts(_ culprit: Int) async throws {
        try await AttemptFixture.with { fixture in
            let script =
                "[ $NODE_RANK = \(culprit) ] && { echo '{\"error\": {}}' > ${ANNEAL_OUTPUTS:-outputs.json}; exit 7; }; exec tail -f /dev/null"
            let (code, directory) = try await Self.run(fixture, script)
            let record = try fixture.record("exit.json", of: directory)
            #expect(code == "7" && record["exit_code"]?.int == 7 && record["stop_reason"]?.isNull == true)
            // Its own words are the attempt's.
            #expect(try fixture.record("outputs.json", of: directory)["error"] != nil)
            if culprit > 0 {
                #expect(try Self.lines(fixture, "stderr.log", directory).contains { $0.contains("node 1 (n1) was the first") })
            }
        }
    }

    @Test func theLadderReachesEachNodeAndASaveIsASave() async throws {
        try await AttemptFixture.with { fixture in
            let script = "trap 'touch saved$NODE_RANK; exit 75' TERM; touch up$NODE_RANK; while :; do sleep 0.05; done"
            let (code, directory) = try await Self.run(fixture, script) { directory, _ in
                try await fixture.shell("while ! [ -e '\(directory)/up0' -a -e '\(directory)/up1' ]; do sleep 0.02; done")
                try BatchFolder(path: directory).order(reason: "paused", ladder: nil, serial: 1)
            }
            let record = try fixture.record("exit.json", of: directory)
            #expect(code == "75" && record["exit_code"]?.int == 75 && record["stop_reason"]?.string == "paused")
            for node in 0...1 { #expect(access(directory + "/saved\(node)", F_OK) == 0) }
        }
    }

    @Test func whatCannotBeStartedIsToldWithItsName() async throws {
        try await AttemptFixture.with { fixture in
            let (_, directory) = try await Self.run(fixture, "true")
            // The same folder's job with a program that is not there.
            let spec: JSONValue = ["version": 1, "argv": ["/nowhere/program"], "nodes": 2, "environment": [:]]
            let other = try fixture.makeFolder("absent", spec: spec)
            _ = try await fixture.shell(
                "PATH='\(fixture.directory("programs"))':$PATH '\(AttemptFixture.shimPath)' '\(other)' --batch 2> /dev/null; true")
            let error = try fixture.record("exit.json", of: other)["start_error"]
            #expect(error?["message"]?.string?.contains("/nowhere/program") == true, "\(directory)")
        }
    }
}
