import APITypes
import JSON
import Testing

@Suite struct FollowTests {
    private func metric(_ seq: Int64, step: Int, loss: Double) throws -> String {
        let data = MetricEventData(
            attempt: 1, points: [MetricEventPoint(key: "train/loss", step: step, time: 1, value: MetricValue(loss))],
            progress: ProgressView(done: Double(step), total: 20, ratePerSecond: 4, secondsLeft: Double(20 - step) / 4))
        return try Sample.event(seq, "metric", job: Sample.jobID(2), data)
    }

    /// An experiment whose stream breaks off in the middle.
    private func watchScript() throws -> Script {
        let started = Sample.experiment(
            "running",
            jobs: [
                Sample.summary(1, "baseline", "evaluate"), Sample.summary(2, "sft", "train", "running"),
                Sample.summary(3, "after", "evaluate", "waiting"),
            ])
        func state(_ seq: Int64, job: Int?, _ state: String, _ previous: String, message: String? = nil) throws -> String {
            let data = StateEventData(state: state, previous: previous, reason: state == "succeeded" ? state : nil, message: message)
            return try Sample.event(seq, "state", job: job.map(Sample.jobID), data)
        }
        // The experiment was retried, so that its story holds an end that is none.
        let first =
            try ": hello\n\n" + state(1, job: 2, "running", "queued") + state(2, job: nil, "failed", "running")
            + metric(3, step: 10, loss: 2)
            + metric(4, step: 11, loss: 1.5)
        let second =
            try metric(5, step: 20, loss: 0.25) + state(6, job: 2, "succeeded", "running", message: "20 steps")
            + state(7, job: 3, "succeeded", "running") + state(8, job: nil, "succeeded", "running") + "event: end\ndata: {}\n\n"
        let ended = Sample.experiment(
            jobs: [Sample.summary(1, "baseline", "evaluate"), Sample.summary(2, "sft", "train"), Sample.summary(3, "after", "evaluate")])
        let comparison = BenchmarkComparison(
            name: "held-out", metric: "accuracy", base: 0.01, candidate: 0.95, difference: 0.94, ciLow: 0.9, ciHigh: 0.97, pValue: 1e-9,
            items: 200,
            improved: 188, regressed: 0)
        let after = Sample.evaluation(
            3, accuracy: 0.95,
            compare: CompareView(base: Sample.evaluationID(1), candidate: Sample.evaluationID(3), benchmarks: [comparison]),
            gate: GateView(passed: true, checks: []))
        return [
            "GET /v1/experiments?name=toy&limit=1": [try Script.page(started)],
            "GET /v1/experiments/\(Sample.experimentID)": [try Script.json(started), try Script.json(ended)],
            "GET /v1/experiments/\(Sample.experimentID)?wait=30": [try Script.json(ended)],
            "GET /v1/stream": [Script.events(first, cut: true), Script.events(second)],
            "GET /v1/jobs/\(Sample.jobID(1))": [try Script.json(Sample.job(1, "baseline", evaluation: 1))],
            "GET /v1/jobs/\(Sample.jobID(3))": [try Script.json(Sample.job(3, "after", evaluation: 3))],
            "GET /v1/evaluations/\(Sample.evaluationID(1))": [try Script.json(Sample.evaluation(1, accuracy: 0.01))],
            "GET /v1/evaluations/\(Sample.evaluationID(3))": [try Script.json(after)],
        ]
    }

    @Test func watchPrintsPlainLinesWhereThereIsNoTerminalAndSurvivesALostConnection() throws {
        try CLIFixture.with(try watchScript()) { fixture in
            let run = try fixture.run("watch", "toy")
            #expect(run.status == 0, "\(run.errors)")
            let lines = run.output.split(separator: "\n").map(String.init)
            #expect(!run.output.contains("\u{1B}"))
            for text in [
                "Z toy running  ", "Z sft: running", "Z sft: 10/20 · 4/s · 2.5s left · loss 2", "Z the daemon does not answer",
                "Z the daemon answers",
                "Z sft: 20/20 · 4/s · loss 0.25", "Z sft: succeeded: 20 steps", "08:15:30Z toy succeeded",
            ] { #expect(lines.contains { $0.contains(text) }, "\(text) is not in \(run.output)") }
            #expect(run.output.contains("baseline    held-out     200        4   1.0 ± 1.0 %      0.5 %         4.2           –  –\n"))
            #expect(run.output.contains("after       held-out     200        4  95.0 ± 1.0 %      0.5 %         4.2       +94.0  passed\n"))
            let streams = try fixture.requests().filter { $0.target.hasPrefix("/v1/stream") }
            #expect(streams.map { $0.headers["last-event-id"] } == [nil, "4"])
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
            let lines = run.output.split(separator: "\n")
            let events = try lines.dropLast().map { try StreamEvent(decoding: JSONParser.parse(String($0))) }
            #expect(events.map(\.seq) == [1, 2, 3, 4, 5, 6, 7, 8])
        }
    }

    @Test func aFollowedLogIsPrintedOnceOverALostConnection() throws {
        func piece(_ id: String, _ offset: Int64, _ text: String) throws -> String {
            let data = LogEventData(attemptID: "att_1", stream: "stdout", offset: offset, end: offset + Int64(text.utf8.count), text: text)
            return "id: \(id)\nevent: log\ndata: \(try JSONValue(encoding: data).text())\n\n"
        }
        func second(_ id: String, _ text: String) throws -> String {
            let data = LogEventData(attemptID: "att_2", stream: "stdout", offset: 0, end: Int64(text.utf8.count), text: text)
            return "id: \(id)\nevent: log\ndata: \(try JSONValue(encoding: data).text())\n\n"
        }
        let script: Script = [
            "GET /v1/jobs/\(Sample.jobID(2))/logs": [
                Script.events(try piece("a", 0, "one\n") + piece("b", 4, "twö\n"), cut: true),
                // Taken up again, the log comes from its beginning.
                Script.events(try piece("c", 0, "one\ntwö\nthr") + piece("d", 12, "ee\n") + "event: end\ndata: {}\n\n"),
                Script.events(try piece("c", 0, "one\ntwö\nthree\n") + second("e", "again\n") + "event: end\ndata: {}\n\n"),
            ],
            // The first attempt has ended and another follows.
            "GET /v1/jobs/\(Sample.jobID(2))": [
                try Script.json(Sample.job(2, "sft", state: "queued")), try Script.json(Sample.job(2, "sft")),
            ],
            "GET /v1/jobs/\(Sample.jobID(3))/logs": [Script.text("plain \u{1B}[1mtext\n")],
        ]
        try CLIFixture.with(script) { fixture in
            let run = try fixture.run("logs", Sample.jobID(2), "--follow", "--stream", "stdout", "--tail", "10")
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output == "one\ntwö\nthree\nagain\n")
            let requests = try fixture.requests()
            #expect(requests[0].target.hasSuffix("/logs?stream=stdout&tail=10&follow=true"))
            #expect(requests[1].target.hasSuffix("/logs?stream=stdout&follow=true"))
            let plain = try fixture.run("logs", Sample.jobID(3), "--attempt", "2")
            #expect(plain.output == "plain \u{1B}[1mtext\n")
            #expect(try fixture.requests().last?.target.hasSuffix("/logs?stream=all&attempt=2") == true)
        }
    }

    @Test func followedMetricsAreALineEachAndEndWithTheJob() throws {
        let stream =
            try Sample.event(1, "state", job: Sample.jobID(2), StateEventData(state: "running", previous: "starting"))
            + metric(2, step: 10, loss: 2) + metric(3, step: 11, loss: .nan) + "event: end\ndata: {}\n\n"
        let script: Script = [
            "GET /v1/jobs/\(Sample.jobID(2))": [
                try Script.json(Sample.job(2, "sft", state: "failed", message: "out of memory")), try Script.json(Sample.job(2, "sft")),
            ],
            "GET /v1/stream": [Script.events(stream)],
        ]
        try CLIFixture.with(script) { fixture in
            let plain = try fixture.run("metrics", Sample.jobID(2), "--follow")
            #expect(plain.output == "10 train/loss 2.0 1970-01-01T00:00:01.000Z\n11 train/loss NaN 1970-01-01T00:00:01.000Z\n")
            #expect(plain.status == 1)
            #expect(plain.errors == "08:15:30Z running\nanneal: the job 'toy/sft' failed: out of memory\n")
            let csv = try fixture.run("metrics", Sample.jobID(2), "--follow", "--csv", "--key", "train/*", "--key", "x")
            #expect(csv.status == 0)
            #expect(csv.output == "key,attempt,step,time,value\ntrain/loss,1,10,1.000,2.0\ntrain/loss,1,11,1.000,NaN\n")
            #expect(
                try fixture.requests().last { $0.target.hasPrefix("/v1/stream") }?.target
                    == "/v1/stream?job=\(Sample.jobID(2))&types=metric%2Cstate&key=train%2F%2A&key=x")
            let json = try fixture.run("metrics", Sample.jobID(2), "--follow", "--json")
            let types = try json.output.split(separator: "\n").dropLast().map {
                try StreamEvent(decoding: JSONParser.parse(String($0))).type
            }
            #expect(types == ["state", "metric", "metric"])
            let terminal = try fixture.run("metrics", Sample.jobID(2), "--follow", terminal: (80, 24))
            #expect(terminal.output.contains("      10  ") && terminal.output.contains("             2"))
        }
    }

    @Test func followedMetricsGoOnFromTheLastEventWhateverItsID() throws {
        func renamed(_ event: String, _ id: String) -> String { "id: \(id)\n" + event.split(separator: "\n", maxSplits: 1)[1] }
        let gap = #"event: gap\ndata: {"seq":9,"type":"gap","at":"\#(Sample.time)","data":{"from":3,"to":9,"fetch":"/v1/metrics?job=x"}}"#
        let script: Script = [
            "GET /v1/jobs/\(Sample.jobID(2))": [try Script.json(Sample.job(2, "sft"))],
            "GET /v1/stream": [
                Script.events(renamed(try metric(1, step: 1, loss: 3), "7:45"), cut: true),
                Script.events(renamed(try metric(2, step: 2, loss: 2), "9.45"), cut: true),
                Script.events(gap.replacing("\\n", with: "\n") + "\n\n" + renamed(try metric(10, step: 3, loss: 1), "10")),
            ],
        ]
        try CLIFixture.with(script) { fixture in
            let run = try fixture.run("metrics", Sample.jobID(2), "--follow")
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.split(separator: "\n").map { $0.prefix(14) } == ["1 train/loss 3", "2 train/loss 2", "3 train/loss 1"])
            let streams = try fixture.requests().filter { $0.target.hasPrefix("/v1/stream") }
            #expect(streams.map { $0.headers["last-event-id"] } == [nil, "7:45", "9.45"])
            #expect(
                run.errors.hasPrefix(
                    "anneal: the daemon does not answer; the job goes on, trying again\nanneal: the daemon answers again\n"))
            #expect(run.errors.contains("some points were thinned") && run.errors.contains("GET /v1/metrics?job=x"))
        }
    }
}
