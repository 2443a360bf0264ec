import JSON

/// Leaves out records that share runs of words with the questions of benchmarks.
public struct Decontamination: Sendable, Equatable {
    /// A dataset that training data must not hold.
    public struct Benchmark: Sendable, Equatable {
        public var name: String
        public var path: String
        public init(name: String, path: String) { (self.name, self.path) = (name, path) }
    }

    public var benchmarks: [Benchmark]
    /// Words of one run.
    public var ngram = 13
    /// The share of a record's runs that must be known for it to be left out; 0 for a single one.
    public var threshold = 0.0
    /// The members of a record that are looked at; empty for what asks: `problem`, `question`, `input`, `prompt` or the user's turns.
    public var keys: [String] = []
    /// The same for the benchmarks.
    public var benchmarkKeys: [String] = []
    /// Whether records are only marked, with `contaminated`, and not left out.
    public var marks = false

    public init(benchmarks: [Benchmark]) { self.benchmarks = benchmarks }
}

extension PreparedRecord {
    /// The texts that ask, or those at `keys`.
    func questionTexts(_ keys: [String]) -> [String] {
        if !keys.isEmpty { return keys.compactMap { member($0)?.plainText } }
        for key in ["problem", "question", "input", "prompt"] {
            if let text = value[key]?.string { return [text] }
            if let turns = value[key]?.array { return Self.userTexts(turns) }
        }
        if let turns = value["messages"]?.array { return Self.userTexts(turns) }
        return value["jcqa_data"]?["question"]?.string.map { [$0] } ?? []
    }

    private static func userTexts(_ turns: [JSONValue]) -> [String] {
        turns.filter { $0["role"] == "user" }.compactMap { $0["content"]?.string }
    }
}

/// Compares one record after the other with the benchmarks' runs of words.
final class Decontaminator: RecordTransform {
    /// Findings that the report tells in full.
    private static let findingsMax = 10_000

    private struct Place {
        var benchmark: Int32
        var line: Int32
    }

    private let settings: Decontamination
    /// Where each run stands in the benchmarks; the first place of each.
    private var places: [UInt64: Place] = [:]
    private var items: [Int]
    private var hits: [Int]
    private var hitItems: [Set<Int32>]
    private var findings: [JSONValue] = []
    private var found = 0
    private var looked = 0
    private var withoutText = 0

    init(_ settings: Decontamination) throws {
        self.settings = settings
        items = Array(repeating: 0, count: settings.benchmarks.count)
        hits = items
        hitItems = Array(repeating: [], count: settings.benchmarks.count)
        for (number, benchmark) in settings.benchmarks.enumerated() { try read(benchmark, number) }
    }

    private func read(_ benchmark: Decontamination.Benchmark, _ number: Int) throws {
        _ = try RecordLoader(path: benchmark.path, mode: .standard).load(onEvent: { event in
            switch event {
            case .issue(let issue): throw DatasetError(.badData, "benchmark '\(benchmark.name)': \(issue)", issues: [issue])
            case .record(let value, let line):
                let texts = PreparedRecord(value: value, line: line).questionTexts(settings.benchmarkKeys)
                guard !texts.isEmpty else {
                    throw DatasetError(
                        .badData, "benchmark '\(benchmark.name)': line \(line): no question; name its key with 'benchmark_keys'")
                }
                items[number] += 1
                for run in texts.flatMap(runs) where places[run] == nil {
                    places[run] = Place(benchmark: Int32(number), line: Int32(clamping: line))
                }
            }
        })
        guard items[number] > 0 else { throw DatasetError(.badData, "benchmark '\(benchmark.name)' holds no questions") }
    }

    /// A text shorter than a run counts as one run of its own length, so that short questions are found when they are equal.
    private func runs(_ text: String) -> [UInt64] {
        TextTokens.ngrams(of: TextTokens.hashes(of: text), length: settings.ngram)
    }

    func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        looked += 1
        let texts = record.questionTexts(settings.keys)
        if texts.isEmpty { withoutText += 1 }
        let runs = texts.flatMap(runs)
        let known = runs.compactMap { places[$0] }
        let share = Double(known.count) / Double(max(1, runs.count))
        let isContaminated = !known.isEmpty && share >= settings.threshold
        if isContaminated, let first = known.first { note(record, first, known.count, runs.count) }
        if settings.marks, case .object(var members) = record.value {
            members["contaminated"] = .bool(isContaminated)
            if isContaminated { report.note("contaminated") }
            return try next(record.replacing(members))
        }
        if isContaminated { report.drop("contaminated") } else { try next(record) }
    }

    private func note(_ record: PreparedRecord, _ place: Place, _ known: Int, _ all: Int) {
        found += 1
        let benchmark = Int(place.benchmark)
        hits[benchmark] += 1
        hitItems[benchmark].insert(place.line)
        guard findings.count < Self.findingsMax else { return }
        let text = record.questionTexts(settings.keys).first ?? ""
        findings.append([
            "line": .int(Int64(record.line)), "benchmark": .string(settings.benchmarks[benchmark].name),
            "benchmark_line": .int(Int64(place.line)), "shared_runs": .int(Int64(known)), "runs": .int(Int64(all)),
            "text": .string(String(text.prefix(300))),
        ])
    }

    /// What was compared and what was found.
    var document: JSONObject {
        let benchmarks = settings.benchmarks.enumerated().map { number, benchmark -> JSONValue in
            [
                "name": .string(benchmark.name), "items": .int(Int64(items[number])), "contaminated_records": .int(Int64(hits[number])),
                "items_found": .int(Int64(hitItems[number].count)),
            ]
        }
        return [
            "ngram": .int(Int64(settings.ngram)), "threshold": .double(settings.threshold), "records": .int(Int64(looked)),
            "records_without_question": .int(Int64(withoutText)), "contaminated": .int(Int64(found)),
            "benchmarks": .array(benchmarks), "findings": .array(findings),
            "findings_left_out": .int(Int64(found - findings.count)),
        ]
    }
}
