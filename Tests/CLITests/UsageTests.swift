import APITypes
import JSON
import Testing

@Suite struct UsageTests {
    private static func usage(_ by: String, _ rows: UsageView.Row...) throws -> JSONValue { try Script.json(UsageView(by: by, data: rows)) }

    @Test func projectsAreSummedUpWithTheirIdleShare() throws {
        let answer = try Self.usage(
            "project", .init(name: "vision", gpuHours: 120.04, idleGPUHours: 90, attempts: 12),
            .init(name: "default", gpuHours: 0.5, idleGPUHours: 0.125, attempts: 3),
            .init(name: "new", gpuHours: 0, idleGPUHours: 0, attempts: 1))
        try CLIFixture.with(["GET /v1/usage": [answer]]) { (fixture) throws in
            let run = try fixture.run("usage")
            #expect(
                run.output == """
                    PROJECT  GPU HOURS  IDLE HOURS  IDLE  ATTEMPTS
                    vision       120.0        90.0  75 %        12
                    default       0.50        0.12  25 %         3
                    new           0.00        0.00     –         1
                    in all 120.5 GPU hours, 75 % idle

                    """, "\(run.errors)")
            #expect(try fixture.requests().last?.target == "/v1/usage?by=project")
            let cut = try fixture.run("usage", "--limit", "1").output
            #expect(cut.contains("and 2 more; --all shows them\nin all 120.5 GPU hours"))
            #expect(try JSONParser.parse(try fixture.run("usage", "--json").output)["data"]?.array?.count == 3)
        }
    }

    @Test func jobsAndExperimentsAreNamedAsFarAsTheyAreKnown() throws {
        let script: Script = [
            "GET /v1/usage?by=job": [
                try Self.usage(
                    "job", .init(name: Sample.jobID(2), gpuHours: 2, idleGPUHours: 0, attempts: 1),
                    .init(name: Sample.jobID(9), gpuHours: 1, idleGPUHours: 1, attempts: 2))
            ],
            "GET /v1/usage?by=experiment": [
                try Self.usage("experiment", .init(name: Sample.experimentID, gpuHours: 2, idleGPUHours: 0, attempts: 1))
            ],
            "GET /v1/jobs/\(Sample.jobID(2))": [try Script.json(Sample.job(2, "sft"))],
            "GET /v1/experiments/\(Sample.experimentID)": [try Script.json(Sample.experiment())],
        ]
        try CLIFixture.with(script) { (fixture) throws in
            let jobs = try fixture.run("usage", "--by", "job").output
            #expect(jobs.contains("\ntoy/sft ") && jobs.contains("\n\(Sample.jobID(9)) "))
            let experiments = try fixture.run("usage", "--by", "experiment").output.split(separator: "\n")
            #expect(experiments.count == 2 && experiments[1].hasPrefix("toy ") && experiments[1].hasSuffix(Sample.experimentID))
        }
    }

    @Test(arguments: [
        ("2026-11-20", "2026-11-20T00%3A00%3A00.000Z"), ("2026-11-20T08:15:30Z", "2026-11-20T08%3A15%3A30.000Z"),
    ]) func aBeginningIsADateOrATime(text: String, sent: String) throws {
        try CLIFixture.with(["GET /v1/usage": [try Self.usage("project")]]) { (fixture) throws in
            let run = try fixture.run("usage", "--since", text)
            #expect(run.status == 0 && run.output.hasPrefix("no GPU was used since 2026-11-20T"), "\(run.errors)")
            #expect(try fixture.requests().last?.target == "/v1/usage?by=project&since=\(sent)")
        }
    }
}
