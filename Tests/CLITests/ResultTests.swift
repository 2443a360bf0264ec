import APITypes
import JSON
import Testing

@Suite struct ResultTests {
    @Test func metricsArePrintedAsTablesAndAsCSV() throws {
        let job = Sample.jobID(2)
        let points = [
            CurvePoint(step: 1, time: 10.5, value: 2.0, attempt: 1), CurvePoint(step: 2, time: 11, value: MetricValue(.nan), attempt: 1),
            CurvePoint(step: 3, time: 12, value: 1.0, attempt: 2),
        ]
        let summary = MetricSummaryView(
            jobID: job, keys: [MetricKeySummary(key: "train/loss", count: 3, firstStep: 1, lastStep: 3, last: 1.0, min: 1.0, max: 2.0)])
        let curve = try Script.json(CurveView(jobID: job, key: "train/loss", points: points))
        let script: Script = [
            "GET /v1/jobs/\(job)/metrics?key=train%2Floss": [curve],
            "GET /v1/jobs/\(job)/metrics": [try Script.json(summary)],
            "DELETE /v1/jobs/\(job)/metrics?key=train%2F%2A&attempt=1": [Script.text("{\"deleted\":2}")],
        ]
        try CLIFixture.with(script) { (fixture) throws in
            #expect(
                try fixture.run("metrics", job).output
                    == "KEY         POINTS  STEPS  LAST  MIN  MAX\ntrain/loss       3    1–3     1    1    2\n")
            #expect(
                try fixture.run("metrics", job, "--csv").output
                    == "key,attempt,step,time,value\ntrain/loss,1,1,10.500,2.0\ntrain/loss,1,2,11.000,NaN\ntrain/loss,2,3,12.000,1.0\n")
            #expect(try fixture.run("metrics", job, "--key", "train/loss").output.contains("   2    NaN        1\n"))
            #expect(try fixture.run("metrics", job, "--delete", "--key", "train/*", "--attempt", "1").output == "2 points deleted\n")
            #expect(try fixture.run("metrics", job, "--delete", "--csv").status == 2)
        }
    }

    @Test func aDatasetIsUploadedUnderItsFilesName() throws {
        let view = DatasetView(
            id: "ds_1", name: "questions", version: 2, sha256: "abc", rows: 2, bytes: 20, format: "messages", createdAt: Sample.time)
        let script: Script = [
            "POST /v1/datasets": [
                try Script.json(view, status: 201),
                try Script.problem(
                    422, "The dataset is not valid", "1 bad line",
                    errors: [ProblemError(pointer: "/messages", detail: "is missing", line: 2)]),
            ],
            "GET /v1/datasets/questions%402": [try Script.json(view)],
            "GET /v1/datasets/questions/content": [Script.text("{\"a\":1}\n")],
            "GET /v1/datasets": [try Script.page(view)],
        ]
        try CLIFixture.with(script) { fixture in
            try fixture.write("{\"a\":1}\n{\"a\":2}\n", to: "questions.jsonl")
            let upload = try fixture.run("datasets", "upload", "questions.jsonl")
            #expect(upload.status == 0, "\(upload.errors)")
            #expect(upload.output == "questions@2: 2 rows, messages  ds_1\n")
            let request = try #require(try fixture.requests().last)
            #expect(request.target == "/v1/datasets?name=questions" && request.body == "{\"a\":1}\n{\"a\":2}\n")
            let bad = try fixture.run("datasets", "upload", "questions.jsonl", "--name", "other")
            #expect(bad.status == 2)
            #expect(bad.errors == "anneal: The dataset is not valid: 1 bad line\n  questions.jsonl:2: /messages: is missing\n")
            #expect(try fixture.run("datasets", "show", "questions@2").output.hasPrefix("questions@2\nid       ds_1\n"))
            #expect(try fixture.run("datasets", "content", "questions").output == "{\"a\":1}\n")
            #expect(try fixture.run("datasets").output.contains("questions@2     2  20 B  messages"))
            #expect(try fixture.run("datasets", "upload", "missing.jsonl").status == 2)
        }
    }

    @Test func gpusThatDoNotExistSayThatTheyAreSimulated() throws {
        let gpu = GPUView(index: 0, uuid: "GPU-1", name: "Virtual", memoryBytes: 80 << 30, simulated: true, state: "held", jobID: "job_1")
        let view = GPUInventoryView(
            source: "simulated", message: "1 simulated GPU", data: [gpu], cpus: CapacityView(total: 16, held: 4),
            memoryBytes: CapacityView(total: 128 << 30, held: 1 << 30))
        try CLIFixture.with(["GET /v1/gpus": [try Script.json(view)]]) { fixture in
            let output = try fixture.run("gpus").output
            #expect(output.contains("0  Virtual (simulated)  held   80 GiB     –     –      –  job_1  GPU-1\n"))
            #expect(output.contains("1 simulated GPU\nCPUs 4 of 16 held · memory 1.0 GiB of 128 GiB held\n"))
        }
    }

    @Test func lineageIsATreeDownToFileSpecAndCode() throws {
        let node = { (id: String, type: String, name: String) in LineageNode(id: id, type: type, name: name) }
        let edges = [
            ("job", "eval", "made by"), ("ckpt", "job", "model"), ("train", "ckpt", "made by"), ("ds", "train", "dataset"),
            ("file", "ds", "source"),
            ("spec", "job", "spec"), ("spec", "train", "spec"), ("code", "train", "code"), ("eval", "later", "compare_to"),
        ]
        let view = LineageView(
            id: "eval", type: "evaluation",
            nodes: [
                node("eval", "evaluation", "after"), node("job", "job", "after"), node("ckpt", "checkpoint", "step_200"),
                node("train", "job", "sft"),
                node("ds", "dataset", "data@1"), LineageNode(id: "file", type: "file", name: "seed.jsonl", sha256: "0123456789abcdef"),
                node("spec", "spec", "toy"), LineageNode(id: "code", type: "code", name: "anneal", detail: ["version": "0.1.0"]),
                node("later", "job", "next"),
            ], edges: edges.map { LineageEdge(from: $0.0, to: $0.1, role: $0.2) })
        try CLIFixture.with(["GET /v1/lineage/\(Sample.evaluationID(1))": [try Script.json(view)]]) { (fixture) throws in
            #expect(
                try fixture.run("lineage", Sample.evaluationID(1)).output
                    == """
                    evaluation after eval
                    └─ made by: job after job
                       ├─ model: checkpoint step_200 ckpt
                       │  └─ made by: job sft train
                       │     ├─ dataset: dataset data@1 ds
                       │     │  └─ source: file seed.jsonl sha256:0123456789ab file
                       │     ├─ spec: spec toy spec
                       │     └─ code: code anneal version=0.1.0 code
                       └─ spec: spec toy spec (see above)

                    made from it
                    compare_to: job next later

                    """)
        }
    }

    @Test func compareShowsThePairedDifference() throws {
        let row = BenchmarkComparison(
            name: "held-out", metric: "accuracy", base: 0.5, candidate: 0.75, difference: 0.25, ciLow: 0.1, ciHigh: 0.4, pValue: 0.001,
            items: 40,
            improved: 12, regressed: 2)
        var whole = row
        (whole.pAdjusted, whole.verdict) = (0.002, "improvement")
        var task = row
        (task.name, task.difference, task.verdict) = ("sums", -0.25, "regression")
        whole.tasks = [task]
        let view = CompareView(
            base: Sample.evaluationID(1), candidate: Sample.evaluationID(2), regressions: ["held-out/sums"], benchmarks: [whole])
        try CLIFixture.with(["GET /v1/evaluations/compare": [try Script.json(view)]]) { fixture in
            let run = try fixture.run("compare", Sample.evaluationID(1), Sample.evaluationID(2))
            let words = run.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
            #expect(words.contains("held-out accuracy 0.5 0.75 +0.25 [0.1, 0.4] 0.001 0.002 40 12 2 improvement"))
            #expect(words.contains("sums accuracy 0.5 0.75 -0.25 [0.1, 0.4] 0.001 – 40 12 2 regression"))
            #expect(
                try fixture.requests().last?.target
                    == "/v1/evaluations/compare?base=\(Sample.evaluationID(1))&candidate=\(Sample.evaluationID(2))")
        }
    }

    @Test func compareWritesForOtherProgramsAndFailsOnARegression() throws {
        let row = BenchmarkComparison(name: "a,b", metric: "accuracy", base: 0.5, candidate: 0.25, items: 4, improved: 0, regressed: 1)
        let view = CompareView(base: Sample.evaluationID(1), candidate: Sample.evaluationID(2), regressions: ["a,b"], benchmarks: [row])
        let (base, candidate) = (Sample.evaluationID(1), Sample.evaluationID(2))
        try CLIFixture.with(["GET /v1/evaluations/compare": [try Script.json(view)]]) { fixture in
            let csv = try fixture.run("compare", base, candidate, "--csv")
            #expect(csv.status == 0 && csv.output.hasSuffix("\r\n\"a,b\",accuracy,0.5,0.25,,,,,,,4,0,1,0,0\r\n"))
            let markdown = try fixture.run("compare", base, candidate, "--markdown", "--fail-on-regression")
            #expect(markdown.status == 1 && markdown.output.hasPrefix("| benchmark | metric |"))
            #expect(markdown.errors.contains("worse than the base beyond chance: a,b"))
            #expect(try fixture.run("compare", base, candidate, "--csv", "--json").status == 2)
        }
    }

    @Test func compareListsTheItemsThatFlipped() throws {
        let view = CompareView(base: Sample.evaluationID(1), candidate: Sample.evaluationID(2), benchmarks: [])
        let item = FlippedItemView(
            benchmark: "gsm8k", item: 7, direction: "regression", question: "What is 1 + 1?", expected: "2",
            base: FlippedAnswersView(score: 1, answers: ["2"]), candidate: FlippedAnswersView(score: 0, answers: [nil]))
        let page = FlippedItemPage(data: [item], total: 3, hasMore: true, next: "1")
        let answers: Script = [
            "GET /v1/evaluations/compare": [try Script.json(view)], "GET /v1/evaluations/compare/items": [try Script.json(page)],
        ]
        try CLIFixture.with(answers) { fixture in
            let run = try fixture.run("compare", Sample.evaluationID(1), Sample.evaluationID(2), "--items", "--limit", "1")
            let words = run.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
            #expect(words.contains("gsm8k 7 regression What is 1 + 1? 2 2 –"), "\(run.output)")
            #expect(words.contains("1 of 3 that flipped; --limit shows more"))
            #expect(try fixture.requests().last?.target.hasSuffix("&limit=1") == true)
        }
    }

    @Test func itemsOfAnEvaluationAreShownWithTheirVerdicts() throws {
        let page = """
            {"data": [{"benchmark": "gsm8k", "item": 3, "score": 0.5, "expected": "72", "messages": [{"role": "user", "content": "How many?"}],
              "samples": [{"sample": 0, "answer": "72", "score": 1, "finish_reason": "stop"},
                          {"sample": 1, "answer": null, "response": "hm", "score": 0, "finish_reason": "length"}]}],
             "has_more": false, "next": null}
            """
        let path = "GET /v1/evaluations/\(Sample.evaluationID(1))/items"
        try CLIFixture.with([path: [try Script.json(JSONParser.parse(page))]]) { fixture in
            let run = try fixture.run("evaluations", "items", Sample.evaluationID(1), "--wrong", "--benchmark", "gsm8k")
            #expect(
                run.output == """
                    ~ gsm8k #3 · score 0.5
                      question  How many?
                      expected  72
                      answer 0  ✓ 72
                      answer 1  ✗ no answer  (cut off) in: hm

                    """)
            #expect(try fixture.requests().last?.target.contains("wrong=true&benchmark=gsm8k") == true)
        }
    }

    @Test func checkpointsAreListedPinnedAndRemoved() throws {
        let id = "ckpt_01k9w3c2vn0000a7k3d9m2x5q8"
        let view = CheckpointView(
            id: id, jobID: Sample.jobID(2), step: 20, path: "/c", bytes: 1 << 20, metrics: ["val_loss": 1.25], pinned: true, best: true,
            createdAt: Sample.time)
        let script: Script = [
            "GET /v1/checkpoints?job=\(Sample.jobID(2))&limit=50": [try Script.page(view)],
            "GET /v1/checkpoints/\(id)": [try Script.json(view)],
            "POST /v1/checkpoints/\(id)/pin": [try Script.json(view)],
            "DELETE /v1/checkpoints/\(id)": [try Script.problem(409, "Pinned", "unpin it first")],
        ]
        try CLIFixture.with(script) { (fixture) throws in
            #expect(
                try fixture.run("checkpoints", "ls", "--job", Sample.jobID(2)).output.contains(
                    "\(id)    20  val_loss 1.25  best pinned  1.0 MiB"))
            #expect(try fixture.run("checkpoints", "show", id).output.contains("val_loss  1.25\n"))
            #expect(try fixture.run("checkpoints", "pin", id).output == "\(id): pinned\n")
            let removal = try fixture.run("checkpoints", "rm", id)
            #expect(removal.status == 4 && removal.errors == "anneal: Pinned: unpin it first\n")
        }
    }

    @Test func doctorAdvisesAndFailsWhereSomethingIsNotWell() throws {
        let checks = [
            DoctorCheck(name: "disk", ok: true, detail: "40 GiB free"),
            DoctorCheck(name: "python", ok: false, detail: "torch is missing", advice: "run 'make venv'"),
        ]
        let script: Script = [
            "GET /healthz": [try Script.json(HealthView(status: "ok", version: "0.1.0", reconciled: 0, total: 0, startedAt: Sample.time))],
            "GET /v1/doctor": [try Script.json(DoctorView(checks: checks))],
        ]
        try CLIFixture.with(script) { fixture in
            let run = try fixture.run("doctor")
            #expect(run.status == 1)
            #expect(
                run.output.contains(
                    "✓ daemon: answers at \(fixture.address), ok\n✓ version: anneal 0.1.0, anneald 0.1.0\n✓ disk: 40 GiB free\n"))
            #expect(run.output.hasSuffix("✗ python: torch is missing\n  → run 'make venv'\n"))
            #expect(try fixture.run("version").output == "anneal 0.1.0\nanneald 0.1.0 at \(fixture.address) (ok)\n")
        }
    }

    @Test func explainSaysWhatAJobWaitsFor() throws {
        let view = ExplainView(
            jobID: Sample.jobID(2), state: "queued", reason: "insufficient_resources", message: "It waits for a GPU.",
            waitsFor: [WaitView(kind: "resources", message: "1 GPU wanted, 0 free", resource: "gpus", wanted: 1, free: 0)],
            evidence: [EvidenceView(kind: "log", message: "first\nsecond")])
        try CLIFixture.with(["GET /v1/jobs/\(Sample.jobID(2))/explain": [try Script.json(view)]]) { (fixture) throws in
            #expect(
                try fixture.run("explain", Sample.jobID(2)).output == """
                    ○ \(Sample.jobID(2)) queued (insufficient_resources)
                    It waits for a GPU.
                    waits for
                      resources: 1 GPU wanted, 0 free
                    evidence
                      log: first
                      │ second

                    """)
        }
    }
}
