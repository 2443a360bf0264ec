import JSON
import Testing

@testable import Specification

@Suite struct OverrideTests {
    private let document = "name: x\njobs:\n  sft:\n    kind: train\n    params: {epochs: 1}\n    list: [a, b]\n"

    private func value(_ overrides: String...) throws -> JSONValue {
        try SpecDocument.parse(Array(document.utf8)).get().setting(overrides: overrides).get().value
    }

    private func problem(_ overrides: String...) throws -> SpecError? {
        switch try SpecDocument.parse(Array(document.utf8)).get().setting(overrides: overrides) {
        case .success: nil
        case .failure(let errors): errors.errors.first
        }
    }

    @Test func aPathFromTheRootIsSet() throws {
        #expect(try value("jobs.sft.params.epochs=3")["jobs"]?["sft"]?["params"]?["epochs"] == 3)
    }

    @Test func aPathMayStartWithAJob() throws {
        #expect(try value("sft.params.learning_rate=1e-5")["jobs"]?["sft"]?["params"] == ["epochs": 1, "learning_rate": 1e-5])
    }

    @Test func aTopLevelKeyIsSetByItsBareName() throws {
        #expect(try value("name=second")["name"] == "second")
        #expect(try value("description=a: b # c")["description"] == "a: b # c")
    }

    @Test func missingMappingsAreMade() throws {
        #expect(try value("tags.team.lead=ann")["tags"] == ["team": ["lead": "ann"]])
        #expect(
            try value("sft.checkpoint.every=5", "sft.checkpoint.mode=max")["jobs"]?["sft"]?["checkpoint"] == ["every": 5, "mode": "max"])
    }

    @Test(
        arguments: [
            ("5", 5 as JSONValue), ("1e-5", 1e-5), ("true", true), ("no", "no"), ("", nil), ("null", nil), ("\"5\"", "5"),
            ("'x: y'", "x: y"),
            ("[1, x]", [1, "x"]), ("{a: {b: 1}}", ["a": ["b": 1]]), ("a=b", "a=b"), (" 7 ", 7), ("${data.train}", "${data.train}"),
            ("*x", "*x"), ("!x", "!x"),
        ] as [(String, JSONValue)])
    func valuesAreScalarsOrFlowYAML(_ text: String, _ expected: JSONValue) throws {
        #expect(try value("sft.x=\(text)")["jobs"]?["sft"]?["x"] == expected)
    }

    @Test func listsAreSetByNumber() throws {
        #expect(try value("sft.list.1=c", "sft.list.2=d")["jobs"]?["sft"]?["list"] == ["a", "c", "d"])
        #expect(try problem("sft.list.3=c")?.detail.contains("from 0 to 2") == true)
        #expect(try problem("sft.list.x=c") != nil)
        #expect(try problem("sft.list.-1=c") != nil)
    }

    @Test(arguments: [
        "sft.params.epochs", "=5", "sft..x=5", ".x=5", "stf.params.epochs=5", "sft.kind.x=5", "sft.x=[1", "sft.x={a: &a 1, b: 1, b: 2}",
    ])
    func badOverridesAreRefused(_ text: String) throws {
        #expect(try problem(text)?.detail.contains(text) == true)
    }

    @Test func aMisspelledJobIsNamed() throws {
        #expect(try problem("stf.params.epochs=5")?.detail.contains("did you mean 'sft'?") == true)
    }

    @Test func allBadOverridesAreReported() throws {
        guard case .failure(let errors) = try SpecDocument.parse(Array(document.utf8)).get().setting(overrides: ["a", "b", "name=c"]) else {
            Issue.record("accepted")
            return
        }
        #expect(errors.errors.count == 2)
    }

    @Test func theirNumberIsBounded() throws {
        let parsed = try SpecDocument.parse(Array(document.utf8)).get()
        #expect(throws: Never.self) { try parsed.setting(overrides: Array(repeating: "name=x", count: SpecLimits.overridesMax)).get() }
        #expect(throws: SpecErrors.self) {
            try parsed.setting(overrides: Array(repeating: "name=x", count: SpecLimits.overridesMax + 1)).get()
        }
    }

    @Test func aMistakeInAnOverrideTellsWhichOne() {
        let errors = PlanFixture().errors(PlanFixture.job(PlanFixture.train), overrides: ["a.params.epochs=0"])
        #expect(errors.count == 1)
        #expect(errors.first?.detail.contains("--set a.params.epochs=0") == true)
        #expect(errors.first?.line == nil)
        #expect(errors.first?.pointer.description == "/jobs/a/params/epochs")
    }
}
