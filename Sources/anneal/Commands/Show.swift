import APITypes
import ArgumentParser
import JSON
import Terminal

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show an experiment or a job, everything on one screen.",
        discussion: HelpText.discussion(examples: "anneal show toy", "anneal show toy/sft", "anneal show toy/sft --json | jq .outputs"))

    @Argument(help: ArgumentHelp("An experiment, or a job as EXPERIMENT/JOB; names or ids.", valueName: "target"))
    var target: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        switch try References(client: client).target(target) {
        case .experiment(let id): try showExperiment(client, id)
        case .job(let id): try showJob(client, id)
        }
    }

    private func showExperiment(_ client: APIClient, _ id: String) throws {
        let answer = try client.get(ExperimentView.self, ["v1", "experiments", id])
        if shared.json { return Output.json(answer.body) }
        let experiment = answer.view
        var facts = FactSheet()
        facts.add("id", text: experiment.id)
        facts.add("project", text: experiment.project)
        facts.add("description", text: experiment.description)
        facts.add("tags", text: experiment.tags.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
        facts.add("reason", text: experiment.reason)
        facts.add("message", text: experiment.message)
        facts.add("created", Moment.age(experiment.createdAt) + StyledText("  \(experiment.createdAt)", .dim))
        facts.add("took", Moment.span(from: experiment.createdAt, to: experiment.finishedAt))
        Output.line(StateText.mark(experiment.state) + " " + StyledText(experiment.name, .bold) + " " + StateText.name(experiment.state))
        Output.lines(facts.lines)
        Output.write("\n")
        Output.table(JobTable.table(experiment.jobs), ifEmpty: "no jobs")
        let summary = ExperimentSummary(client: client, experiment: experiment)
        try summary.showEvaluations()
        try summary.showFailures()
    }

    private func showJob(_ client: APIClient, _ id: String) throws {
        let answer = try client.get(JobView.self, ["v1", "jobs", id])
        if shared.json { return Output.json(answer.body) }
        let metrics = try client.get(MetricSummaryView.self, ["v1", "jobs", id, "metrics"]).view
        let job = answer.view
        let others = job.needs.isEmpty ? [] : try client.get(ExperimentView.self, ["v1", "experiments", job.experimentID]).view.jobs
        let names = Dictionary(others.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
        Output.lines(JobSheet(job: job, metrics: metrics, names: names).lines(columns: Output.columns))
    }
}
