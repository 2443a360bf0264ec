import ArgumentParser

struct Hold: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keep jobs that wait from starting.",
        discussion: HelpText.discussion("'anneal release' lets them go on.", examples: "anneal hold toy/sft"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var jobs: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws { try Control(shared: shared).post("hold", toJobs: jobs) }
}
