import Foundation
import JSON
import Testing

/// Servers as workers start them: for themselves, and for other jobs.
@Suite(.serialized) struct ServeProcessTests {
    private let fixture: WorkerFixture

    init() throws { fixture = try WorkerFixture() }

    private var variables: [String: String] { ["ANNEAL_PYTHON": fixture.folder + "/python"] }
    private var fakeServer: String { "exec python3 '\(WorkerFixture.sourceFolder)/fake_server.py' --lists \"$2\" \"$@\"" }

    private func data(_ count: Int) throws -> JSONValue {
        .string(try fixture.write("data.jsonl", (0..<count).map { "{\"problem\": \"\($0)*10=?\"}\n" }.joined()))
    }

    private func generation(_ server: JSONValue, count: Int) throws -> JSONValue {
        ["model": "/models/fake", "server": server, "dataset": try data(count), "prompt": ["user": "{problem}"], "concurrency": 2]
    }

    private func argv() throws -> [String] { try fixture.lines(fixture.folder + "/argv") }

    /// Waits for the endpoint of the first attempt.
    private func endpoint(_ process: Process) throws -> JSONValue? {
        let path = fixture.folder + "/attempt-1/endpoint.json"
        let watch = FileWatch(path: path)
        while process.isRunning, !FileManager.default.fileExists(atPath: path) { watch.wait() }
        return process.isRunning ? try JSONParser.parse(fixture.text(path)) : nil
    }

    @Test func aServerIsKeptUntilTheWorkerIsToldToStop() throws {
        _ = try fixture.program("vllm", "echo hello from the server; echo $$ > '\(fixture.folder)/pid'\n" + fakeServer)
        let spec: JSONValue = ["model": "/models/fake", "server": ["engine": "vllm"]]
        let process = try fixture.start(kind: "serve", spec: spec, environment: variables)
        let found = try #require(try endpoint(process))
        #expect(found["model"] == "/models/fake" && found["engine"] == "vllm" && found["generation"] == 1)
        #expect(found["url"]?.string?.hasPrefix("http://127.0.0.1:") == true)
        kill(process.processIdentifier, SIGTERM)
        let ending = try fixture.finish(process)
        #expect(ending.exitCode == 75 && ending.output.contains("hello from the server"), "\(ending.output)")
        #expect(!FileManager.default.fileExists(atPath: fixture.folder + "/attempt-1/endpoint.json"))
        let pid = try #require(Int32(try fixture.lines(fixture.folder + "/pid")[0]))
        #expect(kill(pid, 0) == -1)
    }

    @Test func aLackOfMemoryAtTheStartIsMetOnceWithASmallerLimitWhichLaterAttemptsKeep() throws {
        let script = """
            echo "$*" >> '\(fixture.folder)/argv'
            case "$*" in *max-num-seqs*) ;; *) echo 'torch.OutOfMemoryError: CUDA out of memory.'; exit 1;; esac
            """
        _ = try fixture.program("vllm", script + "\n" + fakeServer)
        let first = try fixture.run(kind: "generate", spec: generation(["engine": "vllm"], count: 3), environment: variables)
        #expect(first.exitCode == 0, "\(first.output)")
        #expect(try argv().count == 2 && argv()[1].hasSuffix("--max-num-seqs 16"))
        #expect(first.output.contains("started again with --max-num-seqs 16"))
        #expect(first.outputs?["summary"]?["server_restart"]?.string?.contains("--max-num-seqs 16") == true)
        let second = try fixture.run(kind: "generate", spec: generation(["engine": "vllm"], count: 4), environment: variables)
        let starts = try argv().count
        #expect(second.exitCode == 0 && starts == 3, "\(second.output)")
    }

    @Test func aLackOfMemoryInTheMiddleLosesNoAnswer() throws {
        let script = """
            if [ -e '\(fixture.folder)/once' ]; then mode=good; else touch '\(fixture.folder)/once'; mode=oom:4; fi
            exec python3 '\(WorkerFixture.sourceFolder)/fake_server.py' --lists "$2" --mode $mode "$@"
            """
        _ = try fixture.program("vllm", script)
        let ending = try fixture.run(kind: "generate", spec: generation(["engine": "vllm"], count: 12), environment: variables)
        #expect(ending.exitCode == 0, "\(ending.output)")
        let path = try #require(ending.outputs?["outputs"]?["generations"]?["path"]?.string)
        #expect(try fixture.lines(path).count == 12)
    }

    @Test func aSecondLackOfMemoryIsToldAsSuch() throws {
        _ = try fixture.program("vllm", "echo \"$*\" >> '\(fixture.folder)/argv'; echo 'std::bad_alloc'; exit 1")
        let ending = try fixture.run(kind: "generate", spec: generation(["engine": "vllm"], count: 3), environment: variables)
        let starts = try argv().count
        #expect(ending.exitCode == 1 && ending.reason == "host_oom" && starts == 2, "\(ending.output)")
        #expect(ending.message.contains("--max-num-seqs 16") && ending.message.contains("std::bad_alloc"))
    }

    @Test func aServerOfAnotherModelIsNotAsked() throws {
        _ = try fixture.program("vllm", "exec python3 '\(WorkerFixture.sourceFolder)/fake_server.py' --lists other \"$@\"")
        let ending = try fixture.run(kind: "generate", spec: generation(["engine": "vllm"], count: 3), environment: variables)
        #expect(ending.exitCode == 1 && ending.reason == "server_failed", "\(ending.output)")
        #expect(ending.message.contains("lists 'other'") && ending.message.contains("not '/models/fake'"), "\(ending.message)")
    }

    @Test func anEngineThatIsNoModuleOfTheInterpreterIsNamed() throws {
        _ = try fixture.program("python", "echo \"$0: No module named sglang\" >&2; exit 1")
        let ending = try fixture.run(kind: "generate", spec: generation(["engine": "sglang"], count: 3), environment: variables)
        #expect(ending.exitCode == 1 && ending.message.contains("pip install sglang"), "\(ending.message)")
    }

    @Test func theServerOfAnotherJobIsAskedAndMissed() throws {
        let server = try FakeServer(mode: "good")
        let entry: JSONValue = ["url": .string(server.url), "model": "served", "engine": "vllm"]
        let spec = try generation(["job": "model", "engine": "vllm"], count: 5)
        let ending = try fixture.run(kind: "generate", spec: spec, servers: ["model": entry])
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(Set(try server.remainingRequests().compactMap { $0["model"]?.string }) == ["served"])
        // A port that nobody listens at, and that nobody can get meanwhile.
        let port = try TCPListener(isListening: false)
        let dead: JSONValue = ["url": .string("http://127.0.0.1:\(port.port)"), "model": "served", "engine": "vllm"]
        let gone = try fixture.run(
            kind: "evaluate",
            spec: ["model": "/m", "server": ["job": "model"], "benchmarks": [["dataset": .string(try questions())]]],
            servers: ["model": dead])
        #expect(gone.exitCode == 1 && gone.reason == "server_lost", "\(gone.output)")
        #expect(gone.message.contains("the server of the job 'model' is gone"))
    }

    private func questions() throws -> String {
        try fixture.write("items.jsonl", "{\"problem\": \"1*10=?\", \"expected_answer\": \"10\"}\n")
    }
}
