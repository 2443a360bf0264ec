import APITypes
import ArgumentParser
import JSON
import Terminal

struct DatasetsInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show what is in a dataset: lengths, answers, repeated records, members, samples.",
        discussion: HelpText.discussion(examples: "anneal datasets inspect questions", "anneal datasets inspect questions@1 --samples 20"))

    @Argument(help: ArgumentHelp("Its id, NAME@VERSION or NAME.", valueName: "dataset"))
    var dataset: String

    @Option(help: ArgumentHelp("How many records to show.", valueName: "count"))
    var samples = 3

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let query = [("samples", String(samples))]
        let answer = try shared.client().get(DatasetInspectionView.self, ["v1", "datasets", dataset, "inspect"], query: query)
        if shared.json { return Output.json(answer.body) }
        let view = answer.view
        var facts = FactSheet()
        facts.add("rows", text: "\(view.dataset.rows)")
        facts.add("size", text: NumberText.bytes(view.dataset.bytes))
        facts.add("format", text: view.dataset.format)
        facts.add("repeated", text: "\(view.duplicates) (\(NumberText.fixed(view.duplicateShare * 100, decimals: 1)) %)")
        let lengths = view.characters
        facts.add("characters", text: "\(lengths.min) to \(lengths.max), \(NumberText.significant(lengths.mean, digits: 4)) in the mean")
        for (key, value) in view.dataset.tags.sorted(by: { $0.key < $1.key }) { facts.add("tag \(key)", text: value) }
        Output.line(StyledText("\(view.dataset.name)@\(view.dataset.version)", .bold))
        Output.lines(facts.lines)
        showHistogram(lengths)
        showCounts(view)
        for sample in view.samples {
            Output.line(StyledText("line \(sample.line)", .dim))
            Output.write(JSONWriter(layout: .pretty).bytes(of: sample.record) + [0x0A])
        }
    }

    private static let barWidth = 40

    private func showHistogram(_ lengths: CharactersView) {
        let most = lengths.histogram.map(\.records).max() ?? 0
        let buckets = lengths.histogram.drop { $0.records == 0 }
        guard most > 0 else { return }
        let rows: [[StyledText]] = buckets.map { bucket in
            [
                StyledText("\(bucket.from)–\(bucket.to)"), StyledText("\(bucket.records)"),
                StyledText(String(repeating: "█", count: (bucket.records * Self.barWidth + most - 1) / most)),
            ]
        }
        Output.table(Table([.init("CHARACTERS", .right), .init("RECORDS", .right), .init("")], rows: rows), ifEmpty: "")
    }

    private func showCounts(_ view: DatasetInspectionView) {
        if !view.labels.isEmpty {
            let rows = view.labels.map { [StyledText($0.value), StyledText("\($0.records)")] }
            Output.table(Table([.init("ANSWER", elastic: true), .init("RECORDS", .right)], rows: rows), ifEmpty: "")
        }
        let rows = view.fields.map { [StyledText($0.path), StyledText($0.types.joined(separator: ", ")), StyledText("\($0.records)")] }
        Output.table(Table([.init("MEMBER", elastic: true), .init("TYPE"), .init("RECORDS", .right)], rows: rows), ifEmpty: "no members")
    }
}

struct DatasetsDiff: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show which records one dataset has and another has not.",
        discussion: HelpText.discussion(
            "Records are compared as a whole, whatever their order and that of their members.",
            examples: "anneal datasets diff questions@1 questions@2"))

    @Argument(help: ArgumentHelp("The older dataset.", valueName: "from"))
    var from: String

    @Argument(help: ArgumentHelp("The newer dataset.", valueName: "to"))
    var to: String

    @Option(help: ArgumentHelp("How many records of each side to show.", valueName: "count"))
    var samples = 3

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let query = [("from", from), ("to", to), ("samples", String(samples))]
        let answer = try shared.client().get(DatasetDiffView.self, ["v1", "datasets", "diff"], query: query)
        if shared.json { return Output.json(answer.body) }
        let view = answer.view
        Output.line(
            StyledText("\(view.from.name)@\(view.from.version) → \(view.to.name)@\(view.to.version)", .bold)
                + StyledText(": \(view.common) common, \(view.added) added, \(view.removed) removed"))
        for (sign, style, records) in [("-", TextStyle.red, view.removedSamples), ("+", .green, view.addedSamples)] {
            for sample in records {
                let text = String(decoding: JSONWriter(layout: .python).bytes(of: sample.record), as: UTF8.self)
                Output.line(StyledText("\(sign) \(sample.line): ", style) + StyledText(text))
            }
        }
    }
}

struct DatasetsTag: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag", abstract: "Note something on a dataset, or take it away.",
        discussion: HelpText.discussion(
            examples: "anneal datasets tag questions@2 quality=checked owner=ada", "anneal datasets tag questions@2 owner="))

    @Argument(help: ArgumentHelp("Its id, NAME@VERSION or NAME.", valueName: "dataset"))
    var dataset: String

    @Argument(help: ArgumentHelp("KEY=VALUE; an empty value takes the tag away.", valueName: "tag"))
    var tags: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws {
        var changes = JSONObject()
        for tag in tags {
            guard let equals = tag.firstIndex(of: "="), equals > tag.startIndex else {
                throw ValidationError("'\(tag)' is no KEY=VALUE")
            }
            let value = String(tag[tag.index(after: equals)...])
            changes[String(tag[..<equals])] = value.isEmpty ? .null : .string(value)
        }
        let client = try shared.client()
        let body = try client.send(
            "PATCH", ["v1", "datasets", dataset], headers: [("Content-Type", "application/json")],
            body: JSONWriter().bytes(of: ["tags": .object(changes)]))
        if shared.json { return Output.json(body) }
        let view = try client.decode(body, as: DatasetView.self).view
        let list = view.tags.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        Output.line(StyledText("\(view.name)@\(view.version)", .bold) + StyledText(list.isEmpty ? ": no tags" : ": \(list)"))
    }
}

struct DatasetsRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Delete datasets that no job made or used.",
        discussion: HelpText.discussion(examples: "anneal datasets rm questions@1"))

    @Argument(help: ArgumentHelp("Ids, NAME@VERSION or NAME.", valueName: "dataset"))
    var datasets: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        for dataset in datasets {
            _ = try client.send("DELETE", ["v1", "datasets", dataset])
            if !shared.json { Output.write("\(dataset): deleted\n") }
        }
    }
}
