import APITypes
import Foundation
import JSON
import Testing

/// What `anneal top` is shown in its tests.
enum TopSample {
    static func gpus() -> GPUInventoryView {
        GPUInventoryView(
            source: "nvml",
            data: [
                GPUView(
                    index: 0, uuid: "GPU-1", name: "H100", memoryBytes: 80 << 30, memoryUsedBytes: 12 << 30, utilization: 63,
                    temperature: 54, powerWatts: 310, simulated: false, state: "held", jobID: Sample.jobID(1)),
                GPUView(index: 1, uuid: "GPU-2", name: "H100", memoryBytes: 80 << 30, simulated: true, state: "free"),
            ], cpus: CapacityView(total: 16, held: 2), memoryBytes: CapacityView(total: 64 << 30, held: 1 << 30))
    }

    static func running() -> JobView {
        var job = Sample.job(1, "sft", state: "running")
        job.finishedAt = nil
        job.progress = ProgressView(done: 120, total: 400, ratePerSecond: 4, secondsLeft: 70)
        return job
    }

    static func queued(_ number: Int, _ name: String) -> QueueEntryView {
        QueueEntryView(
            jobID: Sample.jobID(number), name: name, experiment: "toy", state: "queued", priority: 50,
            message: "\(Sample.jobID(1)) holds 1 GPU", resources: ResourcesView(gpus: 1, cpus: 1, memoryBytes: 0), queuedAt: Sample.time)
    }

    static func script(gpus: [JSONValue]? = nil, more: [String: [JSONValue]] = [:]) throws -> Script {
        func jobs(_ state: String, _ max: Int) -> String { "GET /v1/jobs?state=\(state)&limit=\(max)" }
        let none = try Script.json(Page<JobView>(data: []))
        let failed = Sample.job(4, "broken", state: "failed", reason: "cuda_oom", message: "out of memory\nmore")
        let loss: JSONValue = [
            "job_id": .string(Sample.jobID(1)), "key": "loss", "steps": [120], "times": [1.0], "values": [0.523], "attempts": [1],
        ]
        let base: Script = [
            "GET /v1/gpus": try gpus ?? [Script.json(self.gpus())],
            "GET /v1/queue": [try Script.page(queued(2, "next"), queued(3, "later"))],
            jobs("running", 50): [try Script.page(running())], jobs("starting", 50): [none], jobs("stopping", 50): [none],
            jobs("paused", 50): [none], jobs("failed", 20): [try Script.page(failed)],
            "GET /v1/metrics": [["json": ["seq": 1, "curves": [loss]]]],
        ]
        return base.adding(more)
    }
}

@Suite struct TopTests {
    private let leave = "\u{1B}[0m\u{1B}[?25h\u{1B}[?1049l"

    private func run(
        _ fixture: CLIFixture, _ steps: [JSONValue], _ variables: [String: String] = [:]
    )
        throws -> CLIFixture.Run
    {
        let script = JSONValue.array(steps).text()
        return try fixture.run("top", environment: variables.merging(["TERMINAL_SCRIPT": script]) { $1 }, terminal: (80, 24))
    }

    @Test func withoutATerminalAndWithOnceAPlainSnapshotIsPrinted() throws {
        try CLIFixture.with(try TopSample.script()) { fixture in
            let run = try fixture.run("top")
            #expect(run.status == 0, "\(run.errors)")
            #expect(!run.output.contains("\u{1B}"))
            for text in [
                "held: GPUs 1/2 · CPUs 2/16 · memory 1.0 GiB of 64 GiB",
                "  0  H100              ██████▎░░░  63 %  12.0/80 GiB  54 °C  310 W  toy/sft",
                "  1  H100 (simulated)  –", "RUNNING (1)", "toy/sft      running  120/400   4/s  0.523  1m 10s", "QUEUE (2)",
                "toy/next", "toy/sft holds 1 GPU", "FAILED LAST", "toy/broken", "cuda_oom", "out of memory\n",
            ] { #expect(run.output.contains(text), "\(text) is not in \(run.output)") }
            let once = try fixture.run("top", "--once", terminal: (100, 30))
            #expect(once.output.contains("\u{1B}[1m") && !once.output.contains("\u{1B}[?1049h"))
            let json = try JSONParser.parse(try fixture.run("top", "--json").output)
            #expect(json["active"]?[0]?["id"]?.string == Sample.jobID(1) && json["failed"]?[0]?["reason"]?.string == "cuda_oom")
        }
    }

    @Test func theScreenIsTakenAndGivenBack() throws {
        try CLIFixture.with(try TopSample.script()) { fixture in
            let run = try run(fixture, [["until": "? help", "send": "q"]])
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.hasPrefix("\u{1B}[?1049h\u{1B}[?25l") && run.output.hasSuffix(leave))
            #expect(run.output.contains("\u{1B}[7m▸●  toy/sft"))
            #expect(run.errors == "the terminal's modes are as before\n")
        }
    }

    @Test(arguments: [(2, 130), (15, 143), (1, 129), (11, 139), (6, 134)])
    func aSignalGivesTheTerminalBackToo(number: Int64, status: Int32) throws {
        try CLIFixture.with(try TopSample.script()) { fixture in
            let run = try run(fixture, [["until": "? help", "signal": .int(number)]])
            #expect(run.status == status)
            #expect(run.output.contains(leave))
            #expect(run.errors.contains("the terminal's modes are as before"))
        }
    }

    @Test(arguments: ["blocked", "ignored"], [15, 20])
    func signalsComeHoweverTheProgramWasStarted(signals: String, number: Int64) throws {
        try CLIFixture.with(try TopSample.script()) { fixture in
            let steps: [JSONValue] =
                number == 15
                ? [["until": "? help", "signal": .int(number)]]
                : [["until": "? help", "suspend": true], ["until": "\u{1B}[?1049h", "send": ""], ["until": "? help", "send": "q"]]
            let run = try run(fixture, steps, ["TERMINAL_SIGNALS": signals])
            #expect(run.status == (number == 15 ? 143 : 0), "\(run.errors)")
            #expect(run.errors.hasSuffix("the terminal's modes are as before\n"))
        }
    }

    @Test func anIgnoredSignalStaysIgnoredAndTheScreenStays() throws {
        try CLIFixture.with(try TopSample.script()) { fixture in
            let run = try run(
                fixture, [["until": "? help", "signal": 2, "send": "?"], ["until": "Control-L", "send": "qq"]],
                ["TERMINAL_SIGNALS": "ignored"])
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.components(separatedBy: leave).count == 2 && run.output.hasSuffix(leave))
        }
    }

    @Test(arguments: [(2, 130), (15, 143), (1, 129)])
    func aTerminalThatTakesNothingDoesNotKeepTheProgram(number: Int64, status: Int32) throws {
        try CLIFixture.with(try TopSample.script()) { fixture in
            let run = try run(fixture, [["until": "? help", "stall": true, "signal": .int(number)]])
            #expect(run.status == status, "\(run.errors)")
            #expect(run.output.hasSuffix(leave) && run.errors == "the terminal's modes are as before\n")
        }
    }

    @Test(arguments: ["", "blocked", "ignored"])
    func aTerminalThatIsGoneEndsTheProgram(signals: String) throws {
        try CLIFixture.with(try TopSample.script()) { fixture in
            let run = try run(fixture, [["until": "? help", "hang_up": true]], ["TERMINAL_SIGNALS": signals])
            // Without the signal the next read or write tells it.
            #expect(signals == "ignored" ? [0, 1].contains(run.status) : run.status == 129, "\(run.errors)")
            #expect(run.errors == "the terminal is gone\n")
        }
    }

    @Test func aSuspendedScreenComesBack() throws {
        try CLIFixture.with(try TopSample.script()) { fixture in
            let run = try run(
                fixture,
                [["until": "? help", "suspend": true], ["until": "\u{1B}[?1049h", "send": ""], ["until": "? help", "send": "q"]])
            #expect(run.status == 0)
            #expect(run.errors == "suspended, the terminal's modes are as before\nthe terminal's modes are as before\n")
        }
    }

    @Test func aNewSizeIsDrawnAnewAndEveryLineFits() throws {
        try CLIFixture.with(try TopSample.script()) { fixture in
            let run = try run(
                fixture, [["until": "? help", "resize": [60, 12]], ["until": "\u{1B}[12;1H", "send": "q"]], ["NO_COLOR": "1"])
            #expect(run.status == 0, "\(run.errors)")
            #expect(!run.output.contains("\u{1B}[7m") && run.output.contains("▸"))
            let after = run.output.split(separator: "\u{1B}[2J").last ?? ""
            #expect(!after.contains("\u{1B}[13;1H"))
            let lines = after.split(separator: "\u{1B}").filter { $0.contains("H") && $0.hasPrefix("[") }.map {
                $0.drop { $0 != "H" }.dropFirst()
            }
            #expect(lines.count >= 12 && lines.allSatisfy { $0.count <= 60 })
        }
    }

    @Test func keysChangeJobsOverTheAPI() throws {
        let more: [String: [JSONValue]] = [
            "POST /v1/jobs/\(Sample.jobID(1))/pause": [try Script.json(Sample.job(1, "sft", state: "stopping"))],
            "PATCH /v1/jobs/\(Sample.jobID(2))": [try Script.json(Sample.job(2, "next"))],
            "POST /v1/jobs/\(Sample.jobID(3))/cancel": [try Script.problem(409, "Conflict", "it has ended")],
        ]
        try CLIFixture.with(try TopSample.script(more: more)) { fixture in
            let run = try run(
                fixture,
                [
                    ["until": "? help", "send": "p"], ["until": "toy/sft: stopping", "send": "j++"],
                    ["until": "toy/next: priority 60", "send": "\u{1B}[Bc"], ["until": "cancel toy/later? y/n", "send": "n"],
                    ["until": "toy/later goes on", "send": "c"], ["until": "y/n", "send": "y"],
                    ["until": "Conflict: it has ended", "send": "q"],
                ])
            #expect(run.status == 0, "\(run.errors)")
            let changes = try fixture.requests().filter { $0.method != "GET" }
            #expect(changes.map(\.method) == ["POST", "PATCH", "PATCH", "POST"])
            #expect(changes.map(\.body) == ["", #"{"priority":55}"#, #"{"priority":60}"#, ""])
        }
    }

    @Test func filterDetailsAndHelpAreShown() throws {
        let explanation = ExplainView(
            jobID: Sample.jobID(3), state: "queued", message: "It waits for a GPU.",
            waitsFor: [WaitView(kind: "resources", message: "1 GPU")], evidence: [])
        let more: [String: [JSONValue]] = [
            "GET /v1/jobs/\(Sample.jobID(3))": [try Script.json(Sample.job(3, "later", state: "queued"))],
            "GET /v1/jobs/\(Sample.jobID(3))/metrics": [try Script.json(MetricSummaryView(jobID: Sample.jobID(3), keys: []))],
            "GET /v1/jobs/\(Sample.jobID(3))/explain": [try Script.json(explanation)],
        ]
        try CLIFixture.with(try TopSample.script(more: more)) { fixture in
            let run = try run(
                fixture,
                [
                    ["until": "? help", "send": "/latex\u{7F}r\r"], ["until": "filter: later", "send": "\r"],
                    ["until": "It waits for a GPU.", "send": "q"], ["until": "? help", "send": "?"], ["until": "Control-L", "send": "q"],
                    ["until": "? help", "send": "q"],
                ])
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.contains("nothing runs") && run.output.contains("▸–  toy/later"))
        }
    }

    @Test func aLostDaemonIsToldAndComesBack() throws {
        let whole = try Script.json(TopSample.gpus())
        // The answer breaks off, as of a daemon that is killed.
        let broken: JSONValue = ["body": "{", "cut": true]
        try CLIFixture.with(try TopSample.script(gpus: [whole, broken, whole])) { fixture in
            let run = try run(
                fixture, [["until": "connection lost, retrying", "send": ""], ["until": "the daemon answers again", "send": "q"]])
            #expect(run.status == 0, "\(run.errors)")
        }
        try CLIFixture.with([:]) { fixture in
            let run = try fixture.run("top", environment: ["ANNEAL_URL": "http://127.0.0.1:1"], terminal: (80, 24))
            #expect(run.status == 5 && !run.output.contains("\u{1B}[?1049h"))
        }
    }
}
