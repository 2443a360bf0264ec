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
        facts.add("from", text: DatasetText.source(view.dataset) ?? view.dataset.producedBy)
        facts.add("repeated", text: "\(view.duplicates) (\(Self.percent(view.duplicateShare)))")
        facts.add("characters", text: Self.brief(view.characters))
        facts.add("words", text: Self.brief(view.words))
        for (key, value) in view.dataset.tags.sorted(by: { $0.key < $1.key }) { facts.add("tag \(key)", text: value) }
        Output.line(StyledText("\(view.dataset.name)@\(view.dataset.version)", .bold))
        Output.lines(facts.lines)
        showHistogram("CHARACTERS", view.characters)
        showHistogram("WORDS", view.words)
        showLabels(view)
        showSchema(view)
        for sample in view.samples {
            Output.line(StyledText("\nline \(sample.line)", .dim))
            Output.write(JSONWriter(layout: .pretty).bytes(of: sample.record) + [0x0A])
        }
    }

    private static let barWidth = 40

    private static func percent(_ share: Double) -> String { "\(NumberText.fixed(share * 100, decimals: 1)) %" }

    private static func brief(_ lengths: CharactersView) -> String {
        "\(lengths.min) to \(lengths.max), \(NumberText.significant(lengths.mean, digits: 4)) in the mean; "
            + "half up to \(lengths.p50), 95 % up to \(lengths.p95), 99 % up to \(lengths.p99)"
    }

    /// A bar of so many of the most that there are; at least a sliver where there is one.
    private static func bar(_ count: Int, of most: Int) -> StyledText {
        let eighths = count == 0 ? 0 : max(1, count * barWidth * 8 / max(1, most))
        let partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]
        return StyledText(String(repeating: "█", count: eighths / 8) + partial, .green)
    }

    /// Sections are apart from each other by an empty line.
    private func show(_ table: Table) {
        Output.write("\n")
        Output.table(table, ifEmpty: "")
    }

    private func showHistogram(_ title: String, _ lengths: CharactersView) {
        let most = lengths.histogram.map(\.records).max() ?? 0
        let all = lengths.histogram.reduce(0) { $0 + $1.records }
        guard most > 0 else { return }
        let rows: [[StyledText]] = lengths.histogram.drop { $0.records == 0 }.map { bucket in
            [
                StyledText(bucket.from == bucket.to ? "\(bucket.from)" : "\(bucket.from)–\(bucket.to)"), StyledText("\(bucket.records)"),
                StyledText(Self.percent(Double(bucket.records) / Double(all)), .dim), Self.bar(bucket.records, of: most),
            ]
        }
        show(Table([.init(title, .right), .init("RECORDS", .right), .init("SHARE", .right), .init("")], rows: rows))
    }

    private func showLabels(_ view: DatasetInspectionView) {
        guard let member = view.labelMember, let most = view.labels.first?.records else { return }
        let rows: [[StyledText]] = view.labels.map { label in
            let share = Double(label.records) / Double(max(1, view.dataset.rows))
            return [
                StyledText(label.value), StyledText("\(label.records)"), StyledText(Self.percent(share), .dim),
                Self.bar(label.records, of: most),
            ]
        }
        show(Table([.init("LABEL (\(member))", elastic: true), .init("RECORDS", .right), .init("SHARE", .right), .init("")], rows: rows))
    }

    private func showSchema(_ view: DatasetInspectionView) {
        let rows: [[StyledText]] = view.fields.map { field in
            [
                StyledText(field.path), StyledText(field.types.joined(separator: ", ")), StyledText("\(field.records)"),
                StyledText(Self.percent(field.share), .dim),
            ]
        }
        show(Table([.init("MEMBER", elastic: true), .init("TYPE"), .init("RECORDS", .right), .init("SHARE", .right)], rows: rows))
    }
}

struct DatasetsDiff: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show which records one dataset has and another has not.",
        discussion: HelpText.discussion(
            "Records are compared as a whole, whatever their order and that of their members. Two that differ and have the same identifier "
                + "or question count as one that changed.",
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
                + StyledText(": \(view.common) common, \(view.changed) changed, \(view.added) added, \(view.removed) removed"))
        for change in view.changedSamples {
            show("-", .red, change.from)
            show("+", .green, change.to)
        }
        for (sign, style, records) in [("-", TextStyle.red, view.removedSamples), ("+", .green, view.addedSamples)] {
            for sample in records { show(sign, style, sample) }
        }
    }

    private func show(_ sign: String, _ style: TextStyle, _ sample: DatasetSampleView) {
        let text = String(decoding: JSONWriter(layout: .python).bytes(of: sample.record), as: UTF8.self)
        Output.line(StyledText("\(sign) \(sample.line): ", style) + StyledText(text))
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
        commandName: "rm", abstract: "Delete datasets that nothing refers to.",
        discussion: HelpText.discussion(
            "A dataset that a job made or used is kept, and so is one with a tag 'pinned'. --force deletes it in spite of jobs that have "
                + "ended; jobs that have not, and the tag, keep it always.",
            examples: "anneal datasets rm questions@1"))

    @Argument(help: ArgumentHelp("Ids, NAME@VERSION or NAME.", valueName: "dataset"))
    var datasets: [String]

    @Flag(help: "Delete also what jobs that have ended made or used.")
    var force = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        for dataset in datasets {
            _ = try client.send("DELETE", ["v1", "datasets", dataset], query: force ? [("force", "true")] : [])
            if !shared.json { Output.write("\(dataset): deleted\n") }
        }
    }
}
