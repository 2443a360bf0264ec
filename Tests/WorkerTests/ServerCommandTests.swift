import Domain
import Generation
import JSON
import Testing

@testable import Generation

@Suite struct ServerCommandTests {
    private func command(_ engine: ServerEngine, _ flags: JSONObject = [:], path: String = "/nowhere") -> ServerCommand {
        ServerCommand(
            engine: engine, python: "/env/bin/python", model: "/models/m", flags: flags, usesGPU: true, environment: [("PATH", path)])
    }

    @Test(
        arguments: [
            (.transformers, "/env/bin/transformers serve /models/m --host 127.0.0.1 --port 81 --device cuda --x 1"),
            (.vllm, "/env/bin/vllm serve /models/m --host 127.0.0.1 --port 81 --x 1"),
            (.sglang, "/env/bin/python -m sglang.launch_server --model-path /models/m --host 127.0.0.1 --port 81 --x 1"),
            (.trtllm, "/env/bin/trtllm-serve /models/m --host 127.0.0.1 --port 81 --x 1"),
            (.llamaServer, "/env/bin/llama-server -m /models/m --host 127.0.0.1 --port 81 --x 1"),
        ] as [(ServerEngine, String)])
    func eachEngineHasItsArguments(_ engine: ServerEngine, _ line: String) {
        #expect(command(engine, ["x": 1]).argv(port: 81).joined(separator: " ") == line)
    }

    @Test func aProgramThatIsNotBesideTheInterpreterIsLookedForInThePath() throws {
        let fixture = try WorkerFixture()
        let path = try fixture.program("llama-server", "exit 0")
        #expect(command(.llamaServer, path: "/nowhere:" + fixture.folder).executable == path)
        #expect(command(.llamaServer).executable == "/env/bin/llama-server")
        #expect(command(.trtllm).absence.contains("pip install tensorrt-llm"))
    }

    @Test func aModelIsAskedForByTheNameThatTheServerGivesIt() {
        #expect(command(.vllm).requestName == "/models/m")
        #expect(command(.vllm, ["served-model-name": "a"]).requestName == "a")
        #expect(command(.sglang, ["served_model_name": ["b", "c"]]).requestName == "b")
        #expect(command(.trtllm).requestName == "m")
        #expect(command(.llamaServer, ["alias": "d"]).requestName == "d")
    }

    @Test func aLimitIsSixteenWhereNoneWasGivenAndElseHalved() {
        #expect(command(.vllm).lowered()?.limit == "--max-num-seqs 16")
        #expect(command(.vllm, ["max_num_seqs": 64]).lowered()?.limit == "--max_num_seqs 32")
        #expect(command(.vllm, ["max-num-seqs": "9"]).lowered()?.limit == "--max-num-seqs 4")
        #expect(command(.vllm, ["max-num-seqs": 1]).lowered() == nil)
        #expect(command(.sglang).lowered()?.limit == "--max-running-requests 16")
        #expect(command(.trtllm).lowered()?.limit == "--max_batch_size 16")
        #expect(command(.llamaServer).lowered()?.limit == "--parallel 1")
        #expect(command(.transformers).lowered() == nil)
        #expect(command(.vllm).lowered()?.command.argv(port: 1).suffix(2) == ["--max-num-seqs", "16"])
    }

    @Test(
        arguments: [
            ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", false),
            ("ValueError: No available memory for the cache blocks.", false),
            ("ValueError: Free memory on device (1/80 GiB) is less than desired GPU memory utilization", false),
            ("RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", false),
            ("ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory", false),
            ("terminate called after throwing an instance of 'std::bad_alloc'", true),
            ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes", true), ("MemoryError", true),
        ] as [(String, Bool)])
    func linesThatTellOfALackOfMemoryAreKnown(_ line: String, _ isOfHost: Bool) {
        let found = OutOfMemory.found(in: "loading\n\(line)\nTraceback\n  more")
        #expect(found == OutOfMemory(isOfHost: isOfHost, evidence: line))
    }

    @Test(arguments: ["", "out of memory of mine", "the prompt is too long", "memory: 80 GiB"])
    func otherLinesAreNot(_ line: String) { #expect(OutOfMemory.found(in: line) == nil) }
}
