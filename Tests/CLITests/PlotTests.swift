import APITypes
import JSON
import Testing

@Suite struct PlotTests {
    private static func curve(_ job: Int, _ key: String, _ values: [JSONValue], start: Double = 100) -> JSONValue {
        [
            "job_id": .string(Sample.jobID(job)), "key": .string(key), "source": "native", "count": .int(Int64(values.count)),
            "steps": .array(values.indices.map { .int(Int64($0 + 1)) }),
            "times": .array(values.indices.map { .double(start + Double($0) * 60) }), "values": .array(values),
            "attempts": .array(values.map { _ in 1 }),
        ]
    }

    private static func page(_ curves: JSONValue...) -> JSONValue { ["json": ["seq": 7, "curves": .array(curves)]] }

    private static func summary(_ job: Int, _ keys: String...) throws -> JSONValue {
        let keys = keys.map { MetricKeySummary(key: $0, count: 2, firstStep: 1, lastStep: 2, last: 1.0) }
        return try Script.json(MetricSummaryView(jobID: Sample.jobID(job), keys: keys))
    }

    private func script(_ answers: JSONValue..., keys: String = "train/loss", state: String = "succeeded") throws -> Script {
        [
            "GET /v1/jobs/\(Sample.jobID(1))": [try Script.json(Sample.job(1, "a", state: state)), try Script.json(Sample.job(1, "a"))],
            "GET /v1/jobs/\(Sample.jobID(2))": [try Script.json(Sample.job(2, "b"))],
            "GET /v1/jobs/\(Sample.jobID(1))/metrics": [
                keys.isEmpty ? try Script.json(MetricSummaryView(jobID: Sample.jobID(1), keys: [])) : try Self.summary(1, "lr", keys)
            ],
            "GET /v1/jobs/\(Sample.jobID(2))/metrics": [try Self.summary(2, "lr", "val/loss")],
            "GET /v1/metrics": answers,
        ]
    }

    @Test func severalJobsAndKeysStandInOneChartWithALegend() throws {
        let page = Self.page(
            Self.curve(1, "train/loss", [4, 3, "NaN", 1]), Self.curve(2, "val/loss", [4.5, 2.5]), Self.curve(2, "empty", []))
        try CLIFixture.with(try script(page)) { fixture in
            let run = try fixture.run("plot", Sample.jobID(1), Sample.jobID(2), Sample.jobID(1))
            #expect(run.status == 0, "\(run.errors)")
            #expect(!run.output.contains("\u{1B}"))
            let lines = run.output.split(separator: "\n").map(String.init)
            #expect(lines.count == 18)
            #expect(lines[0].hasPrefix("4.5 │") && lines.contains { $0.hasPrefix("  1 │") })
            #expect(run.output.unicodeScalars.contains { (0x2801...0x28FF).contains($0.value) })
            #expect(
                lines.suffix(3) == [
                    "   JOB    KEY         LAST  MIN  MAX  NOTE", "■  toy/a  train/loss     1    1    4  1 not finite",
                    "■  toy/b  val/loss     2.5  2.5  4.5",
                ])
            #expect(
                try fixture.requests().last?.target
                    == "/v1/metrics?job=\(Sample.jobID(1))&job=\(Sample.jobID(2))&key=train%2Floss&key=val%2Floss&points=160&layout=columns&by=step"
            )
        }
    }

    @Test func theLossIsFoundUnderItsManyNamesAndElseTheFirstKeyIsDrawn() throws {
        for (key, wanted) in [("loss", "loss"), ("eval_loss", "eval_loss"), ("reward", "lr")] {
            try CLIFixture.with(try script(Self.page(Self.curve(1, wanted, [1, 2])), keys: key)) { fixture in
                let run = try fixture.run("plot", Sample.jobID(1))
                #expect(run.status == 0, "\(run.errors)")
                #expect(try fixture.requests().last?.target.contains("&key=\(wanted)&points=") == true)
            }
        }
    }

    @Test func smoothingALogarithmicAxisAndTimeAreShown() throws {
        let page = Self.page(Self.curve(1, "train/loss", [8, 2, 0, 2], start: 1e9), Self.curve(2, "train/loss", [5, 6], start: 2e9))
        try CLIFixture.with(try script(page)) { fixture in
            let run = try fixture.run(
                "plot", Sample.jobID(1), Sample.jobID(2), "--key", "train/loss", "--log", "--smooth", "1", "--by", "time", "--width", "70",
                "--height", "14", "--points", "9")
            #expect(run.status == 0, "\(run.errors)")
            let lines = run.output.split(separator: "\n").map(String.init)
            // The jobs lie over each other: the longer one lasts three minutes.
            #expect(lines.contains { $0.hasPrefix("    ") && $0.hasSuffix("3m 00s") })
            #expect(lines.contains("■  toy/a  train/loss     2    0    8         3  1 not above 0"))
            #expect(lines.contains("■  toy/b  train/loss     6    5    6       5.5"))
            #expect(lines.allSatisfy { $0.count <= 70 })
            #expect(try fixture.requests().last?.target.hasSuffix("&points=9&layout=columns&by=time") == true)
        }
    }

    @Test func theAnswerIsPassedOnAsJSON() throws {
        let body = #"{ "seq":7, "curves":[ {"job_id":"\#(Sample.jobID(1))","key":"k","steps":[1],"times":[1.0],"values":["NaN"]} ] }"#
        try CLIFixture.with(try script(["body": .string(body)])) { fixture in
            let run = try fixture.run("plot", Sample.jobID(1), "--key", "k", "--json")
            #expect(run.status == 0 && run.output == body + "\n")
        }
    }

    @Test func whereThereIsNothingToDrawItSaysWhy() throws {
        try CLIFixture.with(try script(Self.page(), keys: "train/loss")) { fixture in
            let run = try fixture.run("plot", Sample.jobID(1), "--key", "los", "--key", "x*")
            #expect(run.status == 3)
            #expect(run.errors == "anneal: the job 'toy/a' has no metric 'los' or 'x*'\n  there are: lr, train/loss\n")
        }
        try CLIFixture.with(try script(Self.page(), keys: "", state: "running")) { fixture in
            let running = try fixture.run("plot", Sample.jobID(1))
            #expect(running.status == 3)
            #expect(running.errors == "anneal: the job 'toy/a' has written no metrics yet\n")
            #expect(try fixture.run("plot", Sample.jobID(1)).errors == "anneal: the job 'toy/a' has written no metrics\n")
        }
        try CLIFixture.with(try script(Self.page(Self.curve(1, "train/loss", [1, 2])))) { fixture in
            let run = try fixture.run("plot", Sample.jobID(1), "--key", "train/loss", "--key", "nope")
            #expect(run.status == 0 && run.errors == "anneal: there is no metric 'nope'\n")
        }
    }

    @Test func moreCurvesThanCanBeToldApartAreCounted() throws {
        let curves = (1...15).map { Self.curve(1, "k\($0)", [1, 2]) }
        try CLIFixture.with(try script(["json": ["seq": 7, "curves": .array(curves)]])) { fixture in
            let run = try fixture.run("plot", Sample.jobID(1), "--key", "k*")
            #expect(run.output.hasSuffix("and 3 more curves; choose among them with --key\n"))
        }
    }

    @Test func aFollowedChartIsDrawnInPlaceUntilTheJobEnds() throws {
        let (first, second) = (Self.page(Self.curve(1, "loss", [4, 3])), Self.page(Self.curve(1, "loss", [4, 3, 0.5])))
        try CLIFixture.with(try script(first, second, keys: "loss", state: "running")) { fixture in
            let run = try fixture.run("plot", Sample.jobID(1), "--follow", terminal: (70, 24))
            #expect(run.status == 0, "\(run.output)")
            #expect(run.output.hasPrefix("\u{1B}[?25l") && run.output.hasSuffix("\u{1B}[?25h"))
            // The second chart stands in the place of the first.
            #expect(run.output.contains("\r\u{1B}[18A") && run.output.contains("\u{1B}[36m"), "\(run.output)")
            #expect(run.output.contains("0.5"))
        }
        try CLIFixture.with(try script(second, keys: "loss", state: "running")) { fixture in
            let run = try fixture.run("plot", Sample.jobID(1), "--follow")
            #expect(run.status == 0 && run.output.split(separator: "\n").count == 18, "\(run.errors)")
            #expect(try fixture.requests().contains { $0.target.hasSuffix("?wait=30") })
        }
    }
}
