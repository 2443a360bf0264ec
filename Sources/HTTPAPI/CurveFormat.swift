import Curves
import HTTPServer
import JSON
import Service
import Store

/// How curves are written: what `layout` and the Accept header ask for.
enum CurveFormat: Sendable {
    /// A point as an object; easy to read.
    case points
    /// An array for steps, times, values and attempts each; a third of the bytes.
    case columns
    /// RFC 4180, one point a line.
    case csv
    /// One JSON object a line and point.
    case lines
    /// Arrays of doubles, ready for typed arrays.
    case binary

    static let binaryType = "application/vnd.anneal.curves"

    var contentType: String {
        switch self {
        case .points, .columns: "application/json"
        case .csv: "text/csv; charset=utf-8"
        case .lines: "application/x-ndjson"
        case .binary: Self.binaryType
        }
    }

    /// A single curve of which nothing lies where it was asked for.
    func renderEmpty(job: String, key: String, source: String, sequence: Int64) -> [UInt8] {
        var members: JSONObject = ["job_id": .string(job), "key": .string(key), "source": .string(source), "seq": .int(sequence)]
        switch self {
        case .points: members["points"] = []
        case .columns:
            members["count"] = 0
            for name in ["steps", "times", "values", "attempts"] { members[name] = [] }
        case .csv, .lines, .binary: return render([], sequence: sequence, single: true)
        }
        return JSONWriter().bytes(of: .object(members))
    }

    /// - Parameter single: whether the answer is one curve and no list.
    func render(_ curves: [NamedCurve], sequence: Int64, single: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .points, .columns: json(curves, sequence, single, &bytes)
        case .csv: csv(curves, &bytes)
        case .lines: lines(curves, &bytes)
        case .binary: binary(curves, sequence, &bytes)
        }
        return bytes
    }

    // MARK: JSON

    private func json(_ curves: [NamedCurve], _ sequence: Int64, _ single: Bool, _ bytes: inout [UInt8]) {
        if single, let curve = curves.first { return json(curve, sequence, &bytes) }
        bytes.append(contentsOf: "{\"seq\":\(sequence),\"curves\":[".utf8)
        for (index, curve) in curves.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            json(curve, nil, &bytes)
        }
        bytes.append(contentsOf: "]}".utf8)
    }

    private func json(_ named: NamedCurve, _ sequence: Int64?, _ bytes: inout [UInt8]) {
        bytes.append(contentsOf: "{\"job_id\":\"\(named.jobID)\",\"key\":".utf8)
        JSONWriter().append(.string(named.key), to: &bytes)
        bytes.append(contentsOf: ",\"source\":\"\(named.curve.source.name)\"".utf8)
        if let sequence { bytes.append(contentsOf: ",\"seq\":\(sequence)".utf8) }
        let points = named.curve.points
        if case .points = self {
            bytes.append(contentsOf: ",\"points\":[".utf8)
            for index in points.steps.indices {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.point(named.curve, index, nil, &bytes)
            }
            return bytes.append(contentsOf: "]}".utf8)
        }
        func column(_ name: String, _ append: (Int) -> Void) {
            bytes.append(contentsOf: ",\"\(name)\":[".utf8)
            for index in points.steps.indices {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                append(index)
            }
            bytes.append(UInt8(ascii: "]"))
        }
        bytes.append(contentsOf: ",\"count\":\(points.count)".utf8)
        column("steps") { bytes.append(contentsOf: String(points.steps[$0]).utf8) }
        column("times") { bytes.append(contentsOf: Self.seconds(points.times[$0]).utf8) }
        column("values") { bytes.append(contentsOf: Self.number(points.values[$0]).utf8) }
        column("attempts") { bytes.append(contentsOf: String(named.curve.attempts[$0]).utf8) }
        bytes.append(UInt8(ascii: "}"))
    }

    /// - Parameter owner: members that say whose the point is, with a comma after them.
    private static func point(_ curve: Curve, _ index: Int, _ owner: [UInt8]?, _ bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        if let owner { bytes.append(contentsOf: owner) }
        let points = curve.points
        bytes.append(contentsOf: "\"step\":\(points.steps[index]),\"time\":\(seconds(points.times[index])),\"value\":".utf8)
        bytes.append(contentsOf: number(points.values[index]).utf8)
        bytes.append(contentsOf: ",\"attempt\":\(curve.attempts[index])}".utf8)
    }

    private static func seconds(_ milliseconds: Int64) -> String { (Double(milliseconds) / 1000).description }

    private static func number(_ value: Double) -> String {
        value.isFinite ? value.description : value.isNaN ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\""
    }

    // MARK: Lines

    private func lines(_ curves: [NamedCurve], _ bytes: inout [UInt8]) {
        for named in curves {
            var owner = Array("\"job_id\":\"\(named.jobID)\",\"key\":".utf8)
            JSONWriter().append(.string(named.key), to: &owner)
            owner.append(UInt8(ascii: ","))
            for index in named.curve.points.steps.indices {
                Self.point(named.curve, index, owner, &bytes)
                bytes.append(UInt8(ascii: "\n"))
            }
        }
    }

    private func csv(_ curves: [NamedCurve], _ bytes: inout [UInt8]) {
        bytes.append(contentsOf: "job_id,key,step,time,value,attempt\r\n".utf8)
        for named in curves {
            let points = named.curve.points
            let owner = Array("\(named.jobID),\(Self.field(named.key)),".utf8)
            for index in points.steps.indices {
                let value = points.values[index]
                let text = value.isFinite ? value.description : value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity"
                bytes.append(contentsOf: owner)
                bytes.append(
                    contentsOf: "\(points.steps[index]),\(Self.seconds(points.times[index])),\(text),\(named.curve.attempts[index])\r\n"
                        .utf8)
            }
        }
    }

    private static func field(_ text: String) -> String {
        // A spreadsheet takes what begins so for a formula.
        let isFormula = text.first.map { "=+-@".contains($0) } ?? false
        guard isFormula || text.contains(where: { ",\"\r\n".contains($0) }) else { return text }
        return "\"" + (isFormula ? "'" : "") + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
            + "\""
    }

    // MARK: Binary

    /// The length of a JSON header (8 bytes), the header, spaces up to a multiple of 8, and for each curve its steps, its times in
    /// seconds and its values as doubles, little-endian.
    private func binary(_ curves: [NamedCurve], _ sequence: Int64, _ bytes: inout [UInt8]) {
        var header: [UInt8] = []
        let list = curves.map { named -> JSONValue in
            [
                "job_id": .string(named.jobID), "key": .string(named.key), "source": .string(named.curve.source.name),
                "count": JSONValue.int(Int64(named.curve.count)), "attempts": .array(Self.runs(named.curve.attempts)),
            ]
        }
        JSONWriter().append(["seq": .int(sequence), "curves": .array(list)], to: &header)
        header += repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
        func append(_ word: UInt64) { withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) } }
        append(UInt64(header.count))
        bytes += header
        for named in curves {
            for step in named.curve.points.steps { append(Double(step).bitPattern) }
            for time in named.curve.points.times { append((Double(time) / 1000).bitPattern) }
            for value in named.curve.points.values { append(value.bitPattern) }
        }
    }

    /// Attempts as pairs of a number and how many points in a row are its.
    private static func runs(_ attempts: [Int]) -> [JSONValue] {
        var runs: [(Int, Int)] = []
        for attempt in attempts {
            if runs.last?.0 == attempt { runs[runs.count - 1].1 += 1 } else { runs.append((attempt, 1)) }
        }
        return runs.map { .array([.int(Int64($0.0)), .int(Int64($0.1))]) }
    }
}
