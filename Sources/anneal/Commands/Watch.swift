import ArgumentParser

struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follow an experiment live to its end.",
        discussion: HelpText.discussion(
            """
            On a terminal: progress bars with rate and time left, and the loss as a plot. Elsewhere: a line for each change. At the end \
            the evaluations, and why it failed if it did. The exit code is 1 if it did not succeed. Ending the command does not end the \
            experiment.
            """, examples: "anneal watch toy", "anneal watch toy --json | jq -c 'select(.type == \"metric\").data'"))

    @Argument(help: ArgumentHelp("An experiment: its name or id.", valueName: "experiment"))
    var experiment: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let id = try References(client: client).experimentID(experiment)
        try ExperimentWatch(client: client, experimentID: id, json: shared.json).run()
    }
}
