import APITypes
import ArgumentParser
import Terminal

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List experiments, or jobs.",
        discussion: HelpText.discussion(
            "The newest come first.", examples: "anneal ls", "anneal ls --jobs --state failed", "anneal ls --jobs --experiment toy"))

    @Flag(help: "List jobs instead of experiments.")
    var jobs = false

    @Option(help: ArgumentHelp("Only those in this state.", valueName: "state"))
    var state: String?

    @Option(help: ArgumentHelp("Only the experiments of this project.", valueName: "name"))
    var project: String?

    @Option(help: ArgumentHelp("Only the jobs of this experiment; implies --jobs.", valueName: "experiment"))
    var experiment: String?

    @OptionGroup var options: ListOptions
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if jobs || experiment != nil, project != nil { throw ValidationError("--project goes with experiments, not with --jobs") }
    }

    func run() throws {
        let client = try shared.client()
        if jobs || experiment != nil { try listJobs(client) } else { try listExperiments(client) }
    }

    private func listExperiments(_ client: APIClient) throws {
        let query = [("state", state), ("project", project)].compactMap { name, value in value.map { (name, $0) } }
        let answer = try client.list(ExperimentView.self, ["v1", "experiments"], query: query, options: options)
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.map { experiment in
            [
                StateText.mark(experiment.state), StyledText(experiment.name), StyledText(experiment.project),
                StateText.name(experiment.state),
                StyledText(Self.jobCounts(experiment.jobs)), Moment.age(experiment.createdAt),
                Moment.span(from: experiment.createdAt, to: experiment.finishedAt), StyledText(experiment.id, .dim),
            ]
        }
        let columns: [Table.Column] = [
            .init(""), .init("NAME", elastic: true), .init("PROJECT", elastic: true), .init("STATE"), .init("JOBS"), .init("CREATED"),
            .init("TOOK", .right), .init("ID"),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no experiments")
    }

    /// Jobs done of all, such as `3/4`.
    private static func jobCounts(_ jobs: [JobSummary]) -> String {
        "\(jobs.count { StateText.isTerminal($0.state) })/\(jobs.count)"
    }

    private func listJobs(_ client: APIClient) throws {
        var query: [(String, String)] = []
        if let state { query.append(("state", state)) }
        if let experiment { query.append(("experiment", try References(client: client).experimentID(experiment))) }
        let answer = try client.list(JobView.self, ["v1", "jobs"], query: query, options: options)
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.map { job in
            [
                StateText.mark(job.state), StyledText("\(job.experiment)/\(job.name)"), StyledText(job.kind), StateText.name(job.state),
                StateText.reasonCell(job.reason, of: job.state), StyledText(ResourceText.brief(job.resources)), Moment.age(job.createdAt),
                Moment.span(from: job.startedAt, to: job.finishedAt), StyledText(job.id, .dim),
            ]
        }
        let columns: [Table.Column] = [
            .init(""), .init("JOB", elastic: true), .init("KIND"), .init("STATE"), .init("REASON", elastic: true), .init("NEEDS"),
            .init("CREATED"),
            .init("TOOK", .right), .init("ID"),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no jobs")
    }
}
