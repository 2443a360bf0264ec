import JSON
import Testing

@testable import Specification

/// `args` of a train job against what a trainer lists.
@Suite struct TrainArgumentsTests {
    private static let listing: JSONValue = [
        "config": "SFTConfig of TRL 9", "reserved": ["adam_beta1": "params.beta1", "output_dir": ""],
        "arguments": [
            "neftune_noise_alpha": ["float", "null"], "torch_compile": ["bool"], "label_names": ["list", "null"], "tags": ["any"],
            "workers": ["int"], "kwargs": ["dict", "str"],
        ],
    ]

    /// The problems of a job with these `args`, by pointer; methods other than sft have no list.
    private func problems(_ args: String, method: String = "sft") throws -> [String: String] {
        let spec = PlanFixture.job(PlanFixture.train.replacing("sft", with: method) + "\nargs: \(args)")
        var context = PlanFixture().context
        let arguments = try #require(TrainArguments(listing: Self.listing))
        context.trainArguments = { $0 == "sft" ? arguments : nil }
        switch SpecDocument.parse(Array(spec.utf8)).flatMap({ ExperimentPlan.make(from: $0, context: context) }) {
        case .success: return [:]
        case .failure(let found):
            return Dictionary(
                found.errors.map { ("\($0.pointer)", "\($0.code.rawValue) \($0.line ?? 0): \($0.detail)") }, uniquingKeysWith: { $1 })
        }
    }

    @Test func whatIsUnknownIsToldWithTheNameThatWasMeant() throws {
        let found = try problems("{neftune_noise_alfa: 1, adam_beta2: 0.9, quite_another: 1}")
        #expect(
            found == [
                "/jobs/a/args/neftune_noise_alfa":
                    "unknown_key 8: 'neftune_noise_alfa' is no argument of SFTConfig of TRL 9 (did you mean 'neftune_noise_alpha'?)",
                "/jobs/a/args/adam_beta2":
                    "unknown_key 8: 'adam_beta2' is no argument of SFTConfig of TRL 9 ('adam_beta1' is set by Anneal; use 'params.beta1')",
                "/jobs/a/args/quite_another": "unknown_key 8: 'quite_another' is no argument of SFTConfig of TRL 9",
            ])
    }

    @Test func whatAnnealSetsIsToldWithItsKey() throws {
        let found = try problems("{adam_beta1: 0.5, output_dir: /x}")
        #expect(
            found == [
                "/jobs/a/args/adam_beta1": "conflict 8: 'adam_beta1' is set by Anneal; use 'params.beta1'",
                "/jobs/a/args/output_dir": "conflict 8: 'output_dir' is set by Anneal itself; leave it out",
            ])
    }

    @Test(arguments: [
        ("torch_compile: 1", "wrong_type 8: must be true or false, not an integer"),
        ("label_names: a", "wrong_type 8: must be a list or null, not a string"),
        ("workers: 2.0", "wrong_type 8: must be an integer, not a number"),
        ("workers: true", "wrong_type 8: must be an integer, not a boolean"),
        ("workers: null", "wrong_type 8: must be an integer, not null"),
        ("kwargs: [1]", "wrong_type 8: must be a mapping or a text, not a list"),
    ])
    func aValueOfAnotherSortIsRefused(args: String, detail: String) throws {
        #expect(try Array(problems("{\(args)}").values) == [detail])
    }

    @Test(arguments: [
        "neftune_noise_alpha: 5", "neftune_noise_alpha: 0.5", "neftune_noise_alpha: null", "torch_compile: false", "label_names: [a, 1]",
        "tags: {a: null}", "tags: x", "workers: 2", "kwargs: {x: 1}", "kwargs: x",
    ])
    func whatTheTrainerTakesIsRight(args: String) throws { #expect(try problems("{\(args)}") == [:]) }

    @Test func withoutAListNothingIsRefused() throws {
        #expect(try problems("{no_such_argument: 1}", method: "pretrain") == [:])
        #expect(TrainArguments(listing: ["error": "no TRL"]) == nil && TrainArguments(listing: "SFTConfig") == nil)
    }
}
