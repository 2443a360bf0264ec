import APITypes
import ArgumentParser
import JSON
import Specification
import Terminal

struct Projects: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the projects and their part of the machine, or change it.",
        discussion: HelpText.discussion(examples: "anneal projects", "anneal projects set vision --weight 2 --gpu-limit 4"),
        subcommands: [ProjectList.self, ProjectSet.self], defaultSubcommand: ProjectList.self)
}

struct ProjectList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the projects, what they may use and what they have used.",
        discussion: HelpText.discussion(examples: "anneal projects"))

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let answer = try shared.client().get(ProjectsView.self, ["v1", "projects"])
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.data.map { project in
            [
                StyledText(project.name), StyledText(NumberText.fixed(project.weight, decimals: 1)),
                StyledText(NumberText.fixed(project.share * 100, decimals: 0) + " %"),
                StyledText(NumberText.fixed(project.usageGPUSeconds / 3600, decimals: 1)),
                StyledText(NumberText.fixed(project.gpusInUse, decimals: 1)), StyledText(project.gpuLimit.map(String.init) ?? "–"),
                Self.amount(project.running, of: project.runningLimit), Self.amount(project.queued, of: project.queuedLimit),
            ]
        }
        let columns: [Table.Column] = [
            .init("PROJECT", elastic: true), .init("WEIGHT", .right), .init("SHARE", .right), .init("GPU HOURS", .right),
            .init("GPUS", .right), .init("LIMIT", .right), .init("RUNNING", .right), .init("WAITING", .right),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no projects")
    }

    /// A count, with what it may be where there is a limit.
    private static func amount(_ count: Int, of limit: Int?) -> StyledText { StyledText(limit.map { "\(count)/\($0)" } ?? "\(count)") }
}

struct ProjectSet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Change a project's weight or its limits.",
        discussion: HelpText.discussion(examples: "anneal projects set vision --weight 2 --gpu-limit 4"))

    @Argument(help: ArgumentHelp("The project.", valueName: "project"))
    var project: String

    @Option(help: "Its part of the machine in proportion to the other projects' weights.")
    var weight: Double?

    @Option(help: ArgumentHelp("The most GPUs that its jobs may hold at a time; 'none' for no limit.", valueName: "count|none"))
    var gpuLimit: String?

    @Option(help: ArgumentHelp("The most jobs that may wait; a spec with more is refused.", valueName: "count|none"))
    var queuedLimit: String?

    @Option(help: ArgumentHelp("The most jobs that may run at a time; others wait.", valueName: "count|none"))
    var runningLimit: String?

    @Option(
        help: ArgumentHelp("Bytes of checkpoints and datasets of its jobs, above which specs are refused.", valueName: "size|none"))
    var artifactLimit: String?

    @OptionGroup var shared: SharedOptions

    private var counts: [(option: String, member: String, text: String?)] {
        [
            ("--gpu-limit", "gpu_limit", gpuLimit), ("--queued-limit", "queued_limit", queuedLimit),
            ("--running-limit", "running_limit", runningLimit),
        ]
    }

    func validate() throws {
        if weight == nil, artifactLimit == nil, counts.allSatisfy({ $0.text == nil }) {
            throw ValidationError("give --weight, --gpu-limit, --queued-limit, --running-limit or --artifact-limit")
        }
        for (option, _, text) in counts {
            if let text, text != "none", Int(text) == nil { throw ValidationError("\(option) must be a number or 'none'") }
        }
        if let artifactLimit, artifactLimit != "none", Quantity.bytes(.string(artifactLimit)) == nil {
            throw ValidationError("--artifact-limit must be a size such as 500GiB, or 'none'")
        }
    }

    func run() throws {
        var body: JSONObject = [:]
        if let weight { body["weight"] = .double(weight) }
        for (_, member, text) in counts { if let text { body[member] = Int64(text).map(JSONValue.int) ?? .null } }
        if let artifactLimit { body["artifact_bytes_limit"] = Quantity.bytes(.string(artifactLimit)).map(JSONValue.int) ?? .null }
        let answer = try shared.client().send(
            "PATCH", ["v1", "projects", project], headers: [("Content-Type", "application/json")],
            body: JSONWriter().bytes(of: .object(body)))
        if shared.json { Output.json(answer) } else { Output.write("\(project): changed\n") }
    }
}
