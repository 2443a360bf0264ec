import Datasets
import JSON

/// Reads the items of evaluations from their files, one item a line.
enum EvaluationItems {
    /// Stops a reader that has what it came for.
    private struct Enough: Error {}

    /// Which items are asked for.
    struct Filter: Sendable {
        /// The benchmark's name; `nil` for all.
        var benchmark: String?
        /// Only items that not all samples got right.
        var onlyWrong = false

        func takes(_ item: JSONObject) -> Bool { !onlyWrong || (item["score"]?.double ?? 0) < 1 }
    }

    /// A page of items.
    struct Part: Sendable {
        var items: [JSONValue] = []
        /// Items looked at up to the last one taken.
        var end: Int
        var hasMore = false
    }

    /// Items of several files as one list, from place `start` on. A file that is gone holds none.
    static func page(of files: [(benchmark: String, path: String)], from start: Int, limit: Int, _ filter: Filter) throws -> Part {
        var part = Part(end: start)
        var place = 0
        do {
            for (benchmark, path) in files where filter.benchmark == nil || filter.benchmark == benchmark {
                try lines(of: path) { bytes in
                    place += 1
                    guard place > start, var members = object(bytes), filter.takes(members) else { return }
                    guard part.items.count < limit else {
                        part.hasMore = true
                        throw Enough()
                    }
                    members["benchmark"] = .string(benchmark)
                    part.items.append(.object(members))
                    part.end = place
                }
            }
        } catch is Enough {}
        return part
    }

    /// The items at these places of a file, by place.
    static func items(at places: Set<Int>, of path: String) throws -> [Int: JSONObject] {
        var found: [Int: JSONObject] = [:]
        guard let last = places.max() else { return [:] }
        var place = 0
        do {
            try lines(of: path) { bytes in
                if places.contains(place) { found[place] = object(bytes) ?? [:] }
                place += 1
                if place > last { throw Enough() }
            }
        } catch is Enough {}
        return found
    }

    private static func lines(of path: String, _ take: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        do {
            try JSONLineReader(path: path).read { line in if !line.isBlank { try take(line.bytes) } }
        } catch let error as FileError where error.isMissing {}
    }

    /// A line that is no object was not written by a worker of this version and is left out.
    private static func object(_ line: UnsafeBufferPointer<UInt8>) -> JSONObject? {
        (try? JSONParser.parse(line, options: .python))?.object  // Said above.
    }
}
