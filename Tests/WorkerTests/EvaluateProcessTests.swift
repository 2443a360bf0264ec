import Foundation
import JSON
import Testing

@Suite(.serialized) struct EvaluateProcessTests {
    private func dataset(_ fixture: WorkerFixture, count: Int) throws -> JSONValue {
        let lines = (0..<count).map { number in
            "{\"messages\": [{\"role\": \"user\", \"content\": \"\(number)*10=?\"}, {\"role\": \"assistant\", \"content\": \"<think></think>\\n\\n\(number * 10)\"}]}\n"
        }
        return .string(try fixture.write("data.jsonl", lines.joined()))
    }

    private func spec(_ server: JSONValue, _ dataset: JSONValue, samples: Int = 1) -> JSONValue {
        [
            "model": "/models/fake", "server": server, "concurrency": 2,
            "benchmarks": [["name": "toy", "dataset": dataset, "samples": .int(Int64(samples))]],
        ]
    }

    private func value(_ ending: WorkerFixture.Ending, _ key: String) -> Double? { ending.outputs?["summary"]?[key]?.double }

    @Test func aRunningServerIsAskedAndItsAnswersAreGraded() throws {
        let fixture = try WorkerFixture()
        let server = try FakeServer(mode: "odd")
        let spec = try spec(["url": .string(server.url), "api_key_env": "FAKE_KEY"], dataset(fixture, count: 10), samples: 2)
        let ending = try fixture.run(kind: "evaluate", spec: spec, environment: ["FAKE_KEY": "secret-key"])
        #expect(ending.exitCode == 0, "\(ending.output)")
        // Nought is even, and the answer to 1 to 9 is right for the even ones: 5 of 10.
        #expect(value(ending, "toy/accuracy") == 0.5)
        #expect(value(ending, "toy/pass@2") == 0.5)
        #expect(value(ending, "toy/no_answer") == 0)
        #expect(value(ending, "toy/avg_tokens") == 1)
        let path = try #require(ending.outputs?["outputs"]?["evaluation"]?["path"]?.string)
        let document = try JSONParser.parse(fixture.text(path))
        let benchmark = try #require(document["benchmarks"]?[0])
        #expect(benchmark["item_count"] == 10 && benchmark["samples"] == 2)
        let items = try fixture.lines(try #require(benchmark["items"]?.string)).map { try JSONParser.parse($0) }
        #expect(items.map { $0["item"]?.int } == Array(0..<10))
        #expect(items[3]["expected"] == "30" && items[3]["samples"]?[1]?["response"] == "3")
        let last = try #require(try fixture.metrics().last)
        #expect(last["evaluation/toy/accuracy"] == 0.5 && last["step"] == 20)
        let requests = try server.remainingRequests()
        #expect(Set(requests.map { "\($0["prompt"]?.string ?? "") \($0["seed"]?.int ?? -1)" }).count == 20)
        #expect(requests.allSatisfy { $0["authorization"] == "Bearer secret-key" })
        #expect(!ending.output.contains("secret-key") && !document.text().contains("secret-key"))
    }

    @Test func aKilledEvaluationGoesOnWithWhatIsMissing() throws {
        let fixture = try WorkerFixture()
        let data = try dataset(fixture, count: 20)
        let first = try FakeServer(mode: "hold:8")
        let process = try fixture.start(kind: "evaluate", spec: spec(["url": .string(first.url)], data))
        // With two requests at once, the tenth request shows that the first eight answers have come back.
        for _ in 0..<10 { _ = try first.nextRequest() }
        kill(process.processIdentifier, SIGKILL)
        #expect(try fixture.finish(process).exitCode == -SIGKILL)
        let kept = try fixture.lines(fixture.outputFolder + "/answers.jsonl").map { try JSONParser.parse($0)["item"]?.int }
        #expect(kept.count == 8)
        let second = try FakeServer(mode: "good")
        let ending = try fixture.run(kind: "evaluate", spec: spec(["url": .string(second.url)], data))
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(value(ending, "toy/accuracy") == 1)
        #expect(try second.remainingRequests().count == 12)
        #expect(ending.output.contains("8 of 20 answers are there already"))
        #expect(try fixture.metrics().first?["progress/done"]?.double == 8)
    }

    @Test func aStopKeepsTheAnswersAndAsksToBeResumed() throws {
        let fixture = try WorkerFixture()
        let server = try FakeServer(mode: "hold:3")
        let process = try fixture.start(kind: "evaluate", spec: spec(["url": .string(server.url)], dataset(fixture, count: 10)))
        for _ in 0..<5 { _ = try server.nextRequest() }
        kill(process.processIdentifier, SIGTERM)
        let ending = try fixture.finish(process)
        #expect(ending.exitCode == 75, "\(ending.output)")
        #expect(try fixture.lines(fixture.outputFolder + "/answers.jsonl").count == 3)
    }

    @Test func aMissedGateFailsTheJobAndSaysByHowMuch() throws {
        let fixture = try WorkerFixture()
        let data = try dataset(fixture, count: 10)
        let server = try FakeServer(mode: "odd")
        let base = try fixture.run(kind: "evaluate", spec: spec(["url": .string(server.url)], data))
        let path = fixture.folder + "/baseline.json"
        try FileManager.default.moveItem(atPath: try #require(base.outputs?["outputs"]?["evaluation"]?["path"]?.string), toPath: path)
        let good = try FakeServer(mode: "good")
        try FileManager.default.removeItem(atPath: fixture.outputFolder + "/answers.jsonl")
        guard case .object(var members) = spec(["url": .string(good.url)], data) else { return }
        members["compare_to"] = .string(path)
        members["gate"] = ["accuracy": ">= baseline + 0.6", "toy/no_answer": "<= 0.1"]
        let missed = try fixture.run(kind: "evaluate", spec: .object(members))
        #expect(missed.exitCode == 1, "\(missed.output)")
        #expect(missed.outputs?["gate"]?["passed"] == false)
        #expect(missed.outputs?["gate"]?["checks"]?[0]?["limit"]?.double == 1.1)
        #expect(missed.outputs?["gate"]?["checks"]?[1]?["passed"] == true)
        members["gate"] = ["accuracy": ">= baseline + 0.5"]
        let passed = try fixture.run(kind: "evaluate", spec: .object(members))
        #expect(passed.exitCode == 0, "\(passed.output)")
        let document = try JSONParser.parse(fixture.text(fixture.outputFolder + "/evaluation.json"))
        let comparison = try #require(document["compare"]?["benchmarks"]?[0])
        #expect(comparison["up"] == 5 && comparison["down"] == 0 && comparison["difference"] == 0.5)
        members["gate"] = ["acuracy": ">= 0.5"]
        #expect(try fixture.run(kind: "evaluate", spec: .object(members)).message.hasPrefix("/gate/acuracy"))
    }

    @Test func itemsWithoutAnExpectedAnswerAreRefusedWithTheirLines() throws {
        let fixture = try WorkerFixture()
        let path = try fixture.write(
            "in.jsonl",
            "{\"question\": \"1*10=?\", \"answer\": 10}\n\n{\"input\": \"x\"}\n{\"output\": \"x\"}\n[]\n{\"messages\": []}\nbroken\n")
        let ending = try fixture.run(kind: "evaluate", spec: spec(["url": "http://127.0.0.1:1"], .string(path)))
        #expect(ending.exitCode == 65, "\(ending.output)")
        #expect(ending.outputs?["error"]?["errors"]?.array?.compactMap { $0["line"]?.int } == [3, 4, 5, 6, 7])
    }

    // MARK: Servers that the worker starts

    /// A Python environment whose `transformers` is this shell script.
    private func environment(_ fixture: WorkerFixture, script: String) throws -> [String: String] {
        let path = try fixture.write("transformers", "#!/bin/sh\n" + script + "\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return ["ANNEAL_PYTHON": fixture.folder + "/python"]
    }

    private var fakeServer: String { "exec python3 '\(WorkerFixture.sourceFolder)/fake_server.py' \"$@\"" }

    /// Processes of a group that have not ended; zombies wait only for their parent.
    private func livingProcesses(inGroup group: Int32) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.filter { name in
            // A process that ends between the listing and this has no file any more.
            guard Int32(name) != nil, let text = try? String(contentsOfFile: "/proc/\(name)/stat", encoding: .utf8) else { return false }
            // After the name in parentheses come the state, the parent and the group (proc(5)).
            let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 2 && fields[0] != "Z" && fields[2] == "\(group)"
        }
    }

    @Test func aServerIsStartedAskedAndStopped() throws {
        let fixture = try WorkerFixture()
        let spec = try spec(["engine": "transformers", "args": ["mode": "good", "trust": true, "off": false]], dataset(fixture, count: 5))
        let script =
            "echo \"$@\" > '\(fixture.folder)/argv'; echo $$ > '\(fixture.folder)/pid'; echo token=$ANNEAL_TOKEN >> '\(fixture.folder)/argv'\n"
            + fakeServer
        var variables = try environment(fixture, script: script)
        variables["ANNEAL_TOKEN"] = "planted"
        let ending = try fixture.run(kind: "evaluate", spec: spec, environment: variables)
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(value(ending, "toy/accuracy") == 1)
        let argv = try fixture.lines(fixture.folder + "/argv")
        #expect(argv[0].hasPrefix("serve /models/fake --host 127.0.0.1 --port "))
        #expect(argv[0].hasSuffix(" --device cpu --mode good --trust"))
        #expect(argv[1] == "token=")
        let pid = try #require(Int32(try fixture.lines(fixture.folder + "/pid")[0]))
        #expect(kill(pid, 0) == -1)
    }

    @Test func aServerDiesWithItsWorker() throws {
        let fixture = try WorkerFixture()
        let pipe = fixture.folder + "/pipe"
        try #require(mkfifo(pipe, 0o600) == 0)
        let spec = try spec(["engine": "transformers", "args": ["mode": "hang"]], dataset(fixture, count: 3))
        let process = try fixture.start(
            kind: "evaluate", spec: spec, environment: environment(fixture, script: "exec 9>'\(pipe)'\n" + fakeServer))
        // Opening waits for the server, which holds the other end as long as it lives.
        let end = open(pipe, O_RDONLY)
        defer { close(end) }
        kill(process.processIdentifier, SIGKILL)
        var byte: UInt8 = 0
        #expect(read(end, &byte, 1) == 0)
        #expect(try fixture.finish(process).exitCode == -SIGKILL)
    }

    @Test func aServerThatLosesItsPortIsStartedOnAnother() throws {
        let fixture = try WorkerFixture()
        let script =
            "if [ ! -e '\(fixture.folder)/once' ]; then touch '\(fixture.folder)/once'; echo 'OSError: [Errno 98] Address already in use'; exit 1; fi\n"
            + fakeServer
        let ending = try fixture.run(
            kind: "evaluate", spec: spec(["engine": "transformers"], dataset(fixture, count: 3)),
            environment: environment(fixture, script: script))
        #expect(ending.exitCode == 0, "\(ending.output)")
    }

    @Test func aServerThatEndsAtOnceIsReportedWithItsLastLines() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(
            kind: "evaluate", spec: spec(["engine": "transformers"], dataset(fixture, count: 3)),
            environment: environment(fixture, script: "echo 'no such model' >&2; exit 3"))
        #expect(ending.exitCode == 1)
        #expect(ending.reason == "server_failed")
        #expect(ending.message.contains("exit code 3") && ending.message.contains("no such model"), "\(ending.message)")
    }

    @Test func aServerThatNeverGetsHealthyIsStoppedAfterItsTime() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(
            kind: "evaluate", spec: spec(["engine": "transformers", "startup_timeout": "1s"], dataset(fixture, count: 3)),
            environment: environment(
                fixture, script: "echo $$ > '\(fixture.folder)/pid'; echo loading; trap '' TERM; sleep 600 & wait; sleep 600"))
        #expect(ending.exitCode == 1)
        #expect(ending.reason == "server_failed")
        #expect(ending.message.contains("not healthy after 1 s") && ending.message.contains("loading"), "\(ending.message)")
        let pid = try #require(Int32(try fixture.lines(fixture.folder + "/pid")[0]))
        #expect(livingProcesses(inGroup: pid).isEmpty)
    }

    @Test func aServerThatDiesInTheMiddleIsReportedAndTheAnswersAreKept() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(
            kind: "evaluate", spec: spec(["engine": "transformers", "args": ["mode": "die:4"]], dataset(fixture, count: 10)),
            environment: environment(fixture, script: fakeServer))
        #expect(ending.exitCode == 1)
        #expect(ending.reason == "server_failed")
        #expect(ending.message.contains("exit code 7") && ending.message.contains("out of memory"), "\(ending.message)")
        #expect(try fixture.lines(fixture.outputFolder + "/answers.jsonl").count >= 3)
    }

    @Test func aMissingEngineIsNamed() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(
            kind: "evaluate", spec: spec(["engine": "vllm"], dataset(fixture, count: 3)),
            environment: ["ANNEAL_PYTHON": fixture.folder + "/python"])
        #expect(ending.exitCode == 1 && ending.message.contains(fixture.folder + "/vllm"), "\(ending.message)")
    }

    // MARK: The real server

    @Test(.enabled(if: WorkerFixture.python != nil, "needs ANNEAL_PYTHON, a Python with transformers[serving]"))
    func aRealModelIsServedKilledAndResumed() throws {
        let fixture = try WorkerFixture()
        let python = try #require(WorkerFixture.python)
        let model = fixture.folder + "/model"
        let maker = Process()
        maker.executableURL = URL(fileURLWithPath: python)
        maker.arguments = [WorkerFixture.sourceFolder + "/tiny_model.py", model]
        try maker.run()
        maker.waitUntilExit()
        try #require(maker.terminationStatus == 0)
        let spec: JSONValue = [
            "model": .string(model), "server": ["engine": "transformers"], "concurrency": 2,
            "benchmarks": [["name": "toy", "dataset": try dataset(fixture, count: 8), "samples": 2, "max_tokens": 8]],
        ]
        let process = try fixture.start(kind: "evaluate", spec: spec)
        let ledger = fixture.outputFolder + "/answers.jsonl"
        // The file grows by whole lines; its third one shows that the evaluation is in its middle.
        let watch = FileWatch(path: ledger)
        while process.isRunning, ((try? fixture.lines(ledger).count) ?? 0) < 3 { watch.wait() }
        kill(process.processIdentifier, SIGKILL)
        #expect(try fixture.finish(process).exitCode == -SIGKILL)
        let kept = try fixture.lines(ledger)
        let ending = try fixture.run(kind: "evaluate", spec: spec)
        #expect(ending.exitCode == 0, "\(ending.output)")
        let answers = try fixture.lines(ledger)
        #expect(answers.count == 16)
        #expect(Array(answers.prefix(kept.count)) == kept)
        let records = try answers.map { try JSONParser.parse($0) }
        #expect(Set(records.map { "\($0["item"]?.int ?? -1)/\($0["sample"]?.int ?? -1)" }).count == 16)
        #expect(records.allSatisfy { ($0["completion_tokens"]?.int ?? 0) > 0 })
        // Random weights give each sample another answer, where the server samples at all.
        #expect(Set(records.compactMap { $0["content"]?.string }).count > 8)
        #expect(value(ending, "toy/accuracy") == 0)
    }
}
