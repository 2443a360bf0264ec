import Foundation
import JSON
import Testing

@Suite(.serialized) struct GenerateProcessTests {
    private func dataset(_ fixture: WorkerFixture, count: Int) throws -> JSONValue {
        .string(try fixture.write("data.jsonl", (0..<count).map { "{\"id\": \($0), \"problem\": \"q\($0)*\"}\n" }.joined()))
    }

    private func spec(_ url: JSONValue, _ dataset: JSONValue, _ further: JSONObject = [:]) -> JSONValue {
        let own: JSONObject = [
            "server": ["url": url], "dataset": dataset, "concurrency": 8, "retry_delay": 0.01, "prompt": ["user": "{problem}"],
        ]
        return .object(own.merging(further) { $1 })
    }

    /// The final records of a run, which must be whole and in order.
    private func records(_ fixture: WorkerFixture, _ name: String = "output.jsonl") throws -> [JSONValue] {
        try fixture.lines(fixture.outputFolder + "/" + name).map { try JSONParser.parse($0) }
    }

    private func exists(_ fixture: WorkerFixture, _ name: String) -> Bool {
        FileManager.default.fileExists(atPath: fixture.outputFolder + "/" + name)
    }

    @Test func recordsComeInTheOrderOfTheDataWithAllTheirFields() throws {
        let fixture = try WorkerFixture()
        let server = try MockServer()
        let ending = try fixture.run(
            kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 100), ["parse_reasoning": true]))
        #expect(ending.exitCode == 0, "\(ending.output)")
        let records = try records(fixture)
        #expect(records.map { $0["id"]?.int } == Array(0..<100))
        #expect(records[7]["generation"] == "answer to q7*" && records[7]["_full_generation"] == "<think>hm q7*</think> answer to q7*")
        #expect(records[7]["num_generated_tokens"] == 5 && records[7]["_generation_finished_thinking"] == true)
        #expect(ending.outputs?["outputs"]?["generations"]?["rows"] == 100)
        #expect(try fixture.metrics().last?["progress/done"]?.double == 100)
        #expect(!exists(fixture, "output.jsonl-async") && exists(fixture, "output.jsonl.done") && !exists(fixture, "failed.jsonl"))
        #expect(try server.stats()["repeated"] == 0)
        // A rerun repeats nothing, not even where the server is gone.
        server.stop()
        let again = try fixture.run(
            kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 100), ["parse_reasoning": true]))
        #expect(again.exitCode == 0 && again.outputs == ending.outputs, "\(again.output)")
    }

    @Test(arguments: [false, true])
    func seedsGiveARunEachAndChunksTheirPart(streams: Bool) throws {
        let fixture = try WorkerFixture()
        let server = try MockServer()
        let further: JSONObject = ["seeds": "3..5", "chunks": 3, "chunk": 1, "stream": .bool(streams), "api": "completions"]
        let ending = try fixture.run(kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 10), further))
        #expect(ending.exitCode == 0, "\(ending.output)")
        // Ten records in three parts are four, three and three.
        for seed in 3...5 { #expect(try records(fixture, "output-rs\(seed)_chunk_1.jsonl").map { $0["id"]?.int } == [4, 5, 6]) }
        #expect(try records(fixture, "generations.jsonl").count == 9)
        let outputs = try #require(ending.outputs?["outputs"]?.object)
        #expect(Array(outputs.keys) == ["rs3", "rs4", "rs5", "generations"])
        #expect(try server.stats()["different"] == 9)
    }

    @Test func severalServersShareTheWorkAndOneThatIsGoneIsDoneWithout() throws {
        let fixture = try WorkerFixture()
        let servers = [try MockServer("--delay", "0.01"), try MockServer("--delay", "0.01")]
        let urls = JSONValue.array((servers.map(\.url) + ["http://127.0.0.1:1"]).map { .string($0) })
        let ending = try fixture.run(
            kind: "generate", spec: spec(urls, dataset(fixture, count: 200), ["patience": "0.3s", "concurrency": 9]))
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(try records(fixture).map { $0["id"]?.int } == Array(0..<200))
        for server in servers { #expect((try server.stats()["requests"]?.int ?? 0) > 20) }
    }

    @Test func aKilledGenerationAsksOnlyForWhatIsMissing() throws {
        let fixture = try WorkerFixture()
        let server = try MockServer("--delay", "0.01")
        let spec = try spec(.string(server.url), dataset(fixture, count: 400))
        let process = try fixture.start(kind: "generate", spec: spec)
        let ledger = fixture.outputFolder + "/output.jsonl-async"
        let watch = FileWatch(path: ledger)
        while ((try? fixture.lines(ledger).count) ?? 0) < 50, process.isRunning { watch.wait() }  // Before the file is there.
        kill(process.processIdentifier, SIGKILL)
        #expect(try fixture.finish(process).exitCode == -SIGKILL)
        let kept = try fixture.lines(ledger).count
        #expect(kept < 400)
        let ending = try fixture.run(kind: "generate", spec: spec)
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(try records(fixture).map { $0["id"]?.int } == Array(0..<400))
        #expect(try server.stats()["repeated"]?.int ?? 99 <= 8)
    }

    @Test func aStopKeepsWhatIsDoneAndAsksToBeResumed() throws {
        let fixture = try WorkerFixture()
        let server = try MockServer("--delay", "0.01")
        let process = try fixture.start(kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 2000)))
        let ledger = fixture.outputFolder + "/output.jsonl-async"
        let watch = FileWatch(path: ledger)
        while ((try? fixture.lines(ledger).count) ?? 0) < 20, process.isRunning { watch.wait() }  // As above.
        kill(process.processIdentifier, SIGTERM)
        let ending = try fixture.finish(process)
        #expect(ending.exitCode == 75, "\(ending.output)")
        #expect(try fixture.lines(ledger).count >= 20)
    }

    @Test(arguments: ["busy:3", "break:10", "error:10", "garbage:10"])
    func whatPassesIsAskedAgain(mode: String) throws {
        let fixture = try WorkerFixture()
        let server = try MockServer("--mode", mode, "--delay", "0.005")
        let ending = try fixture.run(kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 60)))
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(try records(fixture).map { $0["id"]?.int } == Array(0..<60))
    }

    @Test func failedRecordsAreListedAndRetriedAlone() throws {
        let fixture = try WorkerFixture()
        let bad = try MockServer("--mode", "poison:q1*")
        let first = try fixture.run(kind: "generate", spec: spec(.string(bad.url), dataset(fixture, count: 50)))
        #expect(first.exitCode == 65 && first.reason == "bad_data", "\(first.output)")
        #expect(first.message.contains("1 of 50 generations failed (refused 1)") && first.message.contains("too long"))
        let failed = try records(fixture, "failed.jsonl")
        #expect(failed.count == 1 && failed[0]["record"] == 1 && failed[0]["cause"] == "refused")
        let good = try MockServer()
        let second = try fixture.run(kind: "generate", spec: spec(.string(good.url), dataset(fixture, count: 50)))
        #expect(second.exitCode == 0, "\(second.output)")
        #expect(try good.stats()["requests"] == 1)
        #expect(try records(fixture).map { $0["id"]?.int } == Array(0..<50))
    }

    @Test func someMayFailWhereTheSpecAllowsIt() throws {
        let fixture = try WorkerFixture()
        let server = try MockServer("--mode", "poison:q1*")
        let ending = try fixture.run(kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 5), ["max_failed": 1]))
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(try records(fixture).map { $0["id"]?.int } == [0, 2, 3, 4])
        #expect(ending.outputs?["summary"]?["failed"] == 1 && ending.outputs?["outputs"]?["failed"]?["type"] == "file")
    }

    @Test(arguments: [
        ("error:1", false, "on fire"), ("garbage:1", false, "a proxy says hello"), ("break:1", false, "given up"),
        ("torn", true, "ended before"), ("babble", true, "no JSON"), ("poison:q", false, "refuses every request"),
    ])
    func aServerThatNeverAnswersIsGivenUpWithOneMessage(mode: String, streams: Bool, words: String) throws {
        let fixture = try WorkerFixture()
        let server = try MockServer("--mode", mode)
        let ending = try fixture.run(
            kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 100), ["stream": .bool(streams)]))
        #expect(ending.exitCode == (mode.hasPrefix("poison") ? 64 : 1), "\(ending.output)")
        #expect(ending.message.contains(words), "\(ending.message)")
    }

    @Test func workedExamplesAndASystemTextGoBeforeTheQuestion() throws {
        let fixture = try WorkerFixture()
        let server = try MockServer()
        let prompt: JSONValue = [
            "user": "{examples}Q: {problem}", "system": "for {id}",
            "few_shot_examples": [
                "prefix": "Look:\n", "template": "{q} is {a}\n", "suffix": "---\n",
                "examples": [["q": "1+1", "a": 2], ["q": "2+2", "a": 4]],
            ],
        ]
        for api in ["chat", "completions"] {
            let further: JSONObject = ["prompt": prompt, "api": .string(api)]
            let ending = try fixture.run(kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 2), further))
            #expect(ending.exitCode == 0, "\(ending.output)")
            let system = api == "chat" ? "" : "for 1"
            let asked = system + "Look:\n1+1 is 2\n2+2 is 4\n---\nQ: q1*"
            #expect(try records(fixture)[1]["generation"]?.string == "<think>hm \(asked)</think> answer to \(asked)")
        }
    }

    /// One record meets a bad answer again and again, the others do not.
    @Test(arguments: [
        ("html", false, "garbage", "a proxy says hello"), ("error200", false, "garbage", "CUDA out of memory"),
        ("empty", false, "garbage", "200 with no completion: nothing"), ("binary", false, "garbage", "no completion"),
        ("utf8", false, "garbage", "no completion"), ("short", false, "closed", "closed with"), ("chunked", false, "closed", "closed with"),
        ("stall", false, "timeout", "timed out"), ("nohttp", false, "garbage", "no HTTP"),
        ("huge", false, "too_long", "more than 16777216 bytes"),
        ("redirect", false, "refused", "redirects are not followed"), ("limit", false, "refused", "maximum context length"),
        ("html", true, "garbage", "a proxy says hello"), ("cut", true, "closed", "ended before the answer did"),
        ("noise", true, "garbage", "no event of a stream"), ("streamerror", true, "garbage", "the engine died"),
        ("endless", true, "too_long", "more than 16777216 bytes"), ("cut", false, "garbage", "no completion: data:"),
    ])
    func aBadAnswerCostsItsRecordAlone(kind: String, streams: Bool, cause: String, words: String) throws {
        let fixture = try WorkerFixture()
        let server = try MockServer("--mode", "bad:\(kind):q3*", "--delay", "0.01")
        let further: JSONObject = ["stream": .bool(streams), "max_failed": 1, "request_timeout": "2s", "max_tokens": 5]
        let ending = try fixture.run(kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 200), further))
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(try self.records(fixture).map { $0["id"]?.int } == (0..<200).filter { $0 != 3 })
        let failed = try records(fixture, "failed.jsonl")
        #expect(failed.count == 1 && failed[0]["record"] == 3 && failed[0]["cause"]?.string == cause, "\(failed)")
        #expect(failed[0]["message"]?.string?.contains(words) == true && failed[0]["url"]?.string == server.url + "/v1", "\(failed)")
        #expect(ending.output.contains("record 3 failed: ") && ending.output.contains("(\(server.url)/v1)"), "\(ending.output)")
    }

    @Test(arguments: [("type", false), ("undone", true), ("later", false), ("later", true), ("type", true), ("open", true)])
    func anUnusualAnswerIsOne(kind: String, streams: Bool) throws {
        let fixture = try WorkerFixture()
        let server = try MockServer("--mode", "bad:\(kind):q3*")
        let ending = try fixture.run(
            kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 20), ["stream": .bool(streams)]))
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(try records(fixture).map { $0["id"]?.int } == Array(0..<20))
        #expect(try server.stats()["repeated"]?.int == (kind == "later" ? 1 : 0))
    }

    @Test func badRecordsAreAllToldWithTheirLinesAndNothingIsAsked() throws {
        let fixture = try WorkerFixture()
        let server = try MockServer()
        let deep = String(repeating: "[", count: 5000)
        let lines = [
            #"{"problem": "fine"}"#, #"{"problem": "cut"#, #"["problem"]"#, #"{"problem": \#(deep)"#, #"{"other": 1}"#, "", "nonsense",
        ]
        let path = try fixture.write("bad.jsonl", lines.joined(separator: "\n") + "\n")
        let ending = try fixture.run(kind: "generate", spec: spec(.string(server.url), .string(path)))
        #expect(ending.exitCode == 65 && ending.reason == "bad_data", "\(ending.output)")
        #expect(ending.message.contains("line 2") && ending.message.contains("4 more"), "\(ending.message)")
        #expect(ending.outputs?["error"]?["errors"]?.array?.compactMap { $0["line"]?.int } == [2, 3, 4, 5, 7], "\(ending.output)")
        #expect(try server.stats()["requests"] == 0)
    }

    @Test func aServerThatHangsIsLeftAfterTheTimeout() throws {
        let fixture = try WorkerFixture()
        let server = try MockServer("--delay", "3600")
        let ending = try fixture.run(
            kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 4), ["request_timeout": "0.1s"]))
        #expect(ending.exitCode == 1 && ending.reason == "server_failed", "\(ending.output)")
        #expect(ending.message.contains("given up"), "\(ending.message)")
    }

    @Test func aServerThatWasKilledIsWaitedForOnlySoLong() throws {
        let fixture = try WorkerFixture()
        let server = try MockServer("--delay", "0.01")
        let process = try fixture.start(
            kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 3000), ["patience": "1s"]))
        let ledger = fixture.outputFolder + "/output.jsonl-async"
        let watch = FileWatch(path: ledger)
        while ((try? fixture.lines(ledger).count) ?? 0) < 20, process.isRunning { watch.wait() }  // Before the file is there.
        server.stop()
        let ending = try fixture.finish(process)
        #expect(ending.exitCode == 1 && ending.reason == "network", "\(ending.output)")
        #expect(try fixture.lines(ledger).count >= 20)
    }

    @Test(arguments: [
        (#"{"prompt": {"user": "{missing}"}}"#, Int32(65), "no field 'missing'"),
        (#"{"prompt": {"user": "{"}}"#, 64, "not closed"), (#"{"prompt": "other"}"#, 64, "no prompt 'other'"),
        (#"{"samples": 2, "seeds": "0,1"}"#, 64, "stands beside"), (#"{"api": "completions", "prompt": null}"#, 0, ""),
    ])
    func badRequestsAreToldBeforeTheFirstRequest(further: String, exitCode: Int32, words: String) throws {
        let fixture = try WorkerFixture()
        let server = try MockServer()
        let more = try #require(try JSONParser.parse(further).object)
        let ending = try fixture.run(kind: "generate", spec: spec(.string(server.url), dataset(fixture, count: 3), more))
        #expect(ending.exitCode == exitCode && (words.isEmpty || ending.message.contains(words)), "\(ending.output)")
        if exitCode != 0 { #expect(try server.stats()["requests"] == 0) }
    }

    @Test func partsAreMergedInTheirOrder() throws {
        let fixture = try WorkerFixture()
        let parts = try ["a", "b"].map {
            JSONValue.string(try fixture.write("\($0).jsonl", "{\"id\": \"\($0)\", \"generation\": \"x\"}\n"))
        }
        let ending = try fixture.run(kind: "generate", spec: ["merge": ["rs0": .array(parts), "rs1": .array(parts.reversed())]])
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(try records(fixture, "output-rs1.jsonl").map { $0["id"]?.string } == ["b", "a"])
        #expect(try records(fixture, "generations.jsonl").map { $0["id"]?.string } == ["a", "b", "b", "a"])
    }
}
