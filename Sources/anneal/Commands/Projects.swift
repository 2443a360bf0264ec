import APITypes
import ArgumentParser
import JSON
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
                StyledText("\(project.running)"), StyledText("\(project.queued)"),
            ]
        }
        let columns: [Table.Column] = [
            .init("PROJECT", elastic: true), .init("WEIGHT", .right), .init("SHARE", .right), .init("GPU HOURS", .right),
            .init("GPUS", .right), .init("LIMIT", .right), .init("RUNNING", .right), .init("WAITING", .right),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no projects")
    }
}

struct ProjectSet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Change a project's weight or its limit of GPUs.",
        discussion: HelpText.discussion(examples: "anneal projects set vision --weight 2 --gpu-limit 4"))

    @Argument(help: ArgumentHelp("The project.", valueName: "project"))
    var project: String

    @Option(help: "Its part of the machine in proportion to the other projects' weights.")
    var weight: Double?

    @Option(help: ArgumentHelp("The most GPUs that its jobs may hold at a time; 'none' for no limit.", valueName: "count|none"))
    var gpuLimit: String?

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if weight == nil, gpuLimit == nil { throw ValidationError("give --weight or --gpu-limit") }
        if let gpuLimit, gpuLimit != "none", Int(gpuLimit) == nil { throw ValidationError("--gpu-limit must be a number or 'none'") }
    }

    func run() throws {
        var body: JSONObject = [:]
        if let weight { body["weight"] = .double(weight) }
        if let gpuLimit { body["gpu_limit"] = Int64(gpuLimit).map(JSONValue.int) ?? .null }
        let answer = try shared.client().send(
            "PATCH", ["v1", "projects", project], headers: [("Content-Type", "application/json")],
            body: JSONWriter().bytes(of: .object(body)))
        if shared.json { Output.json(answer) } else { Output.write("\(project): changed\n") }
    }
}
