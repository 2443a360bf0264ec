import APITypes
import ArgumentParser

struct Lineage: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what made an artifact: data, spec, code and checkpoint.",
        discussion: HelpText.discussion(
            "The tree leads from the thing that was asked for to what it was made from, and below that to what was made from it.",
            examples: "anneal lineage toy/after", "anneal lineage eval_01k9w3c2vn0000a7k3d9m2x5q8"))

    @Argument(help: ArgumentHelp("The id of a dataset, checkpoint, evaluation or job, or a job as EXPERIMENT/JOB.", valueName: "target"))
    var target: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let answer = try client.get(LineageView.self, ["v1", "lineage", References(client: client).anyID(target)])
        if shared.json { Output.json(answer.body) } else { Output.lines(LineageTree(answer.view).lines) }
    }
}
