import APITypes
import JSON
import Testing

@Suite struct FollowTests {
    private func metric(_ seq: Int64, step: Int, loss: Double) throws -> String {
        let data = MetricEventData(
            step: step, time: 1, attempt: 1, values: ["train/loss": MetricValue(loss)],
            progress: ProgressView(done: Double(step), total: 20, ratePerSecond: 4, secondsLeft: Double(20 - step) / 4))
        return try Sample.event(seq, "metric", job: Sample.jobID(2), data)
    }

    /// An experiment whose stream breaks off in the middle.
    private func watchScript() throws -> Script {
        let started = Sample.experiment(
            "running", jobs: [Sample.summary(1, "data", "prepare"), Sample.summary(2, "sft", "train", "running"), Sample.summary(3, "after", "evaluate", "waiting")])
        let first = try ": hello\n\n" + metric(1, step: 10, loss: 2) + metric(2, step: 11, loss: 1.5)
        let second = try metric(3, step: 20, loss: 0.25)
            + Sample.event(4, "state", job: Sample.jobID(2), StateEventData(state: "succeeded", previous: "running", reason: "succeeded"))
            + Sample.event(5, "state", job: Sample.jobID(3), StateEventData(state: "succeeded", previous: "running"))
            + Sample.event(6, "state", job: nil, StateEventData(state: "succeeded", previous: "running"))
        let comparison = BenchmarkComparison(
            name: "held-out", metric: "accuracy", base: 0.01, candidate: 0.95, difference: 0.94, ciLow: 0.9, ciHigh: 0.97, pValue: 1e-9, items: 200,
            improved: 188, regressed: 0)
        let after = Sample.evaluation(
            3, accuracy: 0.95, compare: CompareView(base: Sample.evaluationID(1), candidate: Sample.evaluationID(3), benchmarks: [comparison]),
            gate: GateView(passed: true, checks: []))
        return [
            "GET /v1/experiments?name=toy&limit=1": [try Script.page(started)],
            "GET /v1/experiments/\(Sample.experimentID)": [try Script.json(started)],
            "GET /v1/experiments/\(Sample.experimentID)?wait=30": [try Script.json(Sample.experiment())],
            "GET /v1/stream": [Script.events(first, cut: true), Script.events(second)],
            "GET /v1/jobs/\(Sample.jobID(2))/metrics": [
                try Script.json(
                    MetricSummaryView(
                        jobID: Sample.jobID(2), keys: [MetricKeySummary(key: "train/loss", count: 1, firstStep: 9, lastStep: 9, last: 3)]))
            ],
            "GET /v1/jobs/\(Sample.jobID(2))/metrics?key=train%2Floss&points=500": [
                try Script.json(CurveView(jobID: Sample.jobID(2), key: "train/loss", points: [CurvePoint(step: 9, time: 0, value: 3, attempt: 1)]))
            ],
            "GET /v1/evaluations": [try Script.page(after, Sample.evaluation(1, accuracy: 0.01))],
        ]
    }

    @Test func watchPrintsPlainLinesWhereThereIsNoTerminalAndSurvivesALostConnection() throws {
        try CLIFixture.with(try watchScript()) { fixture in
            let run = try fixture.run("watch", "toy")
            #expect(run.status == 0, "\(run.errors)")
            let lines = run.output.split(separator: "\n").map(String.init)
            #expect(!run.output.contains("\u{1B}"))
            for text in [
                "Z toy running  ", "Z sft: running", "Z sft: 10/20 · 4/s · 2.5s left · loss 2", "Z the daemon does not answer", "Z the daemon answers",
                "Z sft: 20/20 · 4/s · loss 0.25", "Z sft: succeeded", "Z toy succeeded",
            ] { #expect(lines.contains { $0.contains(text) }, "\(text) is not in \(run.output)") }
            #expect(run.output.contains("data        held-out     200        4   1.0 ± 1.0 %      0.5 %         4.2           –  –\n"))
            #expect(run.output.contains("after       held-out     200        4  95.0 ± 1.0 %      0.5 %         4.2       +94.0  passed\n"))
            let streams = try fixture.requests().filter { $0.target.hasPrefix("/v1/stream") }
            #expect(streams.map { $0.headers["last-event-id"] } == [nil, "2"])
        }
    }

    @Test func watchDrawsInPlaceOnATerminal() throws {
        try CLIFixture.with(try watchScript()) { fixture in
            let run = try fixture.run("watch", "toy", terminal: (100, 30))
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.hasPrefix("\u{1B}[?25l") && run.output.contains("\u{1B}[?25h"))
            #expect(run.output.contains("■"))
            #expect(run.output.contains("\u{1B}[36m") && run.output.contains("A\u{1B}["))
            #expect(run.output.unicodeScalars.contains { (0x2801...0x28FF).contains($0.value) })
            #expect(run.output.contains("+94.0"))
        }
    }

    @Test func noColorMeansNoColours() throws {
        try CLIFixture.with(try watchScript()) { fixture in
            let run = try fixture.run("watch", "toy", environment: ["NO_COLOR": "1"], terminal: (60, 24))
            #expect(run.status == 0)
            #expect(!run.output.contains("\u{1B}[3") && !run.output.contains("\u{1B}[1m"))
            let dumb = try fixture.run("watch", "toy", environment: ["TERM": "dumb"], terminal: (60, 24))
            #expect(!dumb.output.contains("\u{1B}"))
        }
    }

    @Test func watchAsJSONPassesTheEventsOn() throws {
        try CLIFixture.with(try watchScript()) { fixture in
            let run = try fixture.run("watch", "toy", "--json")
            #expect(run.status == 0)
            let events = try run.output.split(separator: "\n").map { try StreamEvent(decoding: JSONParser.parse(String($0))) }
            #expect(events.map(\.seq) == [1, 2, 3, 4, 5, 6])
        }
    }

    @Test func aFollowedLogIsPrintedOnceOverALostConnection() throws {
        func piece(_ id: String, _ offset: Int64, _ text: String) throws -> String {
            let data = LogEventData(attempt: 1, stream: "stdout", offset: offset, end: offset + Int64(text.utf8.count), text: text)
            return "id: \(id)\nevent: log\ndata: \(try JSONValue(encoding: data).text())\n\n"
        }
        let script: Script = [
            "GET /v1/jobs/\(Sample.jobID(2))/logs": [
                Script.events(try piece("a", 0, "one\n") + piece("b", 4, "twö\n"), cut: true),
                // The last piece comes again, with more behind it.
                Script.events(try piece("c", 4, "twö\nthree\n") + "event: end\ndata: {}\n\n"),
            ],
            "GET /v1/jobs/\(Sample.jobID(3))/logs": [Script.text("plain \u{1B}[1mtext\n")],
        ]
        try CLIFixture.with(script) { fixture in
            let run = try fixture.run("logs", Sample.jobID(2), "--follow", "--stream", "stdout", "--tail", "10")
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output == "one\ntwö\nthree\n")
            let requests = try fixture.requests()
            #expect(requests[0].target.hasSuffix("/logs?stream=stdout&tail=10&follow=true"))
            #expect(requests.map { $0.headers["last-event-id"] } == [nil, "b"])
            let plain = try fixture.run("logs", Sample.jobID(3), "--attempt", "2")
            #expect(plain.output == "plain \u{1B}[1mtext\n")
            #expect(try fixture.requests().last?.target.hasSuffix("/logs?stream=all&attempt=2") == true)
        }
    }

    @Test func followedMetricsEndWithTheJob() throws {
        let stream = try metric(1, step: 10, loss: 2) + Sample.event(2, "state", job: Sample.jobID(2), StateEventData(state: "failed"))
        let script: Script = [
            "GET /v1/jobs/\(Sample.jobID(2))": [try Script.json(Sample.job(2, "sft", state: "running"))],
            "GET /v1/stream": [Script.events(stream)],
        ]
        try CLIFixture.with(script) { fixture in
            #expect(try fixture.run("metrics", Sample.jobID(2), "--follow").output == "step 10  train/loss 2\n")
            #expect(try fixture.run("metrics", Sample.jobID(2), "--follow", "--csv").output == "key,attempt,step,time,value\ntrain/loss,1,10,1.000,2.0\n")
        }
    }
}
