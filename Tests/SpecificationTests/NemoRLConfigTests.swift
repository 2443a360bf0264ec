import JSON
import Testing

@testable import Specification

/// The language of NeMo RL's configurations: `defaults`, `_override_`, `${…}`, and overrides.
struct NemoRLConfigTests {
    private func config(_ files: [String: String], _ path: String = "/c/top.yaml") throws -> NemoRLConfig {
        try NemoRLFixture(files: files).load(path)
    }

    private func problem(_ files: [String: String]) -> NemoRLProblem? {
        do {
            _ = try config(files)
            return nil
        } catch {
            return error as? NemoRLProblem
        }
    }

    @Test func laterDefaultsAndTheFileItselfWin() throws {
        let found = try config([
            "/c/top.yaml": "defaults: [a.yaml, ../d/b.yaml]\nx: {own: 1}\n", "/c/a.yaml": "x: {own: 0, a: 1, both: a}\n",
            "/d/b.yaml": "defaults: /e/root.yaml\nx: {both: b}\n", "/e/root.yaml": "x: {deep: 1, both: e}\nlist: [1, 2]\n",
        ])
        #expect(found.value["x"] == ["own": 1, "a": 1, "both": "b", "deep": 1])
        #expect(found.origins[["x", "both"]]?.text == "b.yaml:2" && found.origins[["list"]]?.text == "root.yaml:2")
    }

    @Test func overrideReplacesASectionOfTheRoot() throws {
        let found = try config([
            "/c/top.yaml": "defaults: a.yaml\noptimizer: {_override_: true, name: new}\nother: {_override_: false, b: 2}\n",
            "/c/a.yaml": "optimizer: {name: old, lr: 1}\nother: {a: 1}\n",
        ])
        #expect(found.value["optimizer"] == ["name": "new"] && found.value["other"] == ["a": 1, "b": 2])
        expectProblem(
            try NemoRLFixture().problems("policy: {tokenizer: {_override_: true, name: x}}\ndata: {train: {}}"), "/config bad_value",
            "own.yaml:1", "sections of the root alone")
    }

    @Test func mergeKeysOfOtherProgramsAreRead() throws {
        let found = try config(["/c/top.yaml": "a: &A {x: 1, y: 2}\nb: {<<: *A, y: 3}\nc: {<<: [{z: 1}, {z: 2, w: 2}]}\n"])
        #expect(found.value["b"] == ["y": 3, "x": 1] && found.value["c"] == ["z": 1, "w": 2])
        #expect(problem(["/c/top.yaml": "a: {<<: 1}"])?.detail.contains("takes a mapping") == true)
    }

    @Test(
        arguments: [
            ("yes", true), ("Off", false), ("y", "y"), ("010", 8), ("0o10", "0o10"), ("0x_ff", 255), ("0b11", 3), ("4_096", 4096),
            ("09", 9.0),
            ("1:00:00:00", 216_000), ("00:03:45:00", "00:03:45:00"), ("1:30.5", 90.5), ("1e-5", 1e-5), ("5e6", 5e6), ("1.", 1.0),
            ("1.e-1", 0.1), ("+.5", "+.5"), (".5", 0.5), ("-1_0", -10), ("2026-01-22", "2026-01-22"), ("~", .null),
            ("-.inf", .double(-.infinity)),
        ] as [(String, JSONValue)])
    func scalarsAreThoseOfYAML11(_ text: String, _ expected: JSONValue) throws {
        #expect(try config(["/c/top.yaml": "\u{FEFF}a: \(text)\n"]).value["a"] == expected)
    }

    @Test func listsAndMappingsDoNotMeet() throws {
        let base = "defaults: /nemo/examples/configs/sft.yaml\n"
        expectProblem(try NemoRLFixture().problems(base + "policy: {optimizer: [1]}"), "/config wrong_type own.yaml:2", "policy.optimizer")
        var fixture = NemoRLFixture()
        fixture.files["/my/own.yaml"] = "data:\n  train: [{dataset_name: a}, {dataset_name: b}]\nsft: {val_period: 0}\n"
        let run = try fixture.run(["config": "/my/own.yaml", "dataset": "/t.jsonl"])
        expectProblem(run.problems.map(\.detail), "own.yaml:2: 'data.train' has another form here")
    }

    @Test func brokenChainsAreTold() {
        #expect(problem(["/c/top.yaml": "defaults: gone.yaml\n"])?.detail.contains("'/c/gone.yaml', which /c/top.yaml names") == true)
        #expect(problem(["/c/top.yaml": "defaults: top.yaml\n"])?.code == .cycle)
        #expect(problem(["/c/top.yaml": "a: [1"])?.detail.hasPrefix("/c/top.yaml:") == true)
        #expect(problem(["/c/top.yaml": "- 1"])?.code == .wrongType)
        #expect(problem(["/c/top.yaml": String(repeating: "#", count: SpecLimits.documentBytesMax + 1)])?.code == .tooLarge)
    }

    @Test func chainsHaveALimit() {
        func files(_ count: Int) -> [String: String] {
            var files = ["/c/top.yaml": "defaults: [\((1..<count).map { "\($0).yaml" }.joined(separator: ", "))]\n"]
            for number in 1..<count { files["/c/\(number).yaml"] = "a\(number): 1\n" }
            return files
        }
        #expect(problem(files(SpecLimits.configFilesMax)) == nil)
        #expect(problem(files(SpecLimits.configFilesMax + 1))?.code == .tooLarge)
    }

    @Test(
        arguments: [
            ("${policy.size}", 8), ("${.size}", 8), ("${..top}", 3), ("${mul:${policy.size}, ${.half}}", 32), ("${add:1, 2}", 3),
            ("${div:${.size}, 2}", 4.0), ("${max:${.size},9}", 9), ("n-${.size}-${top}", "n-8-3"), ("${list.1}", 6), ("${list[0]}", 5),
            ("${mul:${mul:${.size}, 2}, 2}", 32), ("\\${kept}", "${kept}"), ("\\\\${top}", "\\3"), ("${policy.${name}}", 8),
            ("${policy.${..name}}", 8), ("${whole.size}", 8), ("${mul:1_000,2}", 2000), ("${add:'a,b',-c}", "a,b-c"),
            ("${add:[1],[2]}", [1, 2]), ("${max:a,b}", "b"), ("${mul:true,3}", 3), ("${ top }", 3), ("${[policy][size]}", 8),
        ] as [(String, JSONValue)])
    func interpolationsAreFollowed(_ text: String, _ expected: JSONValue) throws {
        var config = NemoRLConfig(value: ["top": 3, "list": [5, 6], "name": "size", "whole": "${policy}"])
        config.value["policy"] = ["size": 8, "half": 4, "it": .string(text)]
        let reader = NemoRLInterpolation(config: config)
        #expect(reader.resolved(["policy", "it"]) == expected && reader.problem(in: text, at: ["policy", "it"]) == nil)
    }

    @Test(arguments: [
        ("${policy.sise}", "did you mean 'size'"), ("${....x}", "leads out"), ("${mul:1}", "two arguments"),
        ("${pow:1, 2}", "no resolver 'pow'"),
        ("${policy.size", "without its '}'"), ("${mul:${.name}, x}", "takes numbers"), ("${div:1, 0}", "by zero"),
        ("${.it}", "refers to itself"), ("${}", "refers to nothing"), ("${oc.enf:X}", "did you mean 'oc.env'"),
        ("${add:1,'2}", "without its end"),
    ])
    func brokenInterpolationsAreTold(_ text: String, _ words: String) {
        let config = NemoRLConfig(value: ["policy": ["size": 8, "name": "x", "it": .string(text)]])
        let detail = NemoRLInterpolation(config: config).problem(in: text, at: ["policy", "it"])
        #expect(detail?.contains(words) == true, "\(detail ?? "nothing")")
    }

    @Test func referencesWithinReferencesHaveALimit() {
        /// What is wrong with `a0`, which refers to a1, which refers to a2, and so on for so many references.
        func problem(_ count: Int) -> String? {
            var members: JSONObject = ["a\(count)": 1]
            for index in 0..<count { members["a\(index)"] = .string("${a\(index + 1)}") }
            return NemoRLInterpolation(config: NemoRLConfig(value: members)).problem(in: "${a1}", at: ["a0"])
        }
        #expect(problem(SpecLimits.interpolationDepthMax) == nil)
        #expect(problem(SpecLimits.interpolationDepthMax + 1)?.contains("refers to itself") == true)
    }

    @Test func whatOnlyTheRunKnowsIsNoMistake() {
        let config = NemoRLConfig(value: ["a": "${oc.env:HOME}/x"])
        #expect(NemoRLInterpolation(config: config).problem(in: "${oc.env:HOME}/x", at: ["a"]) == nil)
    }

    @Test(
        arguments: [
            ("policy.x=2", "x", 2), ("+policy.new=[1, 2]", "new", [1, 2]), ("++policy.x='a,b'", "x", "a,b"),
            ("++policy.deep.y=null", "deep", ["y": .null]),
            ("policy.list.0=9", "list", [9]), ("policy.x=1e-6", "x", 1e-6), ("policy.x={a: 1}", "x", ["a": 1]),
            ("policy.x=", "x", ""), ("policy.map={a:2}", "map", ["a": 2, "b": 1]), ("+policy.map={c: [d,{e:'f, g'}]}", "map", Self.merged),
            ("policy.x=010", "x", "010"), ("policy.x=1_000", "x", 1000), ("policy.x=12:30", "x", "12:30"), ("policy.x=yes", "x", "yes"),
            ("policy.x=a\\,b", "x", "a,b"), ("policy.x='it\\'s'", "x", "it's"), ("policy.x=${policy.list}", "x", "${policy.list}"),
            ("policy.list=[a b,[1]]", "list", ["a b", [1]]), ("policy.x= .5 ", "x", 0.5), ("policy.x=NULL", "x", .null),
        ] as [(String, String, JSONValue)])
    func overridesChangeTheConfiguration(_ text: String, _ key: String, _ expected: JSONValue) throws {
        var config = NemoRLConfig(value: ["policy": ["x": 1, "list": [1], "map": ["a": 1, "b": 1]]])
        try NemoRLOverride(text).apply(to: &config, unread: nil)
        #expect(config.at(["policy", key]) == expected)
        try NemoRLOverride("~policy.\(key)").apply(to: &config, unread: nil)
        #expect(config.at(["policy"])?.object?.keys.contains(key) == false)
    }

    private static let merged: JSONValue = ["a": 1, "b": 1, "c": ["d", ["e": "f, g"]]]

    @Test(arguments: [
        ("policy.map={c:1}", "'policy.map.c' is not in the configuration"), ("policy.map=[1]", "no list over it"),
        ("policy.list={a:1}", "no mapping over it"), ("~policy.x=2", "another value"), ("policy.list[0]=1", "is no key"),
        ("policy.x=a#b", "only within quotes"), ("policy.x=a=b", "only within quotes"), ("policy.x=int(3)", "call of a function"),
        ("policy.x='a''b'", "follows the end"), ("policy.x=[1,]", "a value is missing"), ("policy.x={a}", "needs ':'"),
        ("policy.y=2", "write +policy.y=… to add it"), ("policu.x=2", "did you mean 'policy'"),
        ("+policy.x=1", "in the configuration already"),
        ("~policy.y", "cannot be deleted"), ("policy.x", "has no '='"), ("policy..x=1", "is no key"), ("policy.x=1,2", "sweep"),
        ("policy.x='a", "without its end"), ("policy.x=[1", "without its end"), ("+policy.x.y=1", "an integer stands above it"),
        ("+policy.list.7=1", "list of 1 elements"),
    ])
    func wrongOverridesAreTold(_ text: String, _ words: String) {
        var config = NemoRLConfig(value: ["policy": ["x": 1, "list": [1], "map": ["a": 1]]])
        var detail = "nothing"
        do throws(NemoRLOverride.Failure) {
            try NemoRLOverride(text).apply(to: &config, unread: nil)
        } catch {
            detail = error.detail
        }
        #expect(detail.contains(words), "\(detail)")
    }

    @Test func yamlIsReadAsItWasWritten() throws {
        let value: JSONObject = [
            "yes": "no", "n": 5e-6, "one": 1.0, "big": 1e20, "text": "a: b # c\n\"d\"", "list": [1, ["x": [true, .null]], []], "empty": [:],
            "deep": ["er": ["est": "12:30"]], "lines": "a\u{2028}b\u{85}c\u{7F}日本", "null": .null, "0x": -3,
        ]
        for dialect in [YAMLReader.Dialect.core, .nemoRL] {
            guard case .success(let read) = YAMLReader.read(YAMLText.text(of: value), dialect) else { Issue.record("no YAML"); return }
            #expect(read.value == .object(value))
        }
        #expect(YAMLText.text(of: ["lr": 5e-6]) == "lr: 5.0e-06\n" || YAMLText.text(of: ["lr": 5e-6]) == "lr: 5.0e-6\n")
    }
}
