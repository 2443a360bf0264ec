import ArgumentParser
import Specification
import Terminal

struct ExplainParams: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell what can be written in a spec: the keys of a kind of job, or of a training method.",
        discussion: HelpText.discussion(
            "Needs no daemon. Kinds: \(ParameterGuide.subjects.joined(separator: ", ")).", examples: "anneal explain-params train sft",
            "anneal explain-params prepare dedupe", "anneal explain-params experiment --json"))

    @Argument(
        help: ArgumentHelp("A kind of job; 'job' for the keys of all kinds, 'experiment' for those of a whole spec.", valueName: "kind"))
    var kind: String

    @Argument(help: ArgumentHelp("Of train a method; of any kind one key or step.", valueName: "method"))
    var part: String?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let guide: ParameterGuide
        do throws(ParameterGuide.Problem) {
            guide = try ParameterGuide(subject: kind, part: part)
        } catch {
            throw CommandFailure(.usage, error.description)
        }
        if json { return Output.json(Array(guide.json.text(layout: .pretty).utf8)) }
        Output.lines(ParameterText(columns: Output.columns ?? ParameterText.columnsWithoutTerminal).lines(guide))
    }
}
