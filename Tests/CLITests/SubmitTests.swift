import APITypes
import Foundation
import JSON
import Testing

@Suite struct SubmitTests {
    private let spec = "name: toy\njobs:\n  a:\n    knd: command\n"

    @Test func aSpecGoesWithItsFolderItsOverridesItsKeyAndTheToken() throws {
        try CLIFixture.with(["POST /v1/experiments": [Script.json(Sample.experiment("running"), status: 201)]]) { fixture in
            try FileManager.default.createDirectory(atPath: fixture.folder + "/specs", withIntermediateDirectories: true)
            try fixture.write(spec, to: "specs/toy.yaml")
            let run = try fixture.run(
                "submit", "specs/toy.yaml", "--set", "jobs.a.env.X=1 2&3", "--set", "name=other", "--idempotency-key", "k1",
                environment: ["ANNEAL_TOKEN": "secret"])
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output == "submitted toy with 3 jobs  \(Sample.experimentID)\nfollow it with: anneal watch toy\n")
            let request = try #require(try fixture.requests().first)
            #expect(request.method == "POST")
            #expect(request.body == spec)
            #expect(request.headers["content-type"] == "application/yaml")
            #expect(request.headers["idempotency-key"] == "k1")
            #expect(request.headers["authorization"] == "Bearer secret")
            let folder = fixture.folder.split(separator: "/", omittingEmptySubsequences: true).last.map(String.init) ?? ""
            #expect(request.target.hasPrefix("/v1/experiments?base_directory=%2F") && request.target.contains(folder + "%2Fspecs&"))
            #expect(request.target.hasSuffix("&set=jobs.a.env.X%3D1%202%263&set=name%3Dother"))
        }
    }

    @Test func standardInputIsSentAsWhatItIs() throws {
        try CLIFixture.with(["POST /v1/experiments": [Script.json(Sample.experiment("running"), status: 201)]]) { (fixture) throws in
            #expect(try fixture.run("submit", "-", input: "  {\"name\": \"toy\"}").status == 0)
            #expect(try fixture.run("submit", "-", "--json", input: spec).output.hasPrefix("{\"id\": \"exp_"))
            #expect(try fixture.requests().map { $0.headers["content-type"] } == ["application/json", "application/yaml"])
        }
    }

    @Test func aSpecAtTheLimitIsSentAndOnePastItIsRefused() throws {
        try CLIFixture.with(["POST /v1/experiments": [Script.json(Sample.experiment("running"), status: 201)]]) { fixture in
            let limit = 16 << 20
            try fixture.write(String(repeating: "#", count: limit), to: "limit.yaml")
            let atLimit = try fixture.run("submit", "limit.yaml")
            #expect(atLimit.status == 0, "\(atLimit.errors)")
            try fixture.write(String(repeating: "#", count: limit + 1), to: "past.yaml")
            let past = try fixture.run("submit", "past.yaml")
            #expect(past.status == 2)
            #expect(past.errors == "anneal: past.yaml is larger than 16777216 bytes, too large for a spec\n")
        }
    }

    @Test func everyFaultOfASpecStandsOnItsOwnLineWithFileAndLine() throws {
        let problem = try Script.problem(
            422, "The spec is not valid", "2 errors",
            errors: [
                ProblemError(pointer: "/jobs/a/knd", detail: "unknown key; did you mean 'kind'?", line: 4, column: 5),
                ProblemError(pointer: "/jobs/a", detail: "'kind' is missing"),
            ])
        try CLIFixture.with(["POST /v1/experiments": [problem]]) { fixture in
            try fixture.write(spec, to: "toy.yaml")
            for command in [["submit", "toy.yaml"], ["validate", "toy.yaml"]] {
                let run = try CLIFixture.run(command, environment: ["ANNEAL_URL": fixture.address], folder: fixture.folder)
                #expect(run.status == 2)
                #expect(
                    run.errors
                        == """
                        anneal: The spec is not valid: 2 errors
                          toy.yaml:4: /jobs/a/knd: unknown key; did you mean 'kind'?
                          toy.yaml: /jobs/a: 'kind' is missing

                        """)
            }
            #expect(try fixture.requests().last?.target.contains("dry_run=true") == true)
        }
    }

    @Test func validatePrintsThePlanAndWarnsOfWhatCannotFit() throws {
        func plan(fits: Bool) -> PlanView {
            PlanView(
                name: "toy", project: "default", fits: fits, warnings: ["jobs.a: no timeout"],
                jobs: [
                    PlannedJobView(
                        name: "sft", kind: "train", engine: "trl", needs: ["data"],
                        resources: ResourcesView(gpus: 8, cpus: 4, memoryBytes: 0),
                        argv: ["python"], environment: ["A": "1"], outputs: ["model"], fits: fits,
                        reason: fits ? nil : "asks for 8 GPUs; this machine offers 0")
                ])
        }
        try CLIFixture.with(["POST /v1/experiments": [Script.json(plan(fits: true)), Script.json(plan(fits: false))]]) { fixture in
            try fixture.write(spec, to: "toy.yaml")
            let good = try fixture.run("validate", "toy.yaml")
            #expect(good.status == 0)
            #expect(good.output.contains("sft  train/trl  data   8 GPU · 4 CPU  model    yes\n"))
            #expect(good.output.contains("warning: jobs.a: no timeout\n"))
            let bad = try fixture.run("submit", "toy.yaml", "--dry-run")
            #expect(bad.status == 0)
            #expect(bad.output.contains("no: asks for 8 GPUs; this machine offers 0"))
            #expect(bad.output.hasSuffix("some job can never run on this machine\n"))
        }
    }

    @Test func waitEndsWithTheExperimentAndShowsItsEvaluations() throws {
        let script: Script = [
            "POST /v1/experiments": [try Script.json(Sample.experiment("running"), status: 201)],
            "GET /v1/experiments/\(Sample.experimentID)": [
                try Script.json(Sample.experiment("running")), try Script.json(Sample.experiment()),
            ],
            "GET /v1/jobs/\(Sample.jobID(3))": [try Script.json(Sample.job(3, "after", evaluation: 3))],
            "GET /v1/evaluations/\(Sample.evaluationID(3))": [try Script.json(Sample.evaluation(3, accuracy: 0.95))],
        ]
        try CLIFixture.with(script) { fixture in
            try fixture.write(spec, to: "toy.yaml")
            let run = try fixture.run("submit", "toy.yaml", "--wait")
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.contains("after       held-out     200        4  95.0 ± 1.0 %      0.5 %"))
            #expect(try fixture.requests().filter { $0.target.hasSuffix("?wait=30") }.count == 2)
        }
    }

    @Test func aFailedExperimentEndsWaitWithOneAndSaysWhy() throws {
        let failed = Sample.experiment("failed", jobs: [Sample.summary(1, "data", "prepare"), Sample.summary(2, "sft", "train", "failed")])
        let script: Script = [
            "POST /v1/experiments": [try Script.json(Sample.experiment("running"), status: 201)],
            // The connection breaks once, as in a restart of the daemon.
            "GET /v1/experiments/\(Sample.experimentID)": [["body": "{", "cut": true], try Script.json(failed)],
            "GET /v1/jobs/\(Sample.jobID(2))": [
                try Script.json(Sample.job(2, "sft", state: "failed", reason: "bad_data", message: "line 3 is not JSON"))
            ],
            "GET /v1/jobs/\(Sample.jobID(2))/logs": [Script.text("first\nTraceback: boom\u{1B}[2J\n")],
        ]
        try CLIFixture.with(script) { fixture in
            try fixture.write(spec, to: "toy.yaml")
            let run = try fixture.run("submit", "toy.yaml", "--wait")
            #expect(run.status == 1)
            #expect(
                run.output.contains("✗ sft: bad_data\n  line 3 is not JSON\n  last lines of stderr:\n  │ first\n  │ Traceback: boom [2J\n"))
            #expect(run.errors.contains("the daemon does not answer; trying again"))
            #expect(run.errors.hasSuffix("anneal: the experiment 'toy' failed\n"))
            #expect(try fixture.requests().last?.target.contains("stream=stderr&tail=12") == true)
        }
    }
}
