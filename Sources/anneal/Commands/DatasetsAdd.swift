import APITypes
import ArgumentParser
import JSON
import Terminal

struct DatasetsAdd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Register what a URL or a file of the daemon's machine holds.",
        discussion: HelpText.discussion(
            "A URL is fetched by a job, which goes on where a connection broke, also after a restart; the command follows it to its end. "
                + "A file is copied, or with --in-place used where it lies: it must then stay as it is.",
            examples: "anneal datasets add https://example.org/questions.jsonl --sha256 9f86d0…",
            "anneal datasets add /data/questions.jsonl --in-place --name questions"))

    @Argument(
        help: ArgumentHelp("An http:// or https:// URL, or the absolute path of a file on the daemon's machine.", valueName: "source"))
    var source: String

    @Option(help: ArgumentHelp("The dataset's name; that of the file without its ending by default.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("The hash that the file must have.", valueName: "hex"))
    var sha256: String?

    @Option(help: ArgumentHelp("Bytes that the fetched file may have.", valueName: "bytes"))
    var bytesMax: Int64?

    @Option(help: ArgumentHelp(DatasetText.formatHelp, valueName: "format"))
    var format: String?

    @Flag(help: "Use the file where it lies, without a copy.")
    var inPlace = false

    @Flag(help: "Return when the job that fetches is accepted.")
    var noWait = false

    @OptionGroup var shared: SharedOptions

    private var isURL: Bool { ["http://", "https://"].contains { source.lowercased().hasPrefix($0) } }

    func validate() throws {
        guard isURL || source.hasPrefix("/") else {
            throw ValidationError(
                "'\(source)' is neither a URL nor an absolute path; 'anneal datasets upload' sends a file of this machine")
        }
        if inPlace, isURL { throw ValidationError("--in-place stands only with a file") }
        if bytesMax != nil, !isURL { throw ValidationError("--bytes-max stands only with a URL") }
    }

    func run() throws {
        let place = isURL ? source.prefix { $0 != "?" && $0 != "#" } : source[...]
        var document: JSONObject = ["name": .string(name ?? DatasetText.name(ofFile: String(place)))]
        document[isURL ? "url" : "file"] = .string(source)
        if !isURL { document["copy"] = .bool(!inPlace) }
        if let sha256 { document["sha256"] = .string(sha256) }
        if let bytesMax { document["bytes_max"] = .int(bytesMax) }
        if let format { document["format"] = .string(format) }
        let client = try shared.client()
        let body = try client.send(
            "POST", ["v1", "datasets"], headers: [("Content-Type", "application/json")], body: JSONWriter().bytes(of: .object(document)),
            isSlow: true)
        guard isURL else { return try show(body, client) }
        let fetch = try client.decode(body, as: DatasetFetchView.self).view
        if noWait {
            if shared.json { return Output.json(body) }
            return Output.line(StyledText(fetch.name, .bold) + StyledText(": fetched by ") + StyledText(fetch.jobID, .dim))
        }
        let id = try DatasetFetch(client: client, jobID: fetch.jobID).wait()
        try show(client.send("GET", ["v1", "datasets", id]), client)
    }

    private func show(_ body: [UInt8], _ client: APIClient) throws {
        if shared.json { return Output.json(body) }
        DatasetText.registered(try client.decode(body, as: DatasetView.self).view)
    }
}

/// Follows the job that fetches a dataset.
private struct DatasetFetch {
    let client: APIClient
    let jobID: String

    /// Returns the dataset's id when the job has registered it; throws where the job ended otherwise.
    func wait() throws -> String {
        var region = LiveRegion()
        let isLive = Output.terminal.size != nil
        var outage = Outage()
        while true {
            let job: JobView
            do {
                job = try client.get(JobView.self, ["v1", "jobs", jobID], query: [("wait", isLive ? "1" : "30")]).view
                outage.end()
            } catch let failure as CommandFailure where failure.status == .unreachable {
                try outage.wait(after: failure)
                continue
            }
            let lines = StateText.isTerminal(job.state) ? [] : [StyledText("\(job.state)  \(progress(job))", .dim)]
            if isLive, let size = Output.terminal.size {
                Output.write(region.frame(lines, columns: size.columns, rows: size.rows, coloured: Output.terminal.wantsColour))
            }
            guard StateText.isTerminal(job.state) else { continue }
            guard job.state == "succeeded", let id = job.outputs["dataset"]?["id"]?.string else {
                throw CommandFailure(.failed, "job \(jobID) \(job.state): \(job.message ?? job.reason ?? "no reason is known")")
            }
            return id
        }
    }

    private func progress(_ job: JobView) -> String {
        guard let progress = job.progress else { return "" }
        // Half of the job's work is to fetch, half to read.
        let done = NumberText.bytes(Int64(min(progress.done, (progress.total ?? .infinity) / 2)))
        guard let total = progress.total, total > 0 else { return done }
        let rate = progress.ratePerSecond.map { " · \(NumberText.bytes(Int64($0)))/s" } ?? ""
        return "\(done) of \(NumberText.bytes(Int64(total / 2)))\(rate)"
    }
}

/// Words about datasets that several commands use.
enum DatasetText {
    static let formatHelp =
        "What the records must be: messages, input_output, preference, prompt, jcqa, text, conversations, generations or records."

    /// A file's name without its folder and ending.
    static func name(ofFile path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
    }

    /// Prints what was registered.
    static func registered(_ view: DatasetView) {
        Output.line(
            StyledText("\(view.name)@\(view.version)", .bold) + StyledText(": \(view.rows) rows, \(view.format)  ")
                + StyledText(view.id, .dim))
    }

    /// Where a dataset came from, in a line; `nil` for what a job made from other data.
    static func source(_ view: DatasetView) -> String? {
        guard let source = view.source, let kind = source["kind"]?.string else { return view.producedBy == nil ? "upload" : nil }
        switch kind {
        case "url": return source["url"]?.string
        case "file": return (source["path"]?.string ?? "") + (source["copied"] == false ? " (used where it lies)" : " (copied)")
        default: return source["converted_from"] == nil ? "upload" : "upload of a JSON array"
        }
    }
}
