import Foundation
import JSON
import Testing

@Suite struct ExplainParamsTests {
    /// No daemon is there to ask.
    private func run(_ arguments: String..., terminal: (columns: Int, rows: Int)? = nil) throws -> CLIFixture.Run {
        try CLIFixture.run(
            ["explain-params"] + arguments, environment: ["ANNEAL_URL": "http://127.0.0.1:1", "NO_COLOR": "1"],
            folder: NSTemporaryDirectory(), terminal: terminal)
    }

    @Test func aMethodsParametersAreToldWithRangeUnitDefaultAndItsSource() throws {
        let run = try run("train", "sft")
        #expect(run.status == 0 && run.errors.isEmpty)
        #expect(
            run.output.contains(
                """
                    max_length  an integer from 2 to 16777216, in tokens; default 1024
                        Tokens of a sample.
                        Default from NeMo RL, examples/configs/sft.yaml: policy.max_total_sequence_length.

                """), "\(run.output)")
        #expect(run.output.contains("\n  model  a model: the path of a folder, checkpoint:<id> or ${job.output}; required\n"))
        #expect(run.output.contains("\n    lora  a mapping, or null; default null\n"))
        // The keys of a mapping stand below it.
        #expect(run.output.contains("\n      rank  an integer from 1 to 65536; default 8\n"))
        #expect(run.output.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }

    @Test func everyKindIsTold() throws {
        for kind in ["command", "prepare", "train", "generate", "evaluate", "serve", "convert", "job", "experiment"] {
            let run = try run(kind)
            #expect(run.status == 0 && run.output.hasPrefix(kind + "\n  "), "\(run.errors)")
        }
        #expect(try run("train").output.contains("METHOD tells the 'params' of sft"))
        let step = try run("prepare", "dedupe").output
        #expect(step.hasPrefix("prepare dedupe\n  dedupe  a mapping\n") && step.contains("\n    keys  "), "\(step)")
    }

    @Test func linesFitTheTerminal() throws {
        let run = try run("evaluate", terminal: (columns: 60, rows: 20))
        #expect(run.output.split(whereSeparator: \.isNewline).allSatisfy { $0.count <= 60 } && run.output.count > 1000)
    }

    @Test func programsGetJSON() throws {
        let document = try JSONParser.parse(try run("train", "sft", "--json").output)
        let parameters = document["parameters"]?.array?.first { $0["name"] == "params" }?["parameters"]?.array ?? []
        let rate = parameters.first { $0["name"] == "learning_rate" }
        #expect(document["subject"] == "train sft" && rate?["default"] == 5e-6 && rate?["required"] == false)
        #expect(
            rate?["source"]?.string?.contains("policy.optimizer.kwargs.lr") == true && rate?["type"]?.string?.contains("at most 10") == true
        )
        #expect(parameters.first { $0["name"] == "max_length" }?["unit"] == "tokens")
    }

    @Test(arguments: [
        (["trian"], "there is no kind 'trian' (did you mean 'train'?); there are command, "),
        (["train", "stf"], "train has no method and no key 'stf' (did you mean 'sft'?); methods are sft"),
        (["prepare", "dedup"], "prepare has no key 'dedup' (did you mean 'dedupe'?)"),
    ])
    func whatIsMisspeltIsSuggested(arguments: [String], words: String) throws {
        let run = try CLIFixture.run(["explain-params"] + arguments, environment: [:], folder: NSTemporaryDirectory())
        #expect(run.status == 2 && run.output.isEmpty && run.errors.contains(words), "\(run.errors)")
    }
}
