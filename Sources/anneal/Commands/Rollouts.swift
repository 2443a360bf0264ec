import APITypes
import ArgumentParser
import JSON
import Terminal

struct Rollouts: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read what a reinforcement job's model wrote, and what it earned.",
        discussion: HelpText.discussion(
            "Shows responses that one step learned from, the newest step unless another is named.",
            examples: "anneal rollouts math/rl", "anneal rollouts math/rl --step 40 --worst",
            "anneal rollouts math/rl --best --limit 3 --full"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var job: String

    @Option(help: ArgumentHelp("The step that learned from them first.", valueName: "number"))
    var step: Int?

    @Flag(help: "The highest rewards first.")
    var best = false

    @Flag(help: "The lowest rewards first.")
    var worst = false

    @Option(help: ArgumentHelp("How many, up to 100.", valueName: "count"))
    var limit = 20

    @Flag(help: "Print prompts and responses whole instead of a line each.")
    var full = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if best, worst { throw ValidationError("--best and --worst exclude each other") }
        if !(1...100).contains(limit) { throw ValidationError("--limit must be from 1 to 100") }
        if let step, step < 0 { throw ValidationError("--step must not be below 0") }
    }

    func run() throws {
        let client = try shared.client()
        let id = try References(client: client).jobID(job)
        var query = [("limit", String(limit)), ("order", best ? "best" : worst ? "worst" : "kept")]
        if let step { query.append(("step", String(step))) }
        let answer = try client.get(RolloutsView.self, ["v1", "jobs", id, "rollouts"], query: query)
        if shared.json { return Output.json(answer.body) }
        let view = answer.view
        guard let shown = view.step, !view.data.isEmpty else { return Output.line(Self.nothing(view)) }
        Output.line(StyledText("step \(shown)", .bold) + StyledText("  \(view.data.count) of \(view.kept) kept responses", .dim))
        if full {
            for rollout in view.data {
                Output.lines(RolloutText.lines(rollout, columns: Output.columns ?? ParameterText.columnsWithoutTerminal))
            }
        } else {
            Output.table(RolloutText.table(view.data), ifEmpty: "none")
        }
    }

    /// Why there is nothing to show.
    private static func nothing(_ view: RolloutsView) -> StyledText {
        guard let first = view.steps.first, let last = view.steps.last else { return StyledText("no rollouts yet", .dim) }
        return StyledText("step \(view.step ?? 0) has no rollouts; steps from \(first) to \(last) have", .dim)
    }
}
