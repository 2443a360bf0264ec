import ArgumentParser

struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Pause jobs: they save a checkpoint and give their resources back.",
        discussion: HelpText.discussion("'anneal resume' makes them go on.", examples: "anneal pause toy/sft"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var jobs: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws { try Control(shared: shared).post("pause", toJobs: jobs) }
}
