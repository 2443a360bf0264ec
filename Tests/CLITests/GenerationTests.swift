import APITypes
import JSON
import Testing

@Suite struct GenerationTests {
    private static let job = Sample.jobID(2)

    private func view(state: String) -> GenerationsView {
        var view = GenerationsView(jobID: Self.job, state: state)
        (view.records, view.total, view.done, view.failed, view.reused, view.tokens) = (4, 8, 5, 1, 2, 1500)
        view.finishReasons = ["stop": 3, "length": 1]
        view.truncatedShare = 0.25
        let isEnded = state != "running"
        view.passes = [
            GenerationPassView(
                jobID: Self.job, seed: 0, chunk: 0, first: 0, total: 4, done: 4, failed: 0, reused: 2, tokens: 1200, state: "complete",
                firstAt: Sample.time, lastAt: Sample.time),
            GenerationPassView(
                jobID: Self.job, seed: 1, chunk: 0, first: 0, total: 4, done: 1, failed: 1, reused: 0, tokens: 300,
                state: isEnded ? "incomplete" : "running", missing: isEnded ? [.init(from: 0, to: 1), .init(from: 3, to: 3)] : [],
                firstAt: Sample.time, lastAt: Sample.time),
        ]
        if !isEnded {
            (view.requestsInFlight, view.tokensPerSecond, view.recordsPerSecond, view.etaSeconds) = (2, 321.5, 1.25, 1.6)
        }
        view.failures = Page(data: [
            GenerationFailureView(
                jobID: Self.job, seed: 1, record: 3, cause: "timeout", message: "no answer (http://a/v1)", tries: 3, at: Sample.time)
        ])
        return view
    }

    @Test func progressSamplesAndFailuresAreShown() throws {
        let path = "GET /v1/jobs/\(Self.job)/generations"
        let sample = GenerationSampleView(
            jobID: Self.job, seed: 1, record: 2, input: ["problem": "2 + 2?"], generation: "four\nlines \u{1B}[31mof text", isCut: false,
            tokens: 7, finishReason: "length", seconds: 0.5)
        let script: Script = [
            "\(path)/samples": [try Script.json(GenerationSamplesView(data: [sample]))],
            "\(path)/failures": [try Script.page(view(state: "failed").failures.data[0])],
            path: [try Script.json(view(state: "running")), try Script.json(view(state: "failed"))],
            "GET /v1/jobs/\(Self.job)": [try Script.json(Sample.job(2, "gen", state: "running"))],
        ]
        try CLIFixture.with(script) { fixture in
            let live = try fixture.run("generations", "show", Self.job, "--samples", "1")
            #expect(live.status == 0, "\(live.errors)")
            let lines = [
                "5 of 8 generations · 1 failed · 2 taken over from earlier jobs · 1500 tokens · 25.0 % cut at the longest length",
                "2 in flight · 321.5 tokens/s · 1.25 records/s · about 1.6s left", "seed 0  ██████████████████████████████  4/4",
                "seed 1  ███████▌░░░░░░░░░░░░░░░░░░░░░░  1/4  1 failed", "record 2 · seed 1 · 7 tokens · 0.5s · length",
                "  problem: 2 + 2?",
                "  four\n  lines  [31mof text",
            ]
            for line in lines { #expect(live.output.contains(line), "\(line) in\n\(live.output)") }
            let ended = try fixture.run("generations", "show", Self.job)
            #expect(ended.output.contains("incomplete  missing: 0–1, 3\n"), "\(ended.output)")
            #expect(ended.output.contains("record 3 failed: no answer (http://a/v1)"), "\(ended.output)")
            let failed = try fixture.run("generations", "show", Self.job, "--failed")
            #expect(failed.output.contains("timeout") && failed.output.contains("no answer"), "\(failed.output)")
            #expect(try fixture.run("generations", "show", Self.job, "--seed", "1").status == 2)
            #expect(try fixture.run("generations", "show", Self.job, "--samples", "101").status == 2)
        }
    }

    @Test func aFollowedGenerationEndsWithItsJob() throws {
        let path = "GET /v1/jobs/\(Self.job)/generations"
        let script: Script = [
            path: [
                try Script.json(view(state: "running")), try Script.json(view(state: "running")), try Script.json(view(state: "failed")),
            ],
            "GET /v1/jobs/\(Self.job)": [try Script.json(Sample.job(2, "gen", state: "running"))],
        ]
        try CLIFixture.with(script) { fixture in
            let run = try fixture.run("generations", "show", Self.job, "--follow")
            #expect(run.status == 1 && run.errors.contains("failed"), "\(run.errors)")
            #expect(run.output.contains("about 1.6s left") && run.output.contains("5 of 8 generations"))
        }
    }

    @Test func jobsThatGenerateAreListed() throws {
        let script: Script = [
            "GET /v1/jobs": [try Script.page(Sample.job(2, "gen", state: "running"))],
            "GET /v1/jobs/\(Self.job)/generations": [try Script.json(view(state: "running"))],
        ]
        try CLIFixture.with(script) { fixture in
            let run = try fixture.run("generations", "ls")
            #expect(
                run.output.contains("5/8") && run.output.contains("62.5 %") && run.output.contains("~1.6s"), "\(run.output)\(run.errors)")
            #expect(try JSONParser.parse(fixture.run("generations", "ls", "--json").output)["data"]?[0]?["done"] == 5)
        }
    }
}
