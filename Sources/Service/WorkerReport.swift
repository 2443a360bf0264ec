import Domain
import JSON

/// What a worker wrote into its `outputs.json`.
struct WorkerReport: Sendable {
    /// One thing that a worker made.
    struct Output: Sendable {
        enum Kind: String, Sendable { case dataset, checkpoint, evaluation, file }
        var name: String
        var kind: Kind
        var path: String
        var fields: JSONObject
    }

    struct Failure: Sendable {
        var reason: Reason
        var message: String
    }

    var outputs: [Output] = []
    var summary: JSONValue?
    var gate: JSONValue?
    var failure: Failure?

    static let none = WorkerReport()

    /// Reads the document; a fault is told in words, since the worker that wrote it may be a user's program.
    static func parse(_ bytes: [UInt8]) throws(ServiceError) -> WorkerReport {
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONParser.parse(bytes, options: .python)
        } catch {
            throw ServiceError(.badRequest, "outputs.json is not JSON: \(error)")
        }
        guard case .object(let members) = document else { throw ServiceError(.badRequest, "outputs.json must hold an object") }
        var report = WorkerReport()
        for (name, value) in members["outputs"]?.object ?? [:] { report.outputs.append(try output(name, value)) }
        if let summary = members["summary"], summary.object != nil { report.summary = summary }
        if let gate = members["gate"], gate.object != nil { report.gate = gate }
        if let failure = members["error"], let reason = failure["reason"]?.string {
            report.failure = Failure(reason: Reason(rawValue: reason), message: message(of: failure))
        }
        return report
    }

    private static func output(_ name: String, _ value: JSONValue) throws(ServiceError) -> Output {
        guard let fields = value.object, let kind = fields["type"]?.string.flatMap(Output.Kind.init(rawValue:)) else {
            throw ServiceError(.badRequest, "outputs.json: output '\(name)' needs a type: dataset, checkpoint, evaluation or file")
        }
        guard let path = fields["path"]?.string, path.hasPrefix("/") else {
            throw ServiceError(.badRequest, "outputs.json: output '\(name)' needs an absolute path")
        }
        return Output(name: name, kind: kind, path: path, fields: fields)
    }

    /// The message of a failure, followed by its first details with their places; what it says already is not said again.
    private static func message(of failure: JSONValue) -> String {
        let message = failure["message"]?.string ?? "the worker gave no message"
        let errors = failure["errors"]?.array ?? []
        if errors.count == 1, errors[0]["detail"]?.string == message { return place(of: errors[0]) + message }
        var told: Set<String> = []
        let details = errors.lazy.filter { error in
            guard let detail = error["detail"]?.string, !message.contains(detail) else { return false }
            return told.insert(detail).inserted
        }
        return ([message] + details.prefix(5).map { place(of: $0) + ($0["detail"]?.string ?? "") }).joined(separator: "; ")
    }

    private static func place(of error: JSONValue) -> String {
        let line = error["line"]?.int.map { "line \($0): " } ?? ""
        return line + (error["pointer"]?.string.map { $0.isEmpty ? "" : "\($0): " } ?? "")
    }

    /// Four decimals are more than any gate needs.
    private static func short(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }

    /// Which conditions of the gate were missed, in words; `nil` where there is no gate or it was passed.
    var gateMessage: String? {
        guard gate?["passed"]?.bool == false else { return nil }
        let missed = (gate?["checks"]?.array ?? []).filter { $0["passed"]?.bool == false }.map { check in
            let metric = check["metric"]?.string ?? "?"
            let value = check["value"]?.double.map(Self.short) ?? "not measured"
            var text = "\(metric) is \(value), asked for \(check["condition"]?.string ?? "?")"
            // What the words of a condition came to is no news where they are a number.
            if let limit = check["limit"]?.double, check["condition"]?.string?.contains("baseline") == true {
                text += " (\(Self.short(limit)))"
            }
            if let low = check["interval"]?[0]?.double, let high = check["interval"]?[1]?.double {
                text += ", and its interval is \(Self.short(low)) to \(Self.short(high))"
            }
            return text
        }
        return "the gate was missed: " + missed.joined(separator: "; ")
    }
}
