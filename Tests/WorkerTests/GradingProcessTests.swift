import Foundation
import JSON
import Testing

/// A chat server in Python that answers each prompt by a rule; the rule is the body of `def reply(prompt)`.
private final class RuleServer {
    let process = Process()
    let url: String

    init(_ fixture: WorkerFixture, rule: String) throws {
        let name = "server-\(UUID().uuidString).py"
        let script = """
            import json
            from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

            def reply(prompt):
            \(rule.split(separator: "\n", omittingEmptySubsequences: false).map { "    " + $0 }.joined(separator: "\n"))

            class Handler(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def log_message(self, *_): pass
                def send(self, document):
                    body = json.dumps(document).encode()
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                def do_GET(self):
                    self.send({"data": [{"id": "rule"}]})
                def do_POST(self):
                    body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                    message = {"role": "assistant", "content": reply(body["messages"][-1]["content"])}
                    self.send({"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"completion_tokens": 1}})

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            print(server.server_address[1], flush=True)
            server.serve_forever()
            """
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", try fixture.write(name, script)]
        process.standardOutput = output
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).trimmingCharacters(
            in: .whitespacesAndNewlines)
        url = "http://127.0.0.1:\(try #require(Int(line)))"
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// Graders that need something outside: math-verify, a program, another model.
@Suite(.serialized) struct GradingProcessTests {
    private func run(
        _ fixture: WorkerFixture, server: RuleServer, records: [JSONValue], benchmark: JSONObject, environment: [String: String] = [:]
    ) throws -> (ending: WorkerFixture.Ending, benchmark: JSONValue?, items: [JSONValue]) {
        let data = try fixture.write("data.jsonl", records.map { $0.text() + "\n" }.joined())
        var members = benchmark
        members["name"] = "toy"
        members["dataset"] = .string(data)
        let spec: JSONValue = [
            "server": ["url": .string(server.url), "model": "rule"], "concurrency": 3, "benchmarks": [.object(members)],
        ]
        let ending = try fixture.run(kind: "evaluate", spec: spec, environment: environment)
        guard let path = ending.outputs?["outputs"]?["evaluation"]?["path"]?.string else { return (ending, nil, []) }
        let result = try JSONParser.parse(fixture.text(path))["benchmarks"]?[0]
        let items = try fixture.lines(try #require(result?["items"]?.string)).map { try JSONParser.parse($0) }
        return (ending, result, items)
    }

    private static let mathVerify: [String: String]? = {
        guard let python = WorkerFixture.python else { return nil }
        let trainer = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("../../Sources/trainer").standardizedFileURL.path
        let check = Process()
        check.executableURL = URL(fileURLWithPath: python)
        check.arguments = ["-c", "import math_verify"]
        check.standardError = FileHandle.nullDevice
        // A Python that cannot be started has no math-verify.
        guard (try? check.run()) != nil else { return nil }
        check.waitUntilExit()
        return check.terminationStatus == 0 ? ["ANNEAL_PYTHON": python, "ANNEAL_TRAINER": trainer] : nil
    }()

    @Test(.enabled(if: mathVerify != nil, "needs ANNEAL_PYTHON, a Python with math-verify"))
    func whatTextCannotDecideGoesToMathVerify() throws {
        let fixture = try WorkerFixture()
        let answers = ["\\\\boxed{0.5}", "\\\\boxed{1+x}", "\\\\boxed{3}", "no box", "\\\\boxed{y}", "\\\\boxed{9^{9^{9^{9}}}}"]
        let server = try RuleServer(fixture, rule: "return [\(answers.map { "\"\($0)\"" }.joined(separator: ", "))][int(prompt)]")
        let expected = ["\\frac{1}{2}", "x+1", "3", "4", "x", "2"]
        let records: [JSONValue] = expected.enumerated().map { ["problem": .string("\($0)"), "expected_answer": .string($1)] }
        let (ending, benchmark, items) = try run(
            fixture, server: server, records: records, benchmark: ["grader": "math"], environment: try #require(Self.mathVerify))
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(items.compactMap { $0["score"]?.double } == [1, 1, 1, 0, 0, 0])
        #expect(items[3]["samples"]?[0]?["answer"] == .null && items[1]["samples"]?[0]?["answer"] == "1+x")
        #expect(benchmark?["metrics"]?["accuracy"]?["value"] == 0.5 && benchmark?["grader"] == "math")
        #expect(ending.output.contains("pass@1"))
    }

    @Test func withoutTheLibraryTheMathGraderFailsBeforeTheModelIsAsked() throws {
        let fixture = try WorkerFixture()
        let server = try RuleServer(fixture, rule: "return \"1\"")
        let (ending, _, _) = try run(
            fixture, server: server, records: [["input": "1", "output": "1"]], benchmark: ["grader": "math"],
            environment: ["ANNEAL_PYTHON": "/bin/false"])
        #expect(ending.exitCode == 1 && ending.reason == "import_error", "\(ending.output)")
        #expect(try fixture.lines(fixture.outputFolder + "/answers.jsonl").isEmpty)
    }

    @Test func aProgramGrades() throws {
        let fixture = try WorkerFixture()
        let program = try fixture.write(
            "grade.py",
            """
            import json, os, sys, threading
            question = json.load(sys.stdin)
            answer = question["answer"]
            if answer == "half":
                print(json.dumps({"score": 0.5, "answer": "1/2"}))
            elif answer == "hang":
                threading.Event().wait()
            elif answer == "die":
                os.abort()
            elif answer == "secret":
                sys.exit(0 if "ANNEAL_TOKEN" in os.environ else 1)
            else:
                sys.exit(0 if answer == question["record"]["output"] == question["expected"] else 1)
            """)
        let server = try RuleServer(fixture, rule: "return prompt")
        let records: [JSONValue] = ["right", "wrong", "half", "hang", "die", "secret"].map {
            ["input": .string($0), "output": $0 == "wrong" ? "other" : .string($0)]
        }
        let (ending, benchmark, items) = try run(
            fixture, server: server, records: records,
            benchmark: ["grader": "command", "grading": ["command": ["python3", .string(program)], "timeout": "2s"]],
            environment: ["ANNEAL_TOKEN": "token"])
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(items.compactMap { $0["score"]?.double } == [1, 0, 0.5, 0, 0, 0])
        #expect(items[2]["samples"]?[0]?["answer"] == "1/2")
        #expect(items[3]["samples"]?[0]?["grading_error"] == "timeout" && items[4]["samples"]?[0]?["grading_error"] == "ended by signal 6")
        #expect(benchmark?["metrics"]?["grading_errors"]?["value"]?.double.map { abs($0 - 1.0 / 3) < 1e-9 } == true)
        let missing = try run(
            fixture, server: server, records: records, benchmark: ["grader": "command", "grading": ["command": ["no-such-program"]]])
        #expect(missing.ending.exitCode == 64 && missing.ending.message.contains("no-such-program"))
    }

    @Test func aProgramThatNeverWorksFailsTheJob() throws {
        let fixture = try WorkerFixture()
        let server = try RuleServer(fixture, rule: "return prompt")
        let (ending, _, _) = try run(
            fixture, server: server, records: [["input": "a", "output": "a"], ["input": "b", "output": "b"]],
            benchmark: ["grader": "command", "grading": ["command": ["sh", "-c", "echo no such module >&2; exit 3"]]])
        #expect(ending.exitCode == 1 && ending.message.contains("graded none of 2") && ending.message.contains("no such module"))
    }

    @Test func aJudgeGradesOnceForEachAnswer() throws {
        let fixture = try WorkerFixture()
        let server = try RuleServer(fixture, rule: "return prompt")
        let judge = try RuleServer(
            fixture,
            rule:
                "open(\"\(fixture.folder)/asked\", \"a\").write(\".\")\nreturn \"Judgement: \" + (\"Yes\" if \"four\" in prompt else \"No\")"
        )
        let records: [JSONValue] = [("4", "4"), ("four", "4"), ("five", "4")].map { ["input": .string($0), "output": .string($1)] }
        let grader: JSONObject = ["grader": "judge", "grading": ["judge": ["url": .string(judge.url), "model": "judge-1"]]]
        let (ending, benchmark, items) = try run(fixture, server: server, records: records, benchmark: grader)
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(items.compactMap { $0["score"]?.double } == [1, 1, 0])
        #expect(items[1]["samples"]?[0]?["judgements"] == ["Judgement: Yes"] && items[0]["samples"]?[0]?["judgements"] == nil)
        #expect(benchmark?["grading"]?["judge"]?["model"] == "judge-1" && ending.output.contains("judge_correct"))
        // A second attempt takes over answers and judgements.
        #expect(try run(fixture, server: server, records: records, benchmark: grader).ending.exitCode == 0)
        #expect(try fixture.text(fixture.folder + "/asked") == "..")
    }

    @Test func pairsAreJudgedInBothOrders() throws {
        let fixture = try WorkerFixture()
        let server = try RuleServer(fixture, rule: "return prompt")
        // Prefers the longer response; of equal length always the first.
        let judge = try RuleServer(
            fixture, rule: "first, second = prompt.split(\"|\")\nreturn \"Judgement: \" + (\"2\" if len(second) > len(first) else \"1\")")
        let records: [JSONValue] = [("long", "ab"), ("a", "ab"), ("xy", "ab")].map { ["input": .string($0), "output": .string($1)] }
        let (ending, benchmark, items) = try run(
            fixture, server: server, records: records,
            benchmark: [
                "grader": "judge",
                "grading": ["judge": ["url": .string(judge.url), "model": "j", "mode": "pair", "prompt": "{response_1}|{response_2}"]],
            ])
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(items.compactMap { $0["score"]?.double } == [1, 0, 0.5])
        #expect(items[2]["samples"]?[0]?["consistent"] == false && items[2]["samples"]?[0]?["judgements"]?.array?.count == 2)
        #expect(benchmark?["metrics"]?["judge_consistency"]?["value"]?.double.map { abs($0 - 2.0 / 3) < 1e-9 } == true)
    }

    @Test func promptsAreFilledFromRecordsAndTasksAreTold() throws {
        let fixture = try WorkerFixture()
        let server = try RuleServer(fixture, rule: "return prompt[-1]")
        let records: [JSONValue] = (0..<4).map { ["q": .int($0), "label": .int($0 % 2), "subject": $0 < 2 ? "low" : "high"] }
        let (ending, benchmark, items) = try run(
            fixture, server: server, records: records,
            benchmark: ["grader": "choice", "prompt": "\\boxed{} {{q}} {q}", "expected": "label", "task": "subject"])
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(items[3]["messages"]?[0]?["content"] == "\\boxed{} {q} 3" && items[3]["expected"] == "1" && items[3]["task"] == "high")
        #expect(benchmark?["tasks"]?.array?.map { $0["name"]?.string } == ["low", "high"])
        #expect(benchmark?["tasks"]?[0]?["metrics"]?["accuracy"]?["value"]?.double == 1 && benchmark?["tasks"]?[1]?["items"] == 2)
        let broken = try run(fixture, server: server, records: records, benchmark: ["prompt": "{question}", "expected": "label"])
        #expect(broken.ending.exitCode == 65 && broken.ending.message.contains("/question"), "\(broken.ending.message)")
    }
}
