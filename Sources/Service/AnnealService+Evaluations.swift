import APITypes
import Domain
import Evaluation
import JSON
import Store

// What an evaluation found item by item, and how two of them compare.
extension AnnealService {
    /// The items of an evaluation in the order of its benchmarks, in pages; `after` is the number of items seen.
    public func evaluationItems(_ id: String, page: PageRequest) async throws -> APITypes.Page<JSONValue> {
        let record = try await evaluationRecord(id)
        let after = page.after ?? "0"
        guard after.utf8.allSatisfy({ (48...57).contains($0) }), let start = Int(after) else {
            throw ServiceError(.badRequest, "query parameter 'after': must be the 'next' of an earlier page")
        }
        let files = try Self.document(of: record).benchmarks.map { ($0.name, $0.itemsPath) }
        return try await reading.run {
            var items: [JSONValue] = []
            for (benchmark, path) in files where items.count <= start + page.limit {
                items += try Self.items(of: benchmark, path: path, upTo: start + page.limit + 1 - items.count)
            }
            let end = min(items.count, start + page.limit)
            let hasMore = items.count > end
            return APITypes.Page(data: Array(items[min(start, end)..<end]), hasMore: hasMore, next: hasMore ? String(end) : nil)
        }
    }

    private nonisolated static func document(of record: EvaluationRecord) throws -> EvaluationDocument {
        do throws(EvaluationDocument.FormatError) {
            return try EvaluationDocument(json: record.document)
        } catch {
            throw ServiceError(.conflict, "the evaluation '\(record.id)' has no items to show: \(error)")
        }
    }

    private nonisolated static func items(of benchmark: String, path: String, upTo limit: Int) throws -> [JSONValue] {
        guard let bytes = try Folders.tail(of: path, limit: ServiceLimits.itemsBytesMax) else { return [] }
        return bytes.split(separator: UInt8(ascii: "\n")).prefix(limit).compactMap { line in
            // A line that is no object was not written by a worker of this version and is left out.
            guard case .object(var members)? = try? JSONParser.parse(line, options: .python) else { return nil }
            members["benchmark"] = .string(benchmark)
            return .object(members)
        }
    }

    /// Paired differences of two evaluations, benchmark by benchmark.
    public func compare(base: String, candidate: String) async throws -> CompareView {
        let (left, right) = (try await evaluationRecord(base), try await evaluationRecord(candidate))
        let comparison = EvaluationComparison(base: try Self.document(of: left), candidate: try Self.document(of: right))
        return CompareView(base: base, candidate: candidate, benchmarks: ComparisonRendering.rows(["rows": comparison.json]))
    }
}

/// Comparisons as the API shows them.
enum ComparisonRendering {
    /// - Parameter document: `{"rows": [...]}` as the worker and the library write them.
    static func rows(_ document: JSONValue) -> [BenchmarkComparison] {
        (document["rows"]?.array ?? []).map { row in
            let accuracy = row["metrics"]?["accuracy"]
            return BenchmarkComparison(
                name: row["name"]?.string ?? "", metric: "accuracy", base: row["base"]?.double ?? accuracy?["base"]?.double,
                candidate: row["candidate"]?.double ?? accuracy?["candidate"]?.double,
                difference: row["difference"]?.double ?? accuracy?["difference"]?.double, ciLow: row["ci95"]?[0]?.double,
                ciHigh: row["ci95"]?[1]?.double, pValue: row["p_value"]?.double, items: row["items"]?.int ?? 0,
                improved: row["up"]?.int ?? 0, regressed: row["down"]?.int ?? 0)
        }
    }
}
