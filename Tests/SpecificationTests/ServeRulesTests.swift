import Domain
import JSON
import Testing

@testable import Specification

@Suite struct ServeRulesTests {
    private let fixture: PlanFixture = {
        var fixture = PlanFixture()
        fixture.files.insert("/srv/small.gguf")
        return fixture
    }()

    private static let serve = "kind: serve\nmodel: models/base\nserver: {engine: vllm}"

    private func problems(_ lines: String) -> [String] { fixture.problems(PlanFixture.job(lines)) }

    /// A spec of jobs in flow style.
    private func spec(_ jobs: String) -> String { "name: s\njobs:\n" + jobs.split(separator: "\n").map { "  \($0)\n" }.joined() }

    @Test func aServerHasItsDefaultsAndIsNeverCached() throws {
        let job = try #require(fixture.plan(PlanFixture.job(Self.serve)).jobs.first)
        #expect(job.kind == .serve && job.engine == "vllm" && !job.cache && job.outputs.isEmpty)
        #expect(ServerTerms(spec: job.spec) == ServerTerms(spec: ["linger": "30s"]))
        #expect(!ServerTerms(spec: job.spec).isShared)
    }

    @Test(
        arguments: [
            ("linger: 0", ""), ("linger: -1s", "/jobs/a/linger bad_value"), ("linger: 2d", "/jobs/a/linger out_of_range"),
            ("linger: 1d", ""), ("cache: true", "/jobs/a/cache conflict"), ("cache: false", ""), ("dataset: x", "unknown key 'dataset'"),
            ("server: {}", "'engine' is missing"), ("server: {engine: tgi}", "/jobs/a/server/engine"),
            ("server: {engine: vllm, url: 'http://x'}", "unknown key 'url'"), ("server: {engine: vllm, job: b}", "unknown key 'job'"),
            ("server: {engine: vllm, args: {port: 1}}", "/jobs/a/server/args/port conflict"),
            ("server: {engine: llama-server}", "/jobs/a/model conflict llama-server serves a file"),
            ("model: small.gguf", "/jobs/a/model conflict a .gguf file can only be served by llama-server"),
            ("model: nowhere.gguf", "/jobs/a/model missing_file"),
        ] as [(String, String)])
    func theKeysOfAServerAreChecked(_ line: String, _ words: String) {
        let key = line.prefix { $0 != ":" }
        let lines = Self.serve.split(separator: "\n").filter { !$0.hasPrefix(key) }.joined(separator: "\n") + "\n" + line
        let found = problems(lines)
        if words.isEmpty { #expect(found.isEmpty, "\(found)") } else { expectProblem(found, words) }
    }

    @Test(arguments: ServerEngine.allCases)
    func eachEngineIsKnownToEachKindThatStartsServers(_ engine: ServerEngine) {
        let model = engine == .llamaServer ? "small.gguf" : "models/base"
        let server = "model: \(model)\nserver: {engine: \(engine.rawValue)}"
        for kind in ["kind: serve", "kind: generate\ndataset: data.jsonl", "kind: evaluate\nbenchmarks: [{dataset: data.jsonl}]"] {
            #expect(problems(kind + "\n" + server).isEmpty)
        }
    }

    @Test func ajobThatNamesAServerTakesItsModelAndNeedsOver() throws {
        let plan = try fixture.plan(
            spec(
                """
                data: {kind: prepare, source: {file: data.jsonl}}
                wait: {kind: command, command: "true"}
                base: {kind: train, method: sft, model: models/base, dataset: data.jsonl}
                gen: {kind: generate, server: {job: s}, dataset: "${data.dataset}", chunks: 2}
                s: {kind: serve, model: "${base.checkpoint.best}", server: {engine: vllm, args: {max-num-seqs: 4}}, needs: wait}
                """))
        let jobs = Dictionary(uniqueKeysWithValues: plan.jobs.map { ($0.name, $0) })
        let chunk = try #require(jobs["gen-chunk-1"])
        #expect(chunk.servers.map { plan.jobs[$0].name } == ["s"])
        #expect(Set(chunk.needs.map { plan.jobs[$0].name }) == ["data", "wait", "base"])
        #expect(chunk.spec["model"] == "${base.checkpoint.best}" && chunk.spec["server"]?["args"]?["max-num-seqs"] == 4)
        #expect(ServerTerms.used(in: chunk.spec) == ["s"])
        #expect(jobs["gen"]?.servers.isEmpty == true)
        let server = try #require(jobs["s"])
        #expect(server.spec["consumers"] == ["gen-chunk-0", "gen-chunk-1"] && ServerTerms(spec: server.spec).isShared)
    }

    @Test func aMemberOfAMatrixUsesTheServerOfItsValues() throws {
        let plan = try fixture.plan(
            spec(
                """
                s: {kind: serve, model: models/base, server: {engine: vllm, args: {seed: "${matrix.n}"}}, matrix: {n: [1, 2]}}
                gen: {kind: generate, server: {job: s}, dataset: data.jsonl, matrix: {n: [1, 2], m: [3, 4]}}
                """))
        let uses = plan.jobs.filter { $0.kind == .generate }.map { $0.servers.map { plan.jobs[$0].name } }
        #expect(uses == [["s-1"], ["s-1"], ["s-2"], ["s-2"]])
    }

    @Test func aJudgeMayBeAServerOfItsOwn() throws {
        let judge = "grader: judge, grading: {judge: {job: j}}"
        let plan = try fixture.plan(
            spec(
                """
                j: {kind: serve, model: models/base, server: {engine: sglang}}
                e: {kind: evaluate, server: {url: "http://x"}, benchmarks: [{dataset: data.jsonl, \(judge)}]}
                """))
        let job = try #require(plan.jobs.last)
        #expect(job.servers == [0] && ServerTerms.used(in: job.spec) == ["j"])
        #expect(job.spec["benchmarks"]?[0]?["grading"]?["judge"]?["model"] == "/srv/models/base")
    }

    @Test(
        arguments: [
            ("b: {kind: generate, server: {job: t}, dataset: data.jsonl}", "/jobs/b/server/job unknown_name there is no job 't'"),
            ("server: {kind: generate, server: {job: serve}, dataset: data.jsonl}", "did you mean 'serv'?"),
            ("b: {kind: generate, server: {job: c}, dataset: data.jsonl}\nc: {kind: command, command: x}", "is of kind command"),
            (
                "b: {kind: generate, server: {job: serv, engine: vllm}, dataset: data.jsonl}",
                "/jobs/b/server conflict has both 'engine' and 'job'"
            ),
            ("b: {kind: generate, server: {job: serv, url: 'http://x'}, dataset: data.jsonl}", "has both 'job' and 'url'"),
            (
                "b: {kind: generate, server: {job: serv, args: {x: 1}}, dataset: data.jsonl}",
                "/jobs/b/server/args conflict stands only with 'engine'"
            ),
            (
                "b: {kind: generate, server: {job: serv, model: x}, dataset: data.jsonl}",
                "/jobs/b/server/model conflict stands only with 'url'"
            ),
            ("b: {kind: generate, model: models/base, server: {job: serv}, dataset: data.jsonl}", "/jobs/b/model conflict"),
            ("b: {kind: generate, server: {job: serv}, dataset: data.jsonl, needs: serv}", "a server ends after the jobs that use it"),
            (
                "c: {kind: command, command: x, needs: serv}\nb: {kind: generate, server: {job: serv}, dataset: data.jsonl, needs: c}",
                "cycle the jobs need each other in a cycle"
            ),
            (
                "b: {kind: evaluate, server: {url: 'http://x'}, benchmarks: [{dataset: data.jsonl, grader: judge, grading: {judge: {job: serv, model: x}}}]}",
                "/jobs/b/benchmarks/0/grading/judge/model conflict"
            ),
            (
                "b: {kind: evaluate, server: {url: 'http://x'}, benchmarks: [{dataset: data.jsonl, grader: judge, grading: {judge: {url: 'http://x'}}}]}",
                "/jobs/b/benchmarks/0/grading/judge required 'model' is missing"
            ),
        ] as [(String, String)])
    func wrongUsesOfAServerAreRefused(_ jobs: String, _ words: String) {
        let text = spec("serv: {kind: serve, model: models/base, server: {engine: vllm}}\n" + jobs)
        expectProblem(fixture.problems(text), words)
    }

    @Test func aChangedModelOrFlagChangesTheKeyOfTheJobsThatUseTheServer() throws {
        func form(_ args: String, hash: String) throws -> [UInt8] {
            let plan = try fixture.plan(
                spec(
                    """
                    s: {kind: serve, model: models/base, server: {engine: vllm, args: {\(args)}}, linger: 5s}
                    b: {kind: generate, server: {job: s}, dataset: data.jsonl}
                    """))
            let job = try #require(plan.jobs.last)
            return CacheKey.canonicalForm(
                kind: job.kind, engine: job.engine, spec: job.spec, environment: job.environment,
                inputs: [JSONPointer(["model"]): hash, JSONPointer(["dataset"]): "d"])
        }
        let first = try form("seed: 1", hash: "m")
        #expect(try form("seed: 1", hash: "m") == first)
        #expect(try form("seed: 2", hash: "m") != first)
        #expect(try form("seed: 1", hash: "n") != first)
    }
}
