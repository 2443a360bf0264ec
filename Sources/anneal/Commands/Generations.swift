import APITypes
import ArgumentParser
import JSON
import Terminal

struct Generations: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at what models generate: how far it is, what failed, samples.",
        discussion: HelpText.discussion(
            examples: "anneal generations ls", "anneal generations show solve/gen --follow", "anneal generations show solve/gen --samples 3"
        ),
        subcommands: [GenerationsList.self, GenerationsShow.self], defaultSubcommand: GenerationsList.self)
}

struct GenerationsList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the jobs that generate, the newest first.",
        discussion: HelpText.discussion(examples: "anneal generations ls --experiment solve"))

    @Option(help: ArgumentHelp("Only those of this experiment.", valueName: "experiment"))
    var experiment: String?

    @OptionGroup var options: ListOptions
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        var query = [("kind", "generate")]
        if let experiment { query.append(("experiment", try References(client: client).experimentID(experiment))) }
        let jobs = try client.list(JobView.self, ["v1", "jobs"], query: query, options: options).view
        let found = try jobs.map { ($0, try client.get(GenerationsView.self, ["v1", "jobs", $0.id, "generations"])) }
        if shared.json {
            return Output.json(JSONWriter().bytes(of: try JSONValue(encoding: Page(data: found.map(\.1.view)))))
        }
        let rows: [[StyledText]] = found.map { job, answer in
            let view = answer.view
            let share = view.total > 0 ? NumberText.percent(Double(view.done) / Double(view.total)) : "–"
            return [
                StyledText("\(job.experiment)/\(job.name)"), StateText.mark(job.state) + " " + StateText.name(job.state),
                StyledText(view.total > 0 ? "\(view.done)/\(view.total)" : "–"), StyledText(share),
                view.failed > 0 ? StyledText("\(view.failed)", .red) : StyledText("–"), StyledText("\(view.reused)"),
                StyledText("\(view.tokens)"),
                StyledText(view.tokensPerSecond.map { NumberText.significant($0) } ?? "–"),
                StyledText(view.etaSeconds.map { "~" + SpanText.exact(seconds: $0) } ?? "–"), StyledText(job.id, .dim),
            ]
        }
        let columns: [Table.Column] = [
            .init("JOB", elastic: true), .init("STATE"), .init("DONE", .right), .init("", .right), .init("FAILED", .right),
            .init("REUSED", .right), .init("TOKENS", .right), .init("TOKENS/S", .right), .init("LEFT", .right), .init("ID"),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no jobs that generate")
    }
}

struct GenerationsShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show how far the generations of a job are.",
        discussion: HelpText.discussion(
            "A bar stands for each pass over the records: a seed, or a seed of a chunk. The time left is an estimate.",
            examples: "anneal generations show solve/gen", "anneal generations show solve/gen --follow",
            "anneal generations show solve/gen --samples 3 --seed 1", "anneal generations show solve/gen --failed"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var job: String

    @Option(help: ArgumentHelp("Print sample generations with their prompts, this many.", valueName: "count"))
    var samples: Int?

    @Option(help: ArgumentHelp("Samples of the pass with this seed alone.", valueName: "seed"))
    var seed: Int?

    @Option(help: ArgumentHelp("Chooses the samples; the same number, the same samples.", valueName: "number"))
    var randomSeed = 0

    @Flag(help: "List the records that failed.")
    var failed = false

    @Flag(name: .shortAndLong, help: "Go on until the job ends.")
    var follow = false

    @OptionGroup var options: ListOptions
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if let samples, !(1...100).contains(samples) { throw ValidationError("--samples must be from 1 to 100") }
        if seed != nil, samples == nil { throw ValidationError("--seed stands only with --samples") }
        if failed, samples != nil || follow { throw ValidationError("--failed stands alone") }
        if follow, shared.json { throw ValidationError("--follow draws; with --json ask 'anneal watch --json'") }
    }

    func run() throws {
        let client = try shared.client()
        let id = try References(client: client).jobID(job)
        if failed { return try showFailures(client, id) }
        if shared.json, let samples { return Output.json(try self.samples(client, id, count: samples).body) }
        let answer = try client.get(GenerationsView.self, ["v1", "jobs", id, "generations"])
        if shared.json { return Output.json(answer.body) }
        let view = try client.get(JobView.self, ["v1", "jobs", id]).view
        let name = "\(view.experiment)/\(view.name)"
        var last = answer.view
        if follow { last = try GenerationFollow(client: client, jobID: id, name: name).run() }
        if !follow { Output.lines(GenerationText.lines(last, name: name)) }
        if last.failed > 0, let first = last.failures.data.first {
            Output.line(
                StyledText("record \(first.record) failed: \(first.message)", .red)
                    + StyledText("  (all: anneal generations show \(job) --failed)", .dim))
        }
        if let samples {
            for sample in try self.samples(client, id, count: samples).view.data {
                Output.lines(GenerationText.lines(sample, columns: Output.columns ?? ParameterText.columnsWithoutTerminal))
            }
        }
        if follow, last.state != "succeeded" {
            throw CommandFailure(.failed, "the job '\(name)' \(last.state == "failed" ? "failed" : "is \(last.state)")")
        }
    }

    private func samples(_ client: APIClient, _ id: String, count: Int) throws -> APIClient.Answer<GenerationSamplesView> {
        var query = [("count", String(count)), ("random_seed", String(randomSeed))]
        if let seed { query.append(("seed", String(seed))) }
        return try client.get(GenerationSamplesView.self, ["v1", "jobs", id, "generations", "samples"], query: query)
    }

    private func showFailures(_ client: APIClient, _ id: String) throws {
        let answer = try client.list(GenerationFailureView.self, ["v1", "jobs", id, "generations", "failures"], options: options)
        if shared.json { return Output.json(answer.body) }
        Output.table(GenerationText.table(answer.view), ifEmpty: "no record failed")
    }
}
