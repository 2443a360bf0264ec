import APITypes
import ArgumentParser
import JSON
import Terminal

struct Evaluations: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List and show evaluations.",
        discussion: HelpText.discussion(
            examples: "anneal evaluations ls --experiment toy", "anneal evaluations show toy/after",
            "anneal evaluations items toy/after --wrong"),
        subcommands: [EvaluationsList.self, EvaluationsShow.self, EvaluationsReport.self, EvaluationsItems.self],
        defaultSubcommand: EvaluationsList.self)
}

struct EvaluationsList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List evaluations, the newest first.",
        discussion: HelpText.discussion(examples: "anneal evaluations ls", "anneal evaluations ls --experiment toy"))

    @Option(help: ArgumentHelp("Only those of this experiment.", valueName: "experiment"))
    var experiment: String?

    @OptionGroup var options: ListOptions
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        if let experiment { return try list(ofExperiment: References(client: client).experimentID(experiment), client) }
        let answer = try client.list(EvaluationView.self, ["v1", "evaluations"], options: options)
        if shared.json { return Output.json(answer.body) }
        let jobs = JobNames(of: answer.view.map(\.jobID), client: client)
        Output.table(EvaluationTable.table(answer.view.map { (jobs[$0.jobID] ?? $0.id, $0) }, withIDs: true), ifEmpty: "no evaluations")
    }

    private func list(ofExperiment id: String, _ client: APIClient) throws {
        let view = try client.get(ExperimentView.self, ["v1", "experiments", id]).view
        let found = try EvaluationSearch(client: client).evaluations(of: view)
        if shared.json { return Output.json(JSONWriter().bytes(of: try JSONValue(encoding: Page(data: found.map(\.evaluation))))) }
        Output.table(EvaluationTable.table(found), ifEmpty: "no evaluations")
    }
}

struct EvaluationsReport: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, csv, markdown, json
    }

    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Print an evaluation's table as NeMo-Skills does: pass@k, majority@k, no answer, tokens.",
        discussion: HelpText.discussion(
            examples: "anneal evaluations report toy/after", "anneal evaluations report toy/after --format markdown"))

    @Argument(help: ArgumentHelp("Its id, or its job as EXPERIMENT/JOB.", valueName: "evaluation"))
    var evaluation: String

    @Option(help: ArgumentHelp("text, csv, markdown or json.", valueName: "format"))
    var format = Format.text

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let id = try References(client: client).evaluationID(evaluation)
        let format = shared.json ? .json : format
        let body = try client.send("GET", ["v1", "evaluations", id, "report"], query: [("format", format.rawValue)])
        Output.write(body)
    }
}

struct EvaluationsShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one evaluation: all metrics, the comparison and the gate.",
        discussion: HelpText.discussion(examples: "anneal evaluations show toy/after"))

    @Argument(help: ArgumentHelp("Its id, or its job as EXPERIMENT/JOB.", valueName: "evaluation"))
    var evaluation: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let answer = try client.get(EvaluationView.self, ["v1", "evaluations", References(client: client).evaluationID(evaluation)])
        if shared.json { return Output.json(answer.body) }
        let view = answer.view
        var facts = FactSheet()
        facts.add("model", text: view.model)
        facts.add("checkpoint", text: view.modelID)
        facts.add("job", text: JobNames(of: [view.jobID], client: client)[view.jobID])
        facts.add("created", Moment.age(view.createdAt) + StyledText("  \(view.createdAt)", .dim))
        facts.add("gate", view.gate.map { EvaluationTable.gate($0) })
        Output.line(StyledText(view.id, .bold))
        Output.lines(facts.lines)
        for benchmark in view.benchmarks { show(benchmark) }
        if let compare = view.compare {
            Output.write("\n")
            Output.line(StyledText("compared with \(compare.base)", .bold))
            Output.table(CompareTable.table(compare), ifEmpty: "no benchmark in common")
        }
        if let gate = view.gate { show(gate) }
    }

    private func show(_ benchmark: BenchmarkView) {
        Output.write("\n")
        Output.line(
            StyledText(benchmark.name, .bold)
                + StyledText(" · \(benchmark.items) items · \(benchmark.samples) sample\(benchmark.samples == 1 ? "" : "s") each · ")
                + StyledText(benchmark.dataset, .dim))
        let rows: [[StyledText]] = benchmark.metrics.map { name, estimate in
            let deviation = estimate.stderr.map { "± \(NumberText.significant($0, digits: 3))" } ?? ""
            return [StyledText(name), StyledText(NumberText.significant(estimate.value.number)), StyledText(deviation)]
        }
        Output.table(Table([.init("METRIC"), .init("VALUE", .right), .init("STANDARD ERROR")], rows: rows), ifEmpty: "no metrics")
    }

    private func show(_ gate: GateView) {
        Output.write("\n")
        let rows: [[StyledText]] = gate.checks.map { check in
            [
                check.passed ? StyledText("✓", .green) : StyledText("✗", .red), StyledText(check.metric), StyledText(check.condition),
                StyledText(check.value.map { NumberText.significant($0) } ?? "–"),
                StyledText(check.limit.map { NumberText.significant($0) } ?? "–"),
                CompareTable.interval(check.ciLow, check.ciHigh),
            ]
        }
        Output.table(
            Table(
                [.init(""), .init("GATE"), .init("CONDITION"), .init("VALUE", .right), .init("LIMIT", .right), .init("INTERVAL")],
                rows: rows),
            ifEmpty: "no conditions")
    }
}
