import ArgumentParser

struct Release: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let held jobs start.",
        discussion: HelpText.discussion(examples: "anneal release toy/sft"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var jobs: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws { try Control(shared: shared).post("release", toJobs: jobs) }
}
