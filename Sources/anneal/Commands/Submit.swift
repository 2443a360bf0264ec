import APITypes
import ArgumentParser
import Terminal

struct Submit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Submit an experiment.",
        discussion: HelpText.discussion(
            """
            Relative paths in the spec are meant from the folder of its file. With --wait or --watch the command ends with the \
            experiment, and with exit code 1 if it did not succeed.
            """,
            examples: "anneal submit experiment.yaml --watch",
            "anneal submit experiment.yaml --set jobs.sft.params.learning_rate=1e-5 --wait",
            "generate-spec | anneal submit -"))

    @OptionGroup var spec: SpecOptions

    @Flag(help: "Wait for the end; print why it failed if it does.")
    var wait = false

    @Flag(help: "Follow it live to its end, as 'anneal watch' does.")
    var watch = false

    @Flag(help: "Only show what would be done, as 'anneal validate' does.")
    var dryRun = false

    @Option(help: ArgumentHelp("Submit at most once under this key, however often the command is repeated.", valueName: "key"))
    var idempotencyKey: String?

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if dryRun, wait || watch { throw ValidationError("--dry-run starts nothing that --wait or --watch could follow") }
        if wait, watch { throw ValidationError("--watch waits already; leave --wait out") }
    }

    func run() throws {
        let client = try shared.client()
        let submission = try spec.submission(client)
        if dryRun { return try Validate.show(submission.plan(), json: shared.json) }
        let answer = try submission.submit(idempotencyKey: idempotencyKey)
        let experiment = answer.view
        if !shared.json { for warning in experiment.warnings ?? [] { Output.complain("warning: \(warning.withoutControls)") } }
        if !wait, !watch {
            if shared.json { return Output.json(answer.body) }
            Output.line(
                "submitted " + StyledText(experiment.name, .bold)
                    + StyledText(" with \(experiment.jobs.count) job\(experiment.jobs.count == 1 ? "" : "s")  ")
                    + StyledText(experiment.id, .dim))
            Output.line(StyledText("follow it with: anneal watch \(experiment.name)", .dim))
            return
        }
        if watch { return try ExperimentWatch(client: client, experimentID: experiment.id, json: shared.json).run() }
        if !shared.json { Output.line("waiting for " + StyledText(experiment.name, .bold) + " " + StyledText(experiment.id, .dim)) }
        let end = try ExperimentEnd(client: client, experimentID: experiment.id).wait()
        if shared.json { Output.json(end.body) } else { try ExperimentSummary(client: client, experiment: end.view).show() }
        guard end.view.state == "succeeded" else {
            throw CommandFailure(
                .failed, "the experiment '\(end.view.name)' \(end.view.state == "failed" ? "failed" : "was \(end.view.state)")")
        }
    }
}
