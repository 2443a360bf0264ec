import Domain
import JSON
import Testing

@testable import Specification

@Suite struct InputPlacesTests {
    private func places(_ kind: JobKind, _ spec: JSONValue) -> Set<String> { Set(InputPlaces.of(kind: kind, in: spec).map(\.description)) }

    @Test func sourcesAndStepsOfAPreparationAreFound() {
        #expect(places(.prepare, ["source": ["file": ["/a", "/b"]]]) == ["/source/file/0", "/source/file/1"])
        #expect(places(.prepare, ["source": ["file": "/a"]]) == ["/source/file"])
        let interleaved: JSONValue = ["source": ["interleave": ["sources": [["dataset": "ds_1"], ["file": "/a", "weight": 2]]]]]
        #expect(places(.prepare, interleaved) == ["/source/interleave/sources/0/dataset", "/source/interleave/sources/1/file"])
        let steps: JSONValue = [
            "source": ["dataset": "ds_1"], "steps": [["shuffle": ["seed": 1]], ["decontaminate": ["against": ["ds_2", "/b"]]]],
        ]
        #expect(places(.prepare, steps) == ["/source/dataset", "/steps/1/decontaminate/against/0", "/steps/1/decontaminate/against/1"])
    }

    @Test func modelsDatasetsAndEvaluationsAreFound() {
        let spec: JSONValue = [
            "model": "/m", "compare_to": "eval_1", "server": ["engine": "vllm", "args": ["model": "x"]],
            "benchmarks": [["dataset": "ds_1", "name": "a"], ["dataset": "ds_2"]],
        ]
        #expect(places(.evaluate, spec) == ["/model", "/compare_to", "/benchmarks/0/dataset", "/benchmarks/1/dataset"])
        let merge: JSONValue = ["merge": ["generations": ["/a", "/b"], "rs1": ["/c"]]]
        #expect(places(.generate, merge) == ["/merge/generations/0", "/merge/generations/1", "/merge/rs1/0"])
        #expect(places(.command, ["command": ["/bin/true"]]) == [])
    }
}
