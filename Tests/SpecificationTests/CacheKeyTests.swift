import Domain
import JSON
import Testing

@testable import Specification

@Suite struct CacheKeyTests {
    private let fixture = PlanFixture()

    private func form(
        _ job: String, inputs: [String: String] = [:], references: [String: String] = [:], name: String = "one", prefix: String = ""
    ) throws -> String {
        let plan = try fixture.plan(prefix + PlanFixture.job(job))
        let hashes = Dictionary(uniqueKeysWithValues: inputs.map { (JSONPointer($0.key.split(separator: "/").map(String.init)), $0.value) })
        return String(decoding: plan.jobs[0].cacheForm(inputs: hashes, references: references), as: UTF8.self)
    }

    @Test func whatDoesNotChangeTheResultIsLeftOut() throws {
        let plain = try form(PlanFixture.train)
        let more = "\npriority: 9\nresources: {cpus: 4}\ntimeout: 1h\nretry: 7\ngrace: 1s\nif: true\ncache: true\ndescription: x"
        #expect(try form(PlanFixture.train + more) == plain)
        #expect(try form(PlanFixture.train, prefix: "project: other\ntags: {a: b}\n") == plain)
    }

    @Test func defaultsAndTheirExplicitValuesAreEqual() throws {
        let plain = try form(PlanFixture.train)
        #expect(try form(PlanFixture.train + "\nparams: {}\ncheckpoint: {}\nengine: trl") == plain)
        #expect(
            try form(PlanFixture.train + "\nparams: {epochs: 1, learning_rate: 5e-6, max_steps: null}\ncheckpoint: {keep_top_k: 3}")
                == plain)
        #expect(try form(PlanFixture.train + "\nparams: {epochs: 1.0, max_grad_norm: 1}") == plain)
        #expect(
            try form(PlanFixture.evaluate)
                == form(PlanFixture.evaluate.replacing("{dataset: data.jsonl}", with: "{samples: 1, dataset: data.jsonl, seed: 0}")))
        #expect(
            try form(PlanFixture.prepare + "\nsteps: [{shuffle: {}}]") == form(PlanFixture.prepare + "\nsteps: [{shuffle: {seed: 42}}]"))
    }

    @Test(arguments: [
        "params: {epochs: 2}", "params: {lora: {}}", "params: {seed: 43}", "checkpoint: {every: 5}", "env: {A: b}",
        "validation: more.jsonl", "workdir: models",
    ])
    func whatChangesTheResultChangesTheForm(_ lines: String) throws {
        #expect(try form(PlanFixture.train + "\n" + lines) != form(PlanFixture.train))
    }

    @Test func theOrderOfKeysDoesNotCount() throws {
        let reversed = PlanFixture.train.split(separator: "\n").reversed().joined(separator: "\n")
        #expect(try form(reversed) == form(PlanFixture.train))
    }

    @Test func contentCountsAndPathsDoNot() throws {
        let first = try form(PlanFixture.train, inputs: ["/dataset": "aa", "/model": "bb"])
        let moved = PlanFixture.train.replacing("data.jsonl", with: "more.jsonl")
        #expect(try form(moved, inputs: ["/dataset": "aa", "/model": "bb"]) == first)
        #expect(try form(moved, inputs: ["/dataset": "cc", "/model": "bb"]) != first)
        #expect(!first.contains("data.jsonl"))
    }

    @Test func referencesCountByTheirContent() throws {
        func form(_ producer: String, _ hash: String) throws -> String {
            let text = """
                name: x
                jobs:
                  user: {kind: command, command: [cat, "${\(producer).o}", "in=${\(producer).o}", "$${x}"], env: {F: "${\(producer).o}"}}
                  \(producer): {kind: command, command: [y], outputs: [o]}
                """
            let job = try fixture.plan(text).jobs[0]
            return String(decoding: job.cacheForm(inputs: [:], references: ["\(producer).o": hash]), as: UTF8.self)
        }
        #expect(try form("a", "11") == form("b", "11"))
        #expect(try form("a", "11") != form("a", "22"))
    }

    @Test func theFormIsStable() throws {
        let bytes = CacheKey.canonicalForm(
            kind: .command, engine: "shell", spec: ["kind": "command", "priority": 5, "command": ["b", "a"], "outputs": ["é"]],
            environment: ["B": "2", "A": "1"],
            workingDirectory: "/w", inputs: [:])
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"{"engine":"shell","env":{"A":"1","B":"2"},"kind":"command","spec":{"command":["b","a"],"outputs":["é"]},"#
                + #""version":1,"workdir":"/w"}"#
        )
    }

    @Test func kindsAndEnginesDiffer() {
        let forms = Set(
            [("trl", JobKind.train), ("nemo-rl", .train), ("trl", .convert)].map { engine, kind in
                CacheKey.canonicalForm(kind: kind, engine: engine, spec: [:], inputs: [:])
            })
        #expect(forms.count == 3)
    }
}
