import Domain
import JSON
import Service
import Store

/// The body of a batch of points: `{"points": [{"key", "step", "time", "value"}, …]}`, or columns, which are smaller and quicker to read:
/// `{"series": [{"key": "train/loss", "steps": […], "times": […], "values": […]}, …]}`.
///
/// Times are seconds since 1970 and may be left out or null. All of a batch is taken or none; every error says where it is.
enum PointBatch {
    static func parse(_ bytes: [UInt8], receivedAt moment: Timestamp) throws -> [MetricPoint] {
        let document: JSONValue
        do {
            document = try JSONParser.parse(bytes, options: .python)
        } catch {
            throw ServiceError(.badRequest, "the body is not JSON: \(error)")
        }
        let members = try self.members(document, ["points", "series"], "")
        var points: [MetricPoint] = []
        for (index, item) in try (members["points"].map { try list($0, "/points") } ?? []).enumerated() {
            let place = "/points/\(index)"
            let point = try self.members(item, ["key", "step", "time", "value"], place)
            points.append(
                MetricPoint(
                    key: try key(point["key"], place), step: try step(point["step"], place), at: try time(point["time"], place) ?? moment,
                    value: try value(point["value"], place)))
        }
        for (index, item) in try (members["series"].map { try list($0, "/series") } ?? []).enumerated() {
            let place = "/series/\(index)"
            points += try series(try self.members(item, ["key", "steps", "times", "values"], place), place, moment)
        }
        guard points.count <= ServiceLimits.pointsPerBatchMax else {
            throw ServiceError(.tooLarge, "a batch may hold \(ServiceLimits.pointsPerBatchMax) points, not \(points.count)")
        }
        return points
    }

    private static func series(_ series: JSONObject, _ place: String, _ moment: Timestamp) throws -> [MetricPoint] {
        let key = try key(series["key"], place)
        let steps = try list(series["steps"], place + "/steps")
        let times = try series["times"].map { $0 == .null ? [] : try list($0, place + "/times") } ?? []
        let values = try list(series["values"], place + "/values")
        guard steps.count == values.count, times.isEmpty || times.count == values.count else {
            throw invalid(
                place, "'steps', 'times' and 'values' must be equally long; they have \(steps.count), \(times.count) and \(values.count)")
        }
        var points: [MetricPoint] = []
        points.reserveCapacity(values.count)
        for index in values.indices {
            points.append(
                MetricPoint(
                    key: key, step: try step(steps[index], place), at: try times.isEmpty ? moment : time(times[index], place) ?? moment,
                    value: try value(values[index], place)))
        }
        return points
    }

    /// The members of an object; one that nobody reads is a slip.
    private static func members(_ value: JSONValue, _ known: [String], _ place: String) throws -> JSONObject {
        guard let members = value.object else { throw invalid(place, "must be an object with \(known.joined(separator: ", "))") }
        if let unknown = members.keys.first(where: { !known.contains($0) }) {
            throw invalid(place + "/" + unknown, "is not known; known are: \(known.joined(separator: ", "))")
        }
        return members
    }

    private static func list(_ value: JSONValue?, _ place: String) throws -> [JSONValue] {
        guard let items = value?.array else { throw invalid(place, "must be a list") }
        return items
    }

    private static func key(_ value: JSONValue?, _ place: String) throws -> String {
        guard let key = value?.string, TrackingLimits.isKey(key) else {
            throw invalid(place, "'key' must be 1 to \(TrackingLimits.keyLengthMax) printable characters")
        }
        return key
    }

    private static func step(_ value: JSONValue?, _ place: String) throws -> Int {
        guard let step = value?.int, (0...TrackingLimits.stepMax).contains(step) else {
            throw invalid(place, "'step' must be a whole number from 0 to \(TrackingLimits.stepMax)")
        }
        return step
    }

    private static func time(_ value: JSONValue?, _ place: String) throws -> Timestamp? {
        guard let value, value != .null else { return nil }
        guard let seconds = value.double, (0..<1e11).contains(seconds) else { throw invalid(place, "'time' must be seconds since 1970") }
        return Timestamp(seconds: seconds)
    }

    private static func value(_ value: JSONValue?, _ place: String) throws -> Double {
        switch value {
        case .string("NaN"): return .nan
        case .string("Infinity"): return .infinity
        case .string("-Infinity"): return -.infinity
        case .int, .double, .bigInteger: if let number = value?.double { return number }
        default: break
        }
        throw invalid(place, "'value' must be a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    private static func invalid(_ place: String, _ why: String) -> ServiceError {
        ServiceError(.badRequest, "\(place.isEmpty ? "the body" : place) \(why)", errors: [.init(pointer: place, detail: why)])
    }
}
