import APITypes
import ArgumentParser
import Terminal

/// A spec on its way to the daemon, as `submit` and `validate` send it.
struct Submission {
    let client: APIClient
    let spec: SpecFile
    let overrides: [String]

    /// Submits the spec for good.
    func submit(idempotencyKey: String?) throws -> APIClient.Answer<ExperimentView> {
        var headers = headers
        if let idempotencyKey { headers.append(("Idempotency-Key", idempotencyKey)) }
        return try client.post(
            ExperimentView.self, ["v1", "experiments"], query: query, headers: headers, body: spec.bytes, source: spec.name)
    }

    /// Asks what the spec would do.
    func plan() throws -> APIClient.Answer<PlanView> {
        try client.post(
            PlanView.self, ["v1", "experiments"], query: query + [("dry_run", "true")], headers: headers, body: spec.bytes,
            source: spec.name)
    }

    private var query: [(String, String)] { [("base_directory", spec.baseDirectory)] + overrides.map { ("set", $0) } }
    private var headers: [(String, String)] { [("Content-Type", spec.mediaType)] }
}

/// The spec and its overrides on the command line.
struct SpecOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The spec, in YAML or JSON; - for standard input.", valueName: "file"))
    var file: String

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp("Override a value of the spec, such as jobs.sft.params.epochs=3; may be repeated.", valueName: "path=value"))
    var overrides: [String] = []

    func validate() throws {
        for text in overrides where !text.dropFirst().contains("=") {
            throw ValidationError("--set wants PATH=VALUE, not '\(text)'")
        }
    }

    func submission(_ client: APIClient) throws -> Submission {
        Submission(client: client, spec: try SpecFile(file), overrides: overrides)
    }
}

/// The plan of a dry run as text.
enum PlanText {
    static func lines(_ plan: PlanView, columns: Int?) -> [StyledText] {
        let rows: [[StyledText]] = plan.jobs.map { job in
            let fits = job.fits ? StyledText("yes", .green) : StyledText("no: \(job.reason ?? "")", .red)
            return [
                StyledText(job.name), StyledText(job.engine.map { "\(job.kind)/\($0)" } ?? job.kind),
                StyledText(job.needs.joined(separator: ", ")),
                StyledText(ResourceText.brief(job.resources)), StyledText(job.outputs.joined(separator: ", ")), fits,
            ]
        }
        let table = Table(
            [
                .init("JOB", elastic: true), .init("KIND"), .init("AFTER", elastic: true), .init("RESOURCES"),
                .init("OUTPUTS", elastic: true),
                .init("FITS", elastic: true),
            ], rows: rows)
        var lines = [
            StyledText(plan.name, .bold)
                + StyledText(" in project \(plan.project), \(plan.jobs.count) job\(plan.jobs.count == 1 ? "" : "s")")
        ]
        lines += table.lines(width: columns)
        lines += plan.jobs.compactMap { job in job.memoryEstimate.map { StyledText("\(job.name): \($0)") } }
        lines += plan.jobs.compactMap { job in job.container.map { StyledText("\(job.name): in a container, \($0)") } }
        lines += plan.warnings.map { StyledText("warning: ", .yellow) + StyledText($0) }
        if !plan.fits { lines.append(StyledText("some job can never run on this machine", .red)) }
        return lines
    }
}
