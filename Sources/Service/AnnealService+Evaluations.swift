import APITypes
import Domain
import Evaluation
import JSON
import Store

// What an evaluation found item by item, and how two of them compare.
extension AnnealService {
    /// The items of an evaluation in the order of its benchmarks, in pages; `after` is the number of items looked at.
    public func evaluationItems(_ id: String, benchmark: String?, onlyWrong: Bool, page: PageRequest) async throws
        -> APITypes.Page<JSONValue>
    {
        let document = try Self.document(of: try await evaluationRecord(id))
        if let benchmark, document.benchmark(benchmark) == nil {
            let known = document.benchmarks.map(\.name).joined(separator: ", ")
            throw ServiceError(.notFound, "query parameter 'benchmark': the evaluation has no '\(benchmark)'; it has: \(known)")
        }
        let start = try Self.start(of: page)
        let files = document.benchmarks.map { (benchmark: $0.name, path: $0.itemsPath) }
        let filter = EvaluationItems.Filter(benchmark: benchmark, onlyWrong: onlyWrong)
        return try await reading.run {
            let part = try EvaluationItems.page(of: files, from: start, limit: page.limit, filter)
            return APITypes.Page(data: part.items, hasMore: part.hasMore, next: part.hasMore ? String(part.end) : nil)
        }
    }

    private nonisolated static func start(of page: PageRequest) throws -> Int {
        let after = page.after ?? "0"
        guard after.utf8.allSatisfy({ (48...57).contains($0) }), let start = Int(after) else {
            throw ServiceError(.badRequest, "query parameter 'after': must be the 'next' of an earlier page")
        }
        return start
    }

    private nonisolated static func document(of record: EvaluationRecord) throws -> EvaluationDocument {
        do throws(EvaluationDocument.FormatError) {
            return try EvaluationDocument(json: record.document)
        } catch {
            throw ServiceError(.conflict, "the evaluation '\(record.id)' has no items to show: \(error)")
        }
    }

    /// Paired differences of two evaluations, benchmark by benchmark and task by task.
    public func compare(base: String, candidate: String) async throws -> CompareView {
        let (left, right) = (try await evaluationRecord(base), try await evaluationRecord(candidate))
        let comparison = EvaluationComparison(base: try Self.document(of: left), candidate: try Self.document(of: right))
        return ComparisonRendering.view(base: base, candidate: candidate, rows: comparison.json)
    }

    /// The items that one of two evaluations got right and the other did not, in pages; `after` is the number of those seen.
    public func flippedItems(base: String, candidate: String, benchmark: String?, page: PageRequest) async throws -> FlippedItemPage {
        let (left, right) = (try await evaluationRecord(base), try await evaluationRecord(candidate))
        let (old, new) = (try Self.document(of: left), try Self.document(of: right))
        let flips = EvaluationComparison.flips(base: old, candidate: new).filter { benchmark == nil || $0.benchmark == benchmark }
        let start = min(try Self.start(of: page), flips.count)
        let shown = Array(flips[start..<min(flips.count, start + page.limit)])
        let data = try await reading.run { try FlippedItems.views(of: shown, base: old, candidate: new) }
        let end = start + shown.count
        return FlippedItemPage(
            data: data, total: flips.count, hasMore: end < flips.count, next: end < flips.count ? String(end) : nil)
    }
}

/// Items that flipped, with their questions and answers.
private enum FlippedItems {
    /// Blocks: reads the files of both evaluations.
    static func views(of flips: [EvaluationComparison.Flip], base: EvaluationDocument, candidate: EvaluationDocument) throws
        -> [FlippedItemView]
    {
        var views: [FlippedItemView] = []
        for (name, places) in Dictionary(grouping: flips, by: \.benchmark) {
            let items = Set(places.map(\.item))
            let old = try base.benchmark(name).map { try EvaluationItems.items(at: items, of: $0.itemsPath) } ?? [:]
            let new = try candidate.benchmark(name).map { try EvaluationItems.items(at: items, of: $0.itemsPath) } ?? [:]
            for flip in places { views.append(view(of: flip, old[flip.item] ?? [:], new[flip.item] ?? [:])) }
        }
        let order = Dictionary(
            flips.enumerated().map { (Place(benchmark: $1.benchmark, item: $1.item), $0) }, uniquingKeysWith: { first, _ in first })
        return views.sorted {
            (order[Place(benchmark: $0.benchmark, item: $0.item)] ?? 0) < (order[Place(benchmark: $1.benchmark, item: $1.item)] ?? 0)
        }
    }

    private struct Place: Hashable {
        var benchmark: String
        var item: Int
    }

    private static func view(of flip: EvaluationComparison.Flip, _ old: JSONObject, _ new: JSONObject) -> FlippedItemView {
        let content = new["messages"]?.array?.last?["content"]
        return FlippedItemView(
            benchmark: flip.benchmark, item: flip.item, task: flip.task,
            direction: (flip.isImprovement ? EvaluationComparison.Verdict.improvement : .regression).rawValue,
            question: content?.string ?? content?.text() ?? "", expected: new["expected"]?.string ?? "",
            base: FlippedAnswersView(score: flip.base, answers: answers(old)),
            candidate: FlippedAnswersView(score: flip.candidate, answers: answers(new)))
    }

    private static func answers(_ item: JSONObject) -> [String?] { (item["samples"]?.array ?? []).map { $0["answer"]?.string } }
}

/// Comparisons as the API shows them.
enum ComparisonRendering {
    /// - Parameter rows: an array with an entry for each benchmark, as the worker and the library write it.
    static func view(base: String, candidate: String, rows: JSONValue) -> CompareView {
        let benchmarks = (rows.array ?? []).map(row)
        let regression = EvaluationComparison.Verdict.regression.rawValue
        let regressions = benchmarks.flatMap { benchmark in
            (benchmark.verdict == regression ? [benchmark.name] : [])
                + benchmark.tasks.filter { $0.verdict == regression }.map { "\(benchmark.name)/\($0.name)" }
        }
        return CompareView(base: base, candidate: candidate, regressions: regressions, benchmarks: benchmarks)
    }

    private static func row(_ row: JSONValue) -> BenchmarkComparison {
        let accuracy = row["metrics"]?["accuracy"]
        var view = BenchmarkComparison(
            name: row["name"]?.string ?? "", metric: "accuracy", base: row["base"]?.double ?? accuracy?["base"]?.double,
            candidate: row["candidate"]?.double ?? accuracy?["candidate"]?.double,
            difference: row["difference"]?.double ?? accuracy?["difference"]?.double, ciLow: row["ci95"]?[0]?.double,
            ciHigh: row["ci95"]?[1]?.double, pValue: row["p_value"]?.double, items: row["items"]?.int ?? 0,
            improved: row["up"]?.int ?? 0, regressed: row["down"]?.int ?? 0)
        view.pAdjusted = row["p_adjusted"]?.double
        view.verdict = row["verdict"]?.string
        view.notPaired = row["not_paired"]?.string
        view.flippedUp = row["flipped_up"]?.int ?? 0
        view.flippedDown = row["flipped_down"]?.int ?? 0
        view.tasks = (row["tasks"]?.array ?? []).map(self.row)
        return view
    }
}
