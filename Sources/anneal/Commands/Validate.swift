import APITypes
import ArgumentParser

struct Validate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a spec and show what it would do, without starting anything.",
        discussion: HelpText.discussion(
            "Every fault of the spec is printed at once, as FILE:LINE: POINTER: MESSAGE, and the exit code is 2.",
            examples: "anneal validate experiment.yaml", "anneal validate experiment.yaml --json | jq '.jobs[].argv'"))

    @OptionGroup var spec: SpecOptions
    @OptionGroup var shared: SharedOptions

    func run() throws { try Self.show(spec.submission(shared.client()).plan(), json: shared.json) }

    /// Prints a plan. What this machine lacks (GPUs, files) is a warning: the spec may be meant for another.
    static func show(_ answer: APIClient.Answer<PlanView>, json: Bool) throws {
        if json { Output.json(answer.body) } else { Output.lines(PlanText.lines(answer.view, columns: Output.columns)) }
    }
}
