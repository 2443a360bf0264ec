import Domain
import JSON

/// Typed access to the members of a job's request, with errors that name the place.
///
/// The daemon has checked the request already; this guards against requests that came another way.
struct RequestFields {
    let members: JSONObject
    let pointer: JSONPointer

    init(_ value: JSONValue?, at pointer: JSONPointer) throws(WorkerFailure) {
        guard let members = value?.object else { throw .badRequest(pointer.description, "must be a map") }
        self.members = members
        self.pointer = pointer
    }

    func failure(_ key: String, _ detail: String) -> WorkerFailure { .badRequest((pointer / key).description, detail) }

    func has(_ key: String) -> Bool { members[key].map { !$0.isNull } ?? false }

    func string(_ key: String) throws(WorkerFailure) -> String? {
        guard has(key) else { return nil }
        guard let text = members[key]?.string else { throw failure(key, "must be a string") }
        return text
    }

    func required(_ key: String) throws(WorkerFailure) -> String {
        guard let text = try string(key) else { throw failure(key, "is missing") }
        return text
    }

    func strings(_ key: String) throws(WorkerFailure) -> [String] {
        guard has(key) else { return [] }
        if let text = members[key]?.string { return [text] }
        guard let list = members[key]?.array else { throw failure(key, "must be a string or a list of strings") }
        let texts = list.compactMap(\.string)
        guard texts.count == list.count else { throw failure(key, "must be a list of strings") }
        return texts
    }

    func int(_ key: String, in range: ClosedRange<Int> = Int.min...Int.max) throws(WorkerFailure) -> Int? {
        guard has(key) else { return nil }
        guard let number = members[key]?.int else { throw failure(key, "must be an integer") }
        guard range.contains(number) else { throw failure(key, "must be from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }

    func double(_ key: String, in range: ClosedRange<Double>) throws(WorkerFailure) -> Double? {
        guard has(key) else { return nil }
        guard let number = members[key]?.double else { throw failure(key, "must be a number") }
        guard range.contains(number) else { throw failure(key, "must be from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }

    /// A span such as `90s`, `30m`, `4h`, `1d`, or a number of seconds.
    func duration(_ key: String) throws(WorkerFailure) -> Duration? {
        guard has(key) else { return nil }
        if let seconds = members[key]?.double, seconds >= 0, seconds < 1e9 { return .seconds(seconds) }
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let text = members[key]?.string, let unit = text.last.flatMap({ units[$0] }), let count = Double(text.dropLast()),
            count >= 0, count < 1e6
        else { throw failure(key, "must be a span such as '90s', '30m', '4h', '1d', or a number of seconds") }
        return .seconds(count * unit)
    }

    func fields(_ key: String) throws(WorkerFailure) -> RequestFields { try RequestFields(members[key], at: pointer / key) }
}
