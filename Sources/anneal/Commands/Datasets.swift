import APITypes
import ArgumentParser
import Terminal

struct Datasets: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, register, look into and export datasets.",
        discussion: HelpText.discussion(
            "A dataset is named by its id, by NAME@VERSION, or by NAME for its newest version.",
            examples: "anneal datasets ls", "anneal datasets upload questions.jsonl --name questions",
            "anneal datasets add https://example.org/questions.jsonl",
            "anneal datasets inspect questions", "anneal datasets export questions@1 questions.jsonl"),
        subcommands: [
            DatasetsList.self, DatasetsUpload.self, DatasetsAdd.self, DatasetsShow.self, DatasetsInspect.self, DatasetsDiff.self,
            DatasetsTag.self, DatasetsContent.self, DatasetsExport.self, DatasetsRemove.self,
        ],
        defaultSubcommand: DatasetsList.self)
}

struct DatasetsList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List datasets, the newest first.",
        discussion: HelpText.discussion(examples: "anneal datasets ls --name questions"))

    @Option(help: ArgumentHelp("Only the versions of this name.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("Only those with this tag.", valueName: "key:value"))
    var tag: String?

    @OptionGroup var options: ListOptions
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let query = (name.map { [("name", $0)] } ?? []) + (tag.map { [("tag", $0)] } ?? [])
        let answer = try shared.client().list(DatasetView.self, ["v1", "datasets"], query: query, options: options)
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.map { dataset in
            [
                StyledText("\(dataset.name)@\(dataset.version)"), StyledText("\(dataset.rows)"),
                StyledText(NumberText.bytes(dataset.bytes)),
                StyledText(dataset.format), Moment.age(dataset.createdAt), StyledText(dataset.producedBy ?? "upload"),
                StyledText(String(dataset.sha256.prefix(12)), .dim), StyledText(dataset.id, .dim),
            ]
        }
        let columns: [Table.Column] = [
            .init("NAME", elastic: true), .init("ROWS", .right), .init("SIZE", .right), .init("FORMAT"), .init("CREATED"),
            .init("MADE BY", elastic: true),
            .init("SHA-256"), .init("ID"),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no datasets")
    }
}

struct DatasetsUpload: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upload", abstract: "Register a JSON Lines file as a dataset.",
        discussion: HelpText.discussion(
            "The file is checked line by line; bad lines are reported with their places. A file that is one JSON array is taken as well. The "
                + "same content under the same name is the same version.",
            examples: "anneal datasets upload questions.jsonl", "anneal datasets upload data.jsonl --name questions",
            "anneal datasets upload raw.jsonl --format records"))

    @Argument(help: ArgumentHelp("The JSON Lines file.", valueName: "file"))
    var file: String

    @Option(help: ArgumentHelp("The dataset's name; the file's name without its ending by default.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp(DatasetText.formatHelp, valueName: "format"))
    var format: String?

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let query = [("name", name ?? DatasetText.name(ofFile: file))] + (format.map { [("format", $0)] } ?? [])
        let body = try client.upload(["v1", "datasets"], query: query, headers: [("Content-Type", "application/x-ndjson")], file: file)
        if shared.json { return Output.json(body) }
        DatasetText.registered(try client.decode(body, as: DatasetView.self).view)
    }
}

struct DatasetsShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one dataset.", discussion: HelpText.discussion(examples: "anneal datasets show questions@1"))

    @Argument(help: ArgumentHelp("Its id, NAME@VERSION or NAME.", valueName: "dataset"))
    var dataset: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let answer = try shared.client().get(DatasetView.self, ["v1", "datasets", dataset])
        if shared.json { return Output.json(answer.body) }
        let view = answer.view
        var facts = FactSheet()
        facts.add("id", text: view.id)
        facts.add("rows", text: String(view.rows))
        facts.add("size", text: NumberText.bytes(view.bytes))
        facts.add("format", text: view.format)
        facts.add("sha-256", text: view.sha256)
        facts.add("made by", text: view.producedBy)
        facts.add("from", text: DatasetText.source(view))
        for (key, value) in view.tags.sorted(by: { $0.key < $1.key }) { facts.add("tag \(key)", text: value) }
        facts.add("created", Moment.age(view.createdAt) + StyledText("  \(view.createdAt)", .dim))
        Output.line(StyledText("\(view.name)@\(view.version)", .bold))
        Output.lines(facts.lines)
    }
}

struct DatasetsContent: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "content", abstract: "Print the records of a dataset, one JSON object a line.",
        discussion: HelpText.discussion(examples: "anneal datasets content questions > questions.jsonl"))

    @Argument(help: ArgumentHelp("Its id, NAME@VERSION or NAME.", valueName: "dataset"))
    var dataset: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        do {
            try shared.client().stream(["v1", "datasets", dataset, "content"], query: [], headers: [("Accept", "*/*")]) { chunk in
                Output.write(chunk)
                return true
            }
        } catch let lost as APIClient.ConnectionLost {
            throw lost.reason
        }
    }
}
