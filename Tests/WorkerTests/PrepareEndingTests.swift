import Foundation
import JSON
import Testing

/// The last steps of a preparation, `pack` and `webdataset`, and the reports of others.
@Suite(.serialized) struct PrepareEndingTests {
    private static let trainer = URL(fileURLWithPath: WorkerFixture.sourceFolder).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Sources/trainer").path

    /// Stands in for the trainer's Python: it writes lengths of 3, 5, 3, 5 … for the records, or fails as told.
    private func python(_ fixture: WorkerFixture, fails: String = "") throws -> [String: String] {
        let script = """
            #!/usr/bin/env python3
            import json, sys
            options = dict(zip(sys.argv[3::2], sys.argv[4::2]))
            if \(fails.isEmpty ? "False" : "True"):
                sys.stderr.write(\"\"\"\(fails)\"\"\")
                sys.exit(65)
            lines = open(options["--data"]).read().splitlines()
            print("lengths: all of them", file=sys.stderr)
            with open(options["--output"], "w") as file:
                head = {"format": "anneal.lengths", "version": 1, "kind": options["--kind"], "records": len(lines)}
                file.write(json.dumps(head) + "\\n")
                for line in range(1, len(lines) + 1):
                    sizes = {"length": 3 + line % 2 * 2} if options["--kind"] == "sft" else {"chosen": 3, "rejected": 2}
                    file.write(json.dumps({"line": line, **sizes}) + "\\n")
            """
        let path = try fixture.write("python", script)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return ["ANNEAL_PYTHON": path, "ANNEAL_TRAINER": Self.trainer]
    }

    private func spec(_ pack: JSONObject, source: JSONValue = ["name": "times_ten", "count": 8], split: Bool = false) -> JSONValue {
        var settings: JSONObject = ["model": "/models/base"]
        settings.merge(pack) { $1 }
        let parts: [JSONValue] = split ? [["split": ["train": 6, "validation": 2]]] : []
        return ["source": ["generator": source], "steps": .array(parts + [["pack": .object(settings)]])]
    }

    @Test func aPlanIsMadeBesideTheDatasetWithItsFiguresInSummaryMetricsAndLog() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(
            kind: "prepare", spec: spec(["capacity": 8, "global_batch_size": 4]), environment: try python(fixture))
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(ending.outputs?["outputs"]?["dataset"]?["rows"] == 8)
        let plan = try #require(ending.outputs?["outputs"]?["plan"])
        #expect(plan["type"] == "file")
        let path = try #require(plan["path"]?.string)
        let header = try JSONParser.parse(try #require(try fixture.lines(path).first))
        #expect(header["format"] == "anneal.packing-plan" && header["bins"] == 4 && header["packer"] == "first_fit_decreasing")
        let figures = try #require(ending.outputs?["summary"]?["packing"]?["dataset"])
        #expect(figures["num_bins"] == 4 && figures["packing_factor"] == 2.0 && figures["packing_efficiency"] == 100.0)
        #expect(figures["rescaled_global_batch_size"] == 2)
        let metrics = try fixture.metrics()
        #expect(metrics.last?["packing/bins"]?.int == 4 && metrics.last?["packing/rescaled_global_batch_size"]?.int == 2)
        #expect(ending.output.contains("packed dataset: 8 sequences into 4 bins of 8 tokens; packing factor 2.0, efficiency 100.0 %"))
        #expect(ending.output.contains("lengths: all of them"))
        #expect(try !FileManager.default.contentsOfDirectory(atPath: fixture.outputFolder).contains { $0.hasPrefix(".") })
    }

    @Test func eachPartOfASplitHasAPlanOfItsOwn() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(
            kind: "prepare", spec: spec(["capacity": 8, "global_batch_size": 4], split: true), environment: try python(fixture))
        #expect(ending.exitCode == 0, "\(ending.output)")
        let names = try #require(ending.outputs?["outputs"]?.object?.keys)
        #expect(Set(names) == ["train", "validation", "plan.train", "plan.validation"])
        #expect(ending.outputs?["summary"]?["packing"]?["validation"]?["rescaled_global_batch_size"] == nil)
        #expect(try fixture.metrics().last?["packing/train/bins"]?.int == 3)
    }

    @Test func pairsStayTogetherAndTheirLimitIsHalfTheCapacity() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(
            kind: "prepare", spec: spec(["capacity": 10, "method": "dpo"], source: ["name": "refusals", "count": 4]),
            environment: try python(fixture))
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(ending.outputs?["summary"]?["packing"]?["dataset"]?["num_bins"] == 2)
        let small = try fixture.run(
            kind: "prepare", spec: spec(["capacity": 5, "method": "dpo"], source: ["name": "refusals", "count": 4]),
            environment: try python(fixture))
        #expect(small.exitCode == 65 && small.message.contains("line 1") && small.message.contains("'overlong: drop'"), "\(small.message)")
    }

    @Test func recordsThatAreTooLongAreNamedOrLeftOut() throws {
        let fixture = try WorkerFixture()
        let long = try fixture.run(kind: "prepare", spec: spec(["capacity": 4]), environment: try python(fixture))
        #expect(long.exitCode == 65 && long.message.hasPrefix("dataset.jsonl, line 1: "), "\(long.message)")
        let dropped = try fixture.run(kind: "prepare", spec: spec(["capacity": 4, "overlong": "drop"]), environment: try python(fixture))
        #expect(dropped.exitCode == 0, "\(dropped.output)")
        #expect(dropped.outputs?["summary"]?["packing"]?["dataset"]?["dropped"] == 4)
        #expect(dropped.output.contains("4 too long and left out"))
    }

    @Test func whatTheTokenizerRefusesIsToldWithItsLine() throws {
        let fixture = try WorkerFixture()
        let said = "error: 1 record(s) do not fit\\n  line 3, /messages/0: has no content\\n"
        let ending = try fixture.run(kind: "prepare", spec: spec(["capacity": 8]), environment: try python(fixture, fails: said))
        #expect(ending.exitCode == 65 && ending.reason == "bad_data", "\(ending.output)")
        #expect(ending.message.contains("dataset.jsonl cannot be measured") && ending.message.contains("do not fit"))
        #expect(ending.outputs?["error"]?["errors"]?[0] == ["pointer": "/messages/0", "detail": "has no content", "line": 3])
    }

    @Test func withoutPythonNoDatasetIsMadeForNothing() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(
            kind: "prepare", spec: spec(["capacity": 8]), environment: ["ANNEAL_PYTHON": "/nowhere/python"])
        #expect(ending.exitCode == 64 && ending.message.contains("/nowhere/python"), "\(ending.message)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.outputFolder).isEmpty)
    }

    @Test func theTokenizersProcessEndsWithTheJob() throws {
        let fixture = try WorkerFixture()
        let fifo = fixture.folder + "/alive"
        #expect(mkfifo(fifo, 0o600) == 0)
        // The child holds the pipe open until it dies; reading to its end waits for just that.
        let path = try fixture.write("python", "#!/bin/sh\nexec 3>'\(fifo)'\necho started >&3\nexec sleep 600\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        let process = try fixture.start(kind: "prepare", spec: spec(["capacity": 8]), environment: ["ANNEAL_PYTHON": path])
        let pipe = try #require(FileHandle(forReadingAtPath: fifo))
        #expect(String(decoding: pipe.availableData, as: UTF8.self) == "started\n")
        kill(process.processIdentifier, SIGTERM)
        let ending = try fixture.finish(process)
        #expect(ending.exitCode == 75 && ending.reason == "interrupted", "\(ending.output)")
        #expect(try pipe.readToEnd()?.isEmpty ?? true)
    }

    @Test(.enabled(if: WorkerFixture.python != nil, "needs ANNEAL_PYTHON, a Python with transformers"))
    func theRealTokenizerMeasures() throws {
        let fixture = try WorkerFixture()
        let python = try #require(WorkerFixture.python)
        let maker = Process()
        maker.executableURL = URL(fileURLWithPath: python)
        maker.arguments = [WorkerFixture.sourceFolder + "/tiny_model.py", fixture.folder + "/model"]
        try maker.run()
        maker.waitUntilExit()
        let ending = try fixture.run(
            kind: "prepare", spec: spec(["model": .string(fixture.folder + "/model"), "capacity": 256]),
            environment: ["ANNEAL_PYTHON": python, "ANNEAL_TRAINER": Self.trainer])
        #expect(ending.exitCode == 0, "\(ending.output)")
        let lengths = try #require(ending.outputs?["summary"]?["packing"]?["dataset"]?["total_sequence_length"]?.int)
        // A byte is a token: at least the marks, the roles and the texts of eight records.
        #expect(lengths > 8 * 30)
    }

    // MARK: Shards

    private func images(_ fixture: WorkerFixture, _ count: Int) throws -> String {
        let folder = fixture.folder + "/images"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for number in 0..<count { _ = try fixture.write("images/\(number).jpg", "jpeg \(number)") }
        return folder
    }

    private func record(_ number: Int) -> String {
        #"{"id": "\#(number)", "image": "\#(number).jpg", "conversations": [{"from": "human", "value": "<image>?"}, "#
            + #"{"from": "gpt", "value": "a"}]}"#
    }

    @Test func conversationsBecomeShardsThatTheSeedMakesAgain() throws {
        let fixture = try WorkerFixture()
        let images = try images(fixture, 10)
        // LLaVA comes as one JSON array.
        let path = try fixture.write("llava.json", "[" + (0..<10).map(record).joined(separator: ",\n") + "]")
        let spec: JSONValue = [
            "source": ["file": .string(path)],
            "steps": [["webdataset": ["images": .string(images), "samples_per_shard": 3, "split": ["train": 0.75, "validation": 0.25]]]],
        ]
        let ending = try fixture.run(kind: "prepare", spec: spec)
        #expect(ending.exitCode == 0, "\(ending.output)")
        let output = try #require(ending.outputs?["outputs"]?["dataset"])
        #expect(output["format"] == "webdataset" && output["rows"] == 10)
        #expect(ending.outputs?["summary"]?["webdataset"]?["split"]?["val"]?["samples"] == 1)
        #expect(ending.output.contains("split: train 9 in 3 shards, val 1 in 1 shards"))
        let folder = fixture.outputFolder + "/webdataset"
        let names = Set(try FileManager.default.contentsOfDirectory(atPath: folder))
        #expect(names.isSuperset(of: ["instruction-000000.tar", "instruction-000003.tar", ".nv-meta"]))
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.outputFolder) == ["webdataset"])
        let before = try Data(contentsOf: URL(fileURLWithPath: folder + "/instruction-000001.tar"))
        #expect(try fixture.run(kind: "prepare", spec: spec).exitCode == 0)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder + "/instruction-000001.tar")) == before)
    }

    @Test func aRecordWhoseImageIsMissingIsNamed() throws {
        let fixture = try WorkerFixture()
        let images = try images(fixture, 1)
        let path = try fixture.write("llava.jsonl", record(0) + "\n" + record(1) + "\n")
        let ending = try fixture.run(
            kind: "prepare", spec: ["source": ["file": .string(path)], "steps": [["webdataset": ["images": .string(images)]]]])
        #expect(ending.exitCode == 65 && ending.message.contains("line 2, /image"), "\(ending.message)")
    }

    // MARK: Reports

    @Test func reportsOfStepsAreOutputs() throws {
        let fixture = try WorkerFixture()
        let bench = try fixture.write("bench.jsonl", "{\"problem\": \"what is one and one\"}\n")
        let path = try fixture.write(
            "in.jsonl",
            "{\"generation\": \"Problem 1: what is one and one Problem 2: other\"}\n{\"generation\": \"No problems identified.\"}\n")
        let ending = try fixture.run(
            kind: "prepare",
            spec: [
                "source": ["file": .string(path)],
                "steps": [["extract_problems": [:]], ["decontaminate": ["against": [.string(bench)], "ngram": 5]]],
            ])
        #expect(ending.exitCode == 0, "\(ending.output)")
        let report = try #require(ending.outputs?["outputs"]?["decontamination"]?["path"]?.string)
        #expect(try fixture.text(report).contains("bench.jsonl"))
        let dropped = try #require(ending.outputs?["outputs"]?["dropped"]?["path"]?.string)
        #expect(try fixture.lines(dropped).count == 1)
    }
}
