import APITypes
import ArgumentParser
import JSON
import Terminal

struct Checkpoints: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, keep and remove checkpoints.",
        discussion: HelpText.discussion(
            examples: "anneal checkpoints ls --job toy/sft", "anneal checkpoints pin ckpt_01k9w3c2vn0000a7k3d9m2x5q8"),
        subcommands: [CheckpointsList.self, CheckpointsShow.self, CheckpointsPin.self, CheckpointsUnpin.self, CheckpointsRemove.self],
        defaultSubcommand: CheckpointsList.self)
}

struct CheckpointsList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List checkpoints, the newest first.",
        discussion: HelpText.discussion(examples: "anneal checkpoints ls --job toy/sft"))

    @Option(help: ArgumentHelp("Only those of this job.", valueName: "job"))
    var job: String?

    @OptionGroup var options: ListOptions
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let query = try job.map { [("job", try References(client: client).jobID($0))] } ?? []
        let answer = try client.list(CheckpointView.self, ["v1", "checkpoints"], query: query, options: options)
        if shared.json { return Output.json(answer.body) }
        let jobs = JobNames(of: answer.view.map(\.jobID), client: client)
        let rows: [[StyledText]] = answer.view.map { checkpoint in
            let metrics = checkpoint.metrics.map { "\($0.key) \(NumberText.significant($0.value.number))" }.joined(separator: " · ")
            return [
                StyledText(checkpoint.id), StyledText(checkpoint.step.map(String.init) ?? "–"), StyledText(metrics),
                CheckpointsShow.marks(checkpoint),
                StyledText(NumberText.bytes(checkpoint.bytes)), Moment.age(checkpoint.createdAt), StyledText(jobs[checkpoint.jobID] ?? "–"),
            ]
        }
        let columns: [Table.Column] = [
            .init("ID"), .init("STEP", .right), .init("METRICS", elastic: true), .init("MARKS"), .init("SIZE", .right), .init("CREATED"),
            .init("JOB", elastic: true),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no checkpoints")
    }
}

struct CheckpointsShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one checkpoint.",
        discussion: HelpText.discussion(examples: "anneal checkpoints show ckpt_01k9w3c2vn0000a7k3d9m2x5q8"))

    @Argument(help: ArgumentHelp("Its id.", valueName: "checkpoint"))
    var checkpoint: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let answer = try client.get(CheckpointView.self, ["v1", "checkpoints", checkpoint])
        if shared.json { return Output.json(answer.body) }
        let view = answer.view
        var facts = FactSheet()
        facts.add("marks", Self.marks(view))
        facts.add("path", text: view.path)
        facts.add("step", text: view.step.map(String.init))
        for (key, value) in view.metrics { facts.add(key, text: NumberText.significant(value.number, digits: 6)) }
        facts.add("size", text: NumberText.bytes(view.bytes))
        facts.add("job", text: JobNames(of: [view.jobID], client: client)[view.jobID])
        facts.add("attempt", text: view.attemptID)
        facts.add("created", Moment.age(view.createdAt) + StyledText("  \(view.createdAt)", .dim))
        facts.add("deleted", text: view.deletedAt)
        Output.line(StyledText(view.id, .bold))
        Output.lines(facts.lines)
    }

    /// What sets a checkpoint apart.
    static func marks(_ checkpoint: CheckpointView) -> StyledText {
        var marks: [StyledText] = []
        if checkpoint.best { marks.append(StyledText("best", .green)) }
        if checkpoint.pinned { marks.append(StyledText("pinned", .cyan)) }
        if checkpoint.deletedAt != nil { marks.append(StyledText("deleted", .red)) }
        return marks.dropFirst().reduce(marks.first ?? "") { $0 + " " + $1 }
    }
}

struct CheckpointsPin: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pin", abstract: "Keep checkpoints for good: retention will not remove them.",
        discussion: HelpText.discussion(examples: "anneal checkpoints pin ckpt_01k9w3c2vn0000a7k3d9m2x5q8"))

    @Argument(help: ArgumentHelp("Ids of checkpoints.", valueName: "checkpoint"))
    var checkpoints: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws { try CheckpointChange(shared: shared).run(checkpoints, "POST", "pin", done: "pinned") }
}

struct CheckpointsUnpin: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpin", abstract: "Leave checkpoints to retention again.",
        discussion: HelpText.discussion(examples: "anneal checkpoints unpin ckpt_01k9w3c2vn0000a7k3d9m2x5q8"))

    @Argument(help: ArgumentHelp("Ids of checkpoints.", valueName: "checkpoint"))
    var checkpoints: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws { try CheckpointChange(shared: shared).run(checkpoints, "POST", "unpin", done: "unpinned") }
}

struct CheckpointsRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove the files of checkpoints.",
        discussion: HelpText.discussion(
            "The entry stays for the lineage. What is pinned or referenced is refused with exit code 4.",
            examples: "anneal checkpoints rm ckpt_01k9w3c2vn0000a7k3d9m2x5q8"))

    @Argument(help: ArgumentHelp("Ids of checkpoints.", valueName: "checkpoint"))
    var checkpoints: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws { try CheckpointChange(shared: shared).run(checkpoints, "DELETE", nil, done: "removed") }
}

/// One change to each of several checkpoints.
private struct CheckpointChange {
    let shared: SharedOptions

    func run(_ checkpoints: [String], _ method: String, _ verb: String?, done: String) throws {
        let client = try shared.client()
        for checkpoint in checkpoints {
            let body = try client.send(method, ["v1", "checkpoints", checkpoint] + (verb.map { [$0] } ?? []))
            if !shared.json {
                Output.write("\(checkpoint): \(done)\n")
            } else if !body.isEmpty {
                Output.json(body)
            }
        }
    }
}
