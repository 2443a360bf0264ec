import APITypes
import ArgumentParser
import Datasets
import Glibc
import Terminal

struct DatasetsExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a dataset to a file.",
        discussion: HelpText.discussion(
            "The content is checked against the dataset's hash before the file gets its name. With --as and --layout it is converted where "
                + "nothing is lost; a record that would lose something ends the command with its line.",
            examples: "anneal datasets export questions@2 questions.jsonl",
            "anneal datasets export questions table.csv --layout csv", "anneal datasets export chats pairs.jsonl --as input_output"))

    @Argument(help: ArgumentHelp("Its id, NAME@VERSION or NAME.", valueName: "dataset"))
    var dataset: String

    @Argument(help: ArgumentHelp("The file to write.", valueName: "path"))
    var path: String

    @Option(help: ArgumentHelp("jsonl, json (one array) or csv (only flat records).", valueName: "layout"))
    var layout: DatasetExport.Layout = .jsonLines

    @Option(name: .customLong("as"), help: ArgumentHelp("Turn messages into input_output, or the other way round.", valueName: "format"))
    var format: DatasetExport.Conversion?

    @Flag(help: "Write over a file that is there.")
    var force = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        guard force || access(path, F_OK) != 0 else {
            throw CommandFailure(.conflict, "\(path) is there already; --force writes over it")
        }
        let client = try shared.client()
        let answer = try client.get(DatasetView.self, ["v1", "datasets", dataset])
        let view = answer.view
        let part = "\(path).\(getpid()).part"
        defer { unlink(part) }
        do {
            try fetch(view, to: part, client)
            let isPlain = layout == .jsonLines && format == nil
            if isPlain, rename(part, path) != 0 { throw FileError(call: "rename", path: path, code: errno) }
            if !isPlain { try DatasetExport(layout: layout, conversion: format).write(from: part, to: path) }
        } catch let error as FileError {
            throw CommandFailure(.failed, "\(error)")
        } catch let error as DatasetError {
            throw CommandFailure(.failed, "\(view.name)@\(view.version): \(error.message)")
        }
        if shared.json { return Output.json(answer.body) }
        Output.line(
            StyledText("\(view.name)@\(view.version)", .bold) + StyledText(": \(view.rows) rows written to \(path)  ")
                + StyledText("sha256 \(view.sha256.prefix(12)) verified", .dim))
    }

    /// Brings the content to a file, whole and as it was registered.
    private func fetch(_ view: DatasetView, to part: String, _ client: APIClient) throws {
        let writer = try DatasetWriter(path: part)
        do {
            try client.stream(["v1", "datasets", view.id, "content"], query: [], headers: [("Accept", "*/*")]) { chunk in
                try writer.append(bytes: chunk)
                return true
            }
        } catch let lost as APIClient.ConnectionLost {
            throw lost.reason
        }
        let file = try writer.finish()
        guard file.sha256 == view.sha256 else {
            throw CommandFailure(
                .failed, "what came of \(view.name)@\(view.version) has the hash \(file.sha256), not \(view.sha256); nothing was written")
        }
    }
}

extension DatasetExport.Layout: ExpressibleByArgument {}
extension DatasetExport.Conversion: ExpressibleByArgument {}
