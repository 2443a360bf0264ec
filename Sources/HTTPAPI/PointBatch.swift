import Domain
import JSON
import Service
import Store

/// The body of a batch of points: `{"points": [{"key", "step", "time", "value"}, …]}`, or columns, which are smaller and quicker to read:
/// `{"series": [{"key": "train/loss", "steps": […], "times": […], "values": […]}, …]}`.
///
/// Times are seconds since 1970 and may be left out. All of a batch is taken or none; every error says where it is.
enum PointBatch {
    static func parse(_ bytes: [UInt8], receivedAt moment: Timestamp) throws -> [MetricPoint] {
        let document: JSONValue
        do {
            document = try JSONParser.parse(bytes, options: .python)
        } catch {
            throw ServiceError(.badRequest, "the body is not JSON: \(error)")
        }
        guard let members = document.object, members.allSatisfy({ $0.key == "points" || $0.key == "series" }) else {
            throw ServiceError(.badRequest, "the body must be an object with 'points' or 'series'")
        }
        var points: [MetricPoint] = []
        for (index, point) in try list(document["points"], "/points").enumerated() {
            let place = "/points/\(index)"
            points.append(
                MetricPoint(
                    key: try key(point["key"], place), step: try step(point["step"], place), at: try time(point["time"], place) ?? moment,
                    value: try value(point["value"], place)))
        }
        for (index, series) in try list(document["series"], "/series").enumerated() {
            points += try self.series(series, "/series/\(index)", moment)
        }
        guard points.count <= ServiceLimits.pointsPerBatchMax else {
            throw ServiceError(.tooLarge, "a batch may hold \(ServiceLimits.pointsPerBatchMax) points, not \(points.count)")
        }
        return points
    }

    private static func series(_ series: JSONValue, _ place: String, _ moment: Timestamp) throws -> [MetricPoint] {
        let key = try key(series["key"], place)
        let steps = try list(series["steps"], place + "/steps")
        let times = try list(series["times"], place + "/times")
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

    private static func list(_ value: JSONValue?, _ place: String) throws -> [JSONValue] {
        switch value {
        case nil, .null?: return []
        case .array(let items)?: return items
        default: throw invalid(place, "must be a list")
        }
    }

    private static func key(_ value: JSONValue?, _ place: String) throws -> String {
        guard let key = value?.string, (1...TrackingLimits.keyLengthMax).contains(key.utf8.count),
            !key.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else { throw invalid(place, "'key' must be 1 to \(TrackingLimits.keyLengthMax) bytes of printable text") }
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
        ServiceError(.badRequest, "\(place): \(why)", errors: [.init(pointer: place, detail: why)])
    }
}
