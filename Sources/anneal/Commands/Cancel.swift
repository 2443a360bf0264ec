import ArgumentParser

struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Cancel experiments or jobs.",
        discussion: HelpText.discussion(
            "A running worker is asked to end and gets the grace period of its job for that.",
            examples: "anneal cancel toy", "anneal cancel toy/sft", "anneal cancel toy/sft-1 toy/sft-2"))

    @Argument(help: ArgumentHelp("An experiment, or a job as EXPERIMENT/JOB; names or ids.", valueName: "target"))
    var targets: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws { try Control(shared: shared).post("cancel", to: targets) }
}
