import Glibc
import JSON

/// One run of a preparation.
final class PreparationPipeline {
    private let preparation: Preparation
    private let context: PreparationContext
    private var flow: any RecordFlow
    /// The format of the records at this point; `nil` where they must be looked at. Known when they have been read.
    private var format: () -> DatasetFormat? = { nil }
    /// The files of `command` steps, which go when the work ends.
    private var temporaryPaths: [String] = []

    init(_ preparation: Preparation, context: PreparationContext) {
        (self.preparation, self.context) = (preparation, context)
        flow = GeneratedRecords(.timesTen(TimesTenGenerator(count: 0)))
    }

    deinit { for path in temporaryPaths { unlink(path) } }

    func run() throws -> [Preparation.Output] {
        try open()
        var rest = preparation.steps[...]
        while let step = rest.popFirst() {
            let report = StepReport(position: context.reports.count + 1, name: step.name)
            context.reports.append(report)
            try apply(step, isBeforeConversion: rest.first == .convertJCQA, report: report)
        }
        return try write()
    }

    // MARK: Source

    private func open() throws {
        switch preparation.source {
        case .generator(let generator):
            flow = GeneratedRecords(generator)
            format = { generator.format }
            context.recordsRead = generator.count
            context.log("generated \(generator.count) records in format \(generator.format.rawValue)")
            try context.advance(done: generator.count, total: generator.count)
        case .files(let paths):
            let records = files(paths)
            flow = records
            format = { records.format }
        case .interleave(let interleaving):
            try open(interleaving)
        }
    }

    private func files(_ paths: [String]) -> FileRecords {
        let isQuestions = preparation.steps.contains(where: \.isJCQA)
        return FileRecords(
            paths, format: isQuestions ? .jcqa : preparation.format, isOriginal: preparation.isOriginal,
            acceptsAny: preparation.steps.contains(where: \.takesAnyRecord), context: context)
    }

    private func open(_ interleaving: Interleaving) throws {
        let source = files(interleaving.parts.flatMap(\.paths))
        let parts = interleaving.parts.enumerated().flatMap { number, part in part.paths.map { _ in number } }
        var counts = [Int](repeating: 0, count: interleaving.parts.count)
        var part = 0
        source.onFile = { part = parts[$0] }
        let records = SpooledRecords(spool: context.makeSpool())
        try source.drain { record in
            counts[part] += 1
            try records.append(record)
        }
        source.onFile = { _ in }
        let order = interleaving.order(counts: counts)
        context.log("interleaved \(counts.map(String.init).joined(separator: " + ")) records into \(order.count)")
        flow = records.selecting(order)
        format = { source.format }
    }

    // MARK: Steps

    private func apply(_ step: PreparationStep, isBeforeConversion: Bool, report: StepReport) throws {
        switch step {
        case .rebalanceJCQA(let seed):
            let records = try questions(isCompact: isBeforeConversion)
            try records.rebalance(seed: seed, isOriginal: preparation.isOriginal, log: context.log)
            passed(records, report)
        case .convertJCQA: try convertQuestions(report)
        case .toMessages(let system):
            transform(MessageConversion(system: system), report)
            format = { nil }
        case .shuffle(let seed):
            try reorder(report) { count in
                var random = MersenneTwister(seed: seed, stream: RandomStream.shuffle)
                var order = Array(0..<count)
                random.shuffle(&order)
                return order
            }
        case .sample(let count, let seed): try sample(count, seed: seed, report)
        case .split: break  // The last step; `write` makes the parts.
        case .correctness(let selection): transform(selection, report)
        case .filters(let filters): transform(try SolutionFiltering(filters), report)
        case .dedupe(let deduplication): transform(deduplication.transform(), report)
        case .downsample(let downsampling): try downsample(downsampling, report)
        case .codeText(let filter): try filterCode(filter, report)
        case .render(let rendering): try render(rendering, report)
        case .extractProblems(let extraction): try extract(extraction, report)
        case .preferencePairs(let pairing):
            flow = try PairedRecords(flow, pairing, report: report, context: context)
            format = { .preference }
        case .passRate(let selection): try selectByPassRate(selection, report)
        case .curriculum(let curriculum): try order(curriculum, report)
        case .reasoningToggle(let toggle):
            transform(ReasoningToggling(toggle), report)
            format = { nil }
        case .decontaminate(let settings): try decontaminate(settings, report)
        case .command(let program): try run(program, report)
        }
    }

    private func transform(
        _ transform: any RecordTransform, _ report: StepReport, finished: @escaping (StepReport) throws -> Void = { _ in }
    ) {
        flow = TransformedRecords(flow, transform, report: report, bad: context.bad) { [context] report in
            try finished(report)
            context.log(Self.line(report.counts))
        }
    }

    private func passed(_ records: any RecordCollection, _ report: StepReport) {
        flow = records
        (report.counts.recordsIn, report.counts.recordsOut) = (records.count, records.count)
    }

    private func collected() throws -> any RecordCollection { try flow.collected(spool: context.makeSpool()) }

    private func reorder(_ report: StepReport, _ order: (Int) throws -> [Int]) throws {
        let records = try collected()
        let kept = try order(records.count)
        flow = records.selecting(kept)
        (report.counts.recordsIn, report.counts.recordsOut) = (records.count, kept.count)
    }

    private func questions(isCompact: Bool) throws -> QuestionRecords {
        if let known = flow as? QuestionRecords { return known }
        let records = QuestionRecords(spool: context.makeSpool())
        if let source = flow as? FileRecords {
            try source.drain(into: records, isCompact: isCompact)
        } else {
            try flow.drain { try records.append($0) }
        }
        return records
    }

    private func convertQuestions(_ report: StepReport) throws {
        let records = try questions(isCompact: true)
        try records.convert()
        passed(records, report)
        format = { .messages }
        context.log("converted \(records.count) records to messages")
        context.log("converted: \(records.count) records, labels \(try records.labelCounts())")
    }

    private func sample(_ count: Int, seed: Int, _ report: StepReport) throws {
        try reorder(report) { available in
            guard count <= available else {
                throw DatasetError(.badData, "the step 'sample' asks for \(count) records; there are \(available)")
            }
            var random = MersenneTwister(seed: seed, stream: RandomStream.sample)
            var order = Array(0..<available)
            random.shuffle(&order)
            report.drop("not_drawn", available - count)
            return order.prefix(count).sorted()
        }
        context.log("sampled \(count) records")
    }

    private func downsample(_ downsampling: Downsampling, _ report: StepReport) throws {
        let keys = downsampling.method == .fair ? [downsampling.groupBy] : []
        let (records, groups) = try RecordGroups.collect(flow, by: keys, report: report, context: context)
        // `math_sft` without a number of samples only groups and shuffles.
        if records.count < downsampling.count, downsampling.count < Int.max {
            context.log("warning: downsample asks for \(downsampling.count) records; all \(records.count) are kept")
        }
        choose(downsampling.order(groups: groups.members), from: records, dropping: "not_drawn", report)
    }

    private func choose(_ order: [Int], from records: any RecordCollection, dropping reason: String, _ report: StepReport) {
        flow = records.selecting(order)
        report.counts.recordsOut = order.count
        if order.count < records.count { report.drop(reason, records.count - order.count) }
        context.log(Self.line(report.counts))
    }

    private func filterCode(_ filter: CodeTextFilter, _ report: StepReport) throws {
        var hasCode: [Bool] = []
        let (records, groups) = try RecordGroups.collect(flow, by: [filter.inputKey], report: report, context: context) {
            hasCode.append(try $0.text(filter.outputKey).containsBytes(filter.marker))
        }
        choose(filter.order(groups: groups.members, hasCode: hasCode), from: records, dropping: "other_kind", report)
    }

    private func render(_ rendering: PromptRendering, _ report: StepReport) throws {
        transform(try PromptRenderer(rendering), report)
        switch rendering.target {
        case .messages: format = { .messages }
        case .inputOutput: format = { .inputOutput }
        case .prompt: format = { .records }
        }
    }

    private func extract(_ extraction: ProblemExtraction, _ report: StepReport) throws {
        let dropped = try DatasetWriter(path: "\(context.folder)/dropped-\(report.counts.position).jsonl")
        transform(ProblemExtractor(extraction, dropped: dropped), report) { [context] report in
            context.files.append(.init(name: "dropped", step: report.counts.position, file: try dropped.finish()))
        }
        format = { .records }
    }

    private func selectByPassRate(_ selection: PassRateSelection, _ report: StepReport) throws {
        if let key = selection.rateKey { return transform(GivenPassRateSelection(selection: selection, key: key), report) }
        flow = try PassRateRecords(flow, selection, report: report, context: context)
    }

    private func order(_ curriculum: Curriculum, _ report: StepReport) throws {
        var rates: [Double] = []
        let (records, _) = try RecordGroups.collect(flow, by: [], report: report, context: context) {
            rates.append(try $0.passRate(curriculum.rateKey))
        }
        choose(curriculum.order(rates: rates), from: records, dropping: "beyond_the_last_batch", report)
    }

    private func decontaminate(_ settings: Decontamination, _ report: StepReport) throws {
        let decontaminator = try Decontaminator(settings)
        let path = "\(context.folder)/decontamination-\(report.counts.position).json"
        transform(decontaminator, report) { [context] _ in
            let writer = try DatasetWriter(path: path)
            try writer.append(line: JSONWriter(layout: .pretty).bytes(of: .object(decontaminator.document)))
            context.files.append(.init(name: "decontamination", step: report.counts.position, file: try writer.finish()))
        }
    }

    private func run(_ program: ProgramStep, _ report: StepReport) throws {
        let place = "\(context.folder)/.step-\(report.counts.position)"
        let run = ProgramRun(step: program, inputPath: place + "-input.jsonl", outputPath: place + "-output.jsonl")
        temporaryPaths += [run.inputPath, run.outputPath]
        let input = try DatasetWriter(path: run.inputPath)
        try each { write in
            report.counts.recordsIn += 1
            try input.append(line: write)
        }
        _ = try input.finish()
        let name = "step \(report.counts.position) (\(program.arguments.first ?? ""))"
        context.log("running \(name) on \(report.counts.recordsIn) records")
        try context.run(run)
        flow = ProgramOutput(path: run.outputPath, name: name, report: report) { [context] in context.log(Self.line(report.counts)) }
        format = { nil }
    }

    /// Hands out a writer of text for each record.
    private func each(_ body: ((inout [UInt8]) throws -> Void) throws -> Void) throws {
        if let records = flow as? any RecordCollection {
            for index in 0..<records.count {
                try context.tick()
                try body { try records.appendText(at: index, to: &$0) }
            }
            return
        }
        let writer = JSONWriter(layout: .python)
        try flow.drain { record in
            try context.tick()
            try body { writer.append(record.value, to: &$0) }
        }
    }

    private static func line(_ counts: StepCounts) -> String {
        var text = "\(counts.name): \(counts.recordsIn) records in, \(counts.recordsOut) out"
        if !counts.dropped.isEmpty {
            text += "; left out " + counts.dropped.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        }
        if !counts.others.isEmpty {
            text += "; " + counts.others.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        }
        return text
    }

    // MARK: Results

    private func write() throws -> [Preparation.Output] {
        guard case .split(let split)? = preparation.steps.last else { return [try writeOne()] }
        let records = try collected()
        let labels = try records.labels()
        let indexes =
            try preparation.isOriginal
            ? split.originalIndexes(count: records.count) : split.indexes(count: records.count, labels: labels)
        let parts = zip(split.parts, indexes).map { (name: $0.name, records: records.selecting($1)) }
        context.reports.last?.counts.recordsIn = records.count
        context.reports.last?.counts.recordsOut = parts.reduce(0) { $0 + $1.records.count }
        let left = records.count - parts.reduce(0) { $0 + $1.records.count }
        if left > 0 { context.reports.last?.drop("beyond_the_parts", left) }
        context.log("split: " + parts.map { "\($0.name) \($0.records.count)" }.joined(separator: ", "))
        for part in parts where labels != nil {
            context.log("\(part.name): \(part.records.count) records, labels \(try part.records.labelCounts())")
        }
        let format = try self.format() ?? foundFormat(records)
        let outputs = try parts.map { part in
            flow = part.records
            let writer = try DatasetWriter(path: "\(context.folder)/\(part.name).jsonl")
            try each { try writer.append(line: $0) }
            return Preparation.Output(name: part.name, format: format, file: try writer.finish())
        }
        for output in outputs { context.log("wrote \(output.file.rows) records to \(output.file.path)") }
        return outputs
    }

    private func foundFormat(_ records: any RecordCollection) throws -> DatasetFormat {
        var finder = FormatFinder()
        try records.drain { finder.look(at: $0.value) }
        return finder.format
    }

    private func writeOne() throws -> Preparation.Output {
        let writer = try DatasetWriter(path: context.folder + "/dataset.jsonl")
        var finder = FormatFinder()
        if let records = flow as? any RecordCollection {
            if format() == nil { try records.drain { finder.look(at: $0.value) } }
            try each { try writer.append(line: $0) }
        } else {
            let text = JSONWriter(layout: .python)
            try flow.drain { record in
                try context.tick()
                if format() == nil { finder.look(at: record.value) }
                try writer.append { text.append(record.value, to: &$0) }
            }
        }
        guard writer.rowCount > 0 else { throw emptyResult() }
        let file = try writer.finish()
        context.log("wrote \(file.rows) records to \(file.path)")
        return Preparation.Output(name: "dataset", format: format() ?? finder.format, file: file)
    }

    /// An empty dataset would only fail later, in training.
    private func emptyResult() -> DatasetError {
        let step = context.reports.map(\.counts).first { $0.recordsIn > 0 && $0.recordsOut == 0 }
        return DatasetError(.badData, "no record is left" + (step.map { "; \(Self.line($0))" } ?? ""))
    }
}

/// The format that all of some records have.
private struct FormatFinder {
    private var found: DatasetFormat?

    var format: DatasetFormat { found ?? .records }

    mutating func look(at record: JSONValue) {
        if found == nil {
            found = .records
            if let members = record.object, case .format(let known) = DatasetFormat.detect(in: members) { found = known }
        }
        if let known = found, known != .records, !known.problems(in: record).isEmpty { found = .records }
    }
}
