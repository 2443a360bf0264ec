import ArgumentParser

struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put paused jobs back into the queue.",
        discussion: HelpText.discussion("A training goes on from its last checkpoint.", examples: "anneal resume toy/sft"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var jobs: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws { try Control(shared: shared).post("resume", toJobs: jobs) }
}
