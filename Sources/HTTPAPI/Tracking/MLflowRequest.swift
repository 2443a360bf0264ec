import Domain
import EventLoop
import HTTPServer
import JSON
import Service
import Store

/// The fields of a request of MLflow's REST API: of the query string for GET, of a JSON body for POST.
struct MLflowRequest: Sendable {
    private let fields: JSONObject
    private let lists: [String: [String]]

    @LoopActor
    init(_ call: Call) async throws {
        if call.request.method == .get {
            var fields = JSONObject()
            var lists: [String: [String]] = [:]
            for (name, value) in call.request.query {
                fields[name] = .string(value)
                lists[name, default: []].append(value)
            }
            self.fields = fields
            self.lists = lists
            return
        }
        let bytes = try await call.body(upTo: ServiceLimits.trackingRequestBytesMax)
        lists = [:]
        if bytes.isEmpty {
            fields = [:]
            return
        }
        // What is no JSON and what is no object are told alike, as by MLflow.
        guard case .object(let members)? = try? JSONParser.parse(bytes, options: .python) else {
            throw ServiceError(.badRequest, "the body is not a JSON object")
        }
        fields = members
    }

    subscript(name: String) -> JSONValue? {
        if case .null? = fields[name] { return nil }
        return fields[name]
    }

    func text(_ name: String) throws -> String? {
        switch self[name] {
        case nil: return nil
        case .string(let text): return text
        case .int, .double, .bool: return self[name]?.description
        default: throw ServiceError(.badRequest, "Invalid value for parameter '\(name)' supplied: it must be a string")
        }
    }

    func required(_ name: String) throws -> String {
        guard let text = try text(name), !text.isEmpty else {
            throw ServiceError(.badRequest, "Missing value for required parameter '\(name)'")
        }
        return text
    }

    /// A number, which 64-bit clients may write as a text.
    func integer(_ name: String) throws -> Int? {
        guard let value = self[name] else { return nil }
        guard let number = value.int ?? value.string.flatMap({ Int($0) }) else {
            throw ServiceError(.badRequest, "Invalid value for parameter '\(name)' supplied: it must be a whole number")
        }
        return number
    }

    /// A list of texts, or a single one.
    func texts(_ name: String) throws -> [String] {
        if let list = lists[name] { return list }
        switch self[name] {
        case nil: return []
        case .string(let text): return [text]
        case .array(let items): return items.compactMap(\.string)
        default: throw ServiceError(.badRequest, "Invalid value for parameter '\(name)' supplied: it must be a list")
        }
    }

    func objects(_ name: String, max: Int) throws -> [JSONValue] {
        guard let value = self[name] else { return [] }
        guard let items = value.array else {
            throw ServiceError(.badRequest, "Invalid value for parameter '\(name)' supplied: it must be a list")
        }
        guard items.count <= max else {
            throw ServiceError(
                .badRequest, "A batch logging request can contain at most \(max) \(name). Got \(items.count). Please split it up.")
        }
        return items
    }

    /// The run that is meant; older clients say `run_uuid`.
    func run() throws -> String {
        if let id = try text("run_id"), !id.isEmpty { return id }
        return try required("run_uuid")
    }

    /// A point. Times are milliseconds; NaN and infinities come as texts.
    static func point(_ fields: (String) -> JSONValue?) throws -> MetricPoint {
        func number(_ name: String) -> Int? { fields(name).flatMap { $0.int ?? $0.string.flatMap { Int($0) } } }
        guard let key = fields("key")?.string else { throw ServiceError(.badRequest, "Missing value for required parameter 'key'") }
        guard TrackingLimits.isKey(key) else {
            throw ServiceError(
                .badRequest,
                "Metric name of \(key.unicodeScalars.count) characters is not 1 to \(TrackingLimits.keyLengthMax) printable characters")
        }
        let value: Double? =
            switch fields("value") {
            case .string("NaN"), .string("nan"): .nan
            case .string("Infinity"), .string("inf"): .infinity
            case .string("-Infinity"), .string("-inf"): -.infinity
            case .string(let text): Double(text)
            case let other: other?.double
            }
        guard let value else {
            throw ServiceError(.badRequest, "Got invalid value for metric '\(key)'. Please specify value as a valid double")
        }
        guard let time = number("timestamp"), time >= 0 else {
            throw ServiceError(.badRequest, "Got invalid timestamp for metric '\(key)' (timestamp must be a nonnegative long)")
        }
        let step = number("step") ?? 0
        guard (0...TrackingLimits.stepMax).contains(step) else {
            throw ServiceError(.badRequest, "Got invalid step \(step) for metric '\(key)'; steps are from 0 to \(TrackingLimits.stepMax)")
        }
        return MetricPoint(key: key, step: step, at: Timestamp(milliseconds: Int64(time)), value: value)
    }

    /// A parameter or a tag.
    static func pair(_ fields: (String) -> JSONValue?, valueMax: Int) throws -> (key: String, value: String) {
        guard let key = fields("key")?.string, !key.isEmpty else {
            throw ServiceError(.badRequest, "Missing value for required parameter 'key'")
        }
        guard key.count <= TrackingLimits.keyLengthMax else {
            throw ServiceError(
                .badRequest, "Key of \(key.count) characters had length greater than the limit of \(TrackingLimits.keyLengthMax)")
        }
        let value = fields("value").map { $0.string ?? $0.description } ?? ""
        guard value.count <= valueMax else {
            throw ServiceError(.badRequest, "The value of '\(key)' has \(value.count) characters, which exceeds the limit of \(valueMax)")
        }
        return (key, value)
    }
}

/// Bounds on what tracking clients send (mlflow/utils/validation.py).
enum TrackingLimits {
    static let metricsPerBatchMax = 1000
    static let paramsPerBatchMax = 100
    static let tagsPerBatchMax = 100
    static let itemsPerBatchMax = 1000
    static let keyLengthMax = 250
    static let paramLengthMax = 6000
    static let tagLengthMax = 8000
    static let stepMax = 1 << 53
    /// Points of one page of a metric's history.
    static let historyPageMax = 25_000
    /// Runs of one page of a search.
    static let searchPageMax = 50_000

    /// Whether a metric may have this name.
    static func isKey(_ text: String) -> Bool {
        (1...keyLengthMax).contains(text.unicodeScalars.count) && !text.utf8.contains { $0 < 0x20 || $0 == 0x7F }
    }
}
