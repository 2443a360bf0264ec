import ArgumentParser

struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run failed, cancelled, skipped or lost jobs again.",
        discussion: HelpText.discussion(
            "Of an experiment, all such jobs are run again. A training goes on from its last checkpoint.",
            examples: "anneal retry toy", "anneal retry toy/sft"))

    @Argument(help: ArgumentHelp("An experiment, or a job as EXPERIMENT/JOB; names or ids.", valueName: "target"))
    var targets: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws { try Control(shared: shared).post("retry", to: targets) }
}
