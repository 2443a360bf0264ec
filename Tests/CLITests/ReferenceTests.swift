import APITypes
import JSON
import Testing

@Suite struct ReferenceTests {
    private func script() throws -> Script {
        [
            "GET /v1/experiments?name=toy&limit=1": [try Script.page(Sample.experiment())],
            "GET /v1/experiments?name=nothing&limit=1": [try Script.json(Page<ExperimentView>(data: []))],
            "GET /v1/experiments/\(Sample.experimentID)": [try Script.json(Sample.experiment())],
            "GET /v1/jobs/\(Sample.jobID(2))": [try Script.json(Sample.job(2, "sft"))],
            "GET /v1/jobs/\(Sample.jobID(2))/metrics": [try Script.json(MetricSummaryView(jobID: Sample.jobID(2), keys: []))],
            "GET /v1/jobs/\(Sample.jobID(1))": [try Script.json(Sample.job(1, "data"))],
            "GET /v1/jobs/\(Sample.jobID(3))": [try Script.json(Sample.job(3, "after", evaluation: 3))],
            "GET /v1/evaluations/\(Sample.evaluationID(3))": [try Script.json(Sample.evaluation(3, accuracy: 0.5))],
            "GET /v1/evaluations": [try Script.json(Page<EvaluationView>(data: []))],
            "POST /v1/jobs/\(Sample.jobID(2))/pause": [try Script.json(Sample.job(2, "sft", state: "paused"))],
            "PATCH /v1/jobs/\(Sample.jobID(2))": [try Script.json(Sample.job(2, "sft"))],
            "POST /v1/experiments/\(Sample.experimentID)/cancel": [try Script.json(Sample.experiment("cancelled"))],
            "POST /v1/jobs/\(Sample.jobID(2))/cancel": [try Script.problem(409, "Wrong state", "the job has ended")],
        ]
    }

    @Test func namesAreFoundWhereverIdentifiersAre() throws {
        try CLIFixture.with(try script()) { fixture in
            for reference in ["toy", Sample.experimentID] {
                #expect(try fixture.run("show", reference).output.hasPrefix("✓ toy succeeded\n"))
            }
            for reference in ["toy/sft", "\(Sample.experimentID)/sft", Sample.jobID(2)] {
                let run = try fixture.run("show", reference)
                #expect(run.status == 0, "\(run.errors)")
                #expect(run.output.hasPrefix("✓ toy/sft succeeded\n"))
            }
            let paused = try fixture.run("pause", "toy/sft")
            #expect(paused.output == "‖ toy/sft: paused\n")
            #expect(try fixture.run("priority", "toy/sft", "90").output == "toy/sft: priority 90\n")
            #expect(try fixture.requests().last?.body == #"{"priority":90}"#)
        }
    }

    @Test func whatIsNotThereIsThreeAndSaysWhatIs() throws {
        try CLIFixture.with(try script()) { fixture in
            let experiment = try fixture.run("cancel", "nothing")
            #expect(experiment.status == 3)
            #expect(experiment.errors == "anneal: there is no experiment named 'nothing'\n")
            let job = try fixture.run("logs", "toy/sfd")
            #expect(job.status == 3)
            #expect(job.errors == "anneal: the experiment 'toy' has no job 'sfd'\n  its jobs are: data, sft, after\n")
            let ambiguous = try fixture.run("logs", "toy")
            #expect(ambiguous.status == 2)
            #expect(ambiguous.errors == "anneal: the experiment 'toy' has 3 jobs; write toy/JOB\n  its jobs are: data, sft, after\n")
            #expect(try fixture.run("compare", "toy/data", "toy/after").status == 3)
        }
    }

    @Test func ofSeveralTargetsEachIsTriedAndTheFirstFailureCounts() throws {
        try CLIFixture.with(try script()) { fixture in
            let run = try fixture.run("cancel", "toy/sft", "toy")
            #expect(run.status == 4)
            #expect(run.output == "⊘ toy: cancelled\n")
            #expect(run.errors == "anneal: Wrong state: the job has ended\n")
        }
    }

    @Test func theDaemonIsReachedThroughAUnixSocket() throws {
        try CLIFixture.with(try script(), unixSocket: true) { fixture in
            #expect(fixture.address.hasPrefix("unix:///"))
            let run = try fixture.run("show", "toy")
            #expect(run.status == 0, "\(run.errors)")
        }
    }

    @Test func aListReadsAsManyPagesAsItIsAskedFor() throws {
        let script: Script = [
            "GET /v1/jobs?limit=200": [try Script.page(Sample.job(1, "one"), next: "a")],
            "GET /v1/jobs?limit=200&after=a": [try Script.page(Sample.job(2, "two"))],
            "GET /v1/jobs?limit=1": [try Script.page(Sample.job(1, "one"), next: "a")],
            "GET /v1/jobs?state=failed&limit=50": [try Script.json(Page<JobView>(data: []))],
        ]
        try CLIFixture.with(script) { fixture in
            let all = try fixture.run("ls", "--jobs", "--all")
            #expect(all.output.contains("✓  toy/one  train  succeeded") && all.output.contains("✓  toy/two  train  succeeded"))
            #expect(try JSONParser.parse(try fixture.run("ls", "--jobs", "--all", "--json").output)["data"]?.array?.count == 2)
            #expect(!(try fixture.run("ls", "--jobs", "--limit", "1").output.contains("toy/two")))
            #expect(try fixture.run("ls", "--jobs", "--state", "failed").output == "no jobs\n")
        }
    }
}
