import APITypes
import Foundation
import Glibc
import JSON
import Testing

/// A folder, a scripted server and the program under test, for one test.
struct CLIFixture {
    /// What a run of the program came to.
    struct Run {
        var status: Int32
        var output: String
        var errors: String
    }

    /// A request that the server has seen.
    struct Request: Decodable {
        var method: String
        var target: String
        var headers: [String: String]
        var body: String
    }

    /// A program that had to be killed.
    struct Hung: Error, CustomStringConvertible {
        var description: String
    }

    let folder: String
    let address: String

    /// What takes longer hangs. It is more than what a terminal run gives its program, so that the one can tell what the other awaits.
    private static let secondsMax = 120.0

    private static let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    static let sources = (#filePath as NSString).deletingLastPathComponent

    /// The program beside the test bundle that runs now.
    static var program: String {
        // Without /proc the program is looked for beside the path that the tests were started by.
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return ((own as NSString).deletingLastPathComponent as NSString).appendingPathComponent("anneal")
    }

    /// Runs `body` with a server that gives the answers of `script`, and cleans up after it.
    static func with(_ script: Script, unixSocket: Bool = false, _ body: (CLIFixture) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "/anneal-cli-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // A folder that cannot be removed is left to the system's cleaning of temporary files.
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try script.json.text().write(toFile: folder + "/script.json", atomically: true, encoding: .utf8)
        let socket = folder + "/socket"
        let arguments = ["python3", sources + "/scripted_server.py", folder + "/script.json", folder + "/requests"]
        let (answers, output) = try pipe()
        // The server ends where this end is closed, so that it does not outlive tests that are killed.
        let (input, life) = try pipe()
        defer { for descriptor in [answers, life] { close(descriptor) } }
        let server = try ChildProcess(
            arguments + (unixSocket ? [socket] : []), environment: ["PATH": path], input: input, output: output)
        for descriptor in [input, output] { close(descriptor) }
        defer { server.kill() }
        let line = try firstLine(of: answers)
        try body(CLIFixture(folder: folder, address: unixSocket ? "unix://\(line)" : "http://127.0.0.1:\(line)"))
    }

    private static func pipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        try #require(Glibc.pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// Where the scripted server listens, which it prints once it does.
    private static func firstLine(of descriptor: Int32) throws -> String {
        var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        try #require(poll(&watched, 1, Int32(secondsMax * 1000)) == 1, "the scripted server does not start")
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &buffer, buffer.count)
        let line = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        try #require(!line.isEmpty, "the scripted server has not started; python3 is needed")
        return line
    }

    /// Runs the program to its end.
    func run(_ arguments: String..., environment: [String: String] = [:], input: String = "", terminal: (columns: Int, rows: Int)? = nil)
        throws -> Run
    {
        try Self.run(
            arguments, environment: ["ANNEAL_URL": address].merging(environment) { $1 }, input: input, folder: folder, terminal: terminal)
    }

    static func run(
        _ arguments: [String], environment: [String: String], input: String = "", folder: String, terminal: (columns: Int, rows: Int)? = nil
    ) throws -> Run {
        var command = [program] + arguments
        if let terminal { command = ["python3", sources + "/terminal_run.py", "\(terminal.columns)", "\(terminal.rows)"] + command }
        // Files rather than pipes, which could fill up. Several runs may share a folder, so that each has its own.
        let stem = folder + "/" + UUID().uuidString
        try input.write(toFile: stem + ".in", atomically: true, encoding: .utf8)
        let files =
            [open(stem + ".in", O_RDONLY | O_CLOEXEC)]
            + ["out", "err"].map { open("\(stem).\($0)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600) }
        defer {
            files.forEach { close($0) }
            for name in ["in", "out", "err"] { unlink("\(stem).\(name)") }
        }
        // Swift's report of a crash takes a minute, and then lets a program go on that was sent the signal by another.
        let variables = ["PATH": path, "TERM": "xterm", "SWIFT_BACKTRACE": "enable=no"].merging(environment) { $1 }
        let process = try ChildProcess(command, environment: variables, folder: folder, input: files[0], output: files[1], errors: files[2])
        let status = process.wait(secondsMax: secondsMax)
        let output = try String(contentsOfFile: stem + ".out", encoding: .utf8)
        let errors = try String(contentsOfFile: stem + ".err", encoding: .utf8)
        guard let status else {
            throw Hung(description: "anneal \(arguments.joined(separator: " ")) hangs; it printed '\(output)' and the errors '\(errors)'")
        }
        return Run(status: status, output: output, errors: errors)
    }

    func write(_ text: String, to name: String) throws { try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8) }

    /// The requests that the server has seen, in order.
    func requests() throws -> [Request] {
        let lines = try String(contentsOfFile: folder + "/requests", encoding: .utf8).split(separator: "\n")
        return try lines.map { try Request(decoding: JSONParser.parse(String($0))) }
    }
}

/// What the scripted server answers, by method and path.
struct Script: ExpressibleByDictionaryLiteral {
    private(set) var json: JSONValue

    init(dictionaryLiteral elements: (String, [JSONValue])...) {
        json = .object(JSONObject(elements.map { ($0, .array($1)) }, uniquingKeysWith: { $1 }))
    }

    /// The script with further answers.
    func adding(_ answers: [String: [JSONValue]]) -> Script {
        var script = self
        guard case .object(var object) = json else { return self }
        for (request, list) in answers { object[request] = .array(list) }
        script.json = .object(object)
        return script
    }

    /// A JSON answer.
    static func json(_ value: some Encodable, status: Int64 = 200) throws -> JSONValue {
        ["status": .int(status), "json": try JSONValue(encoding: value)]
    }

    /// A page of a list.
    static func page<Element: Codable & Sendable & Equatable>(_ elements: Element..., next: String? = nil) throws -> JSONValue {
        try json(Page(data: elements, hasMore: next != nil, next: next))
    }

    /// A problem.
    static func problem(_ status: Int, _ title: String, _ detail: String, errors: [ProblemError] = []) throws -> JSONValue {
        try json(
            ProblemView(type: "/problems/x", title: title, status: status, detail: detail, code: "x", errors: errors), status: Int64(status)
        )
    }

    static func text(_ body: String) -> JSONValue { ["type": "text/plain", "body": .string(body)] }

    /// Server-sent events; with `cut` the connection breaks after them.
    static func events(_ body: String, cut: Bool = false) -> JSONValue {
        ["type": "text/event-stream", "body": .string(body), "cut": .bool(cut)]
    }
}

/// Identifiers and views that the tests use.
enum Sample {
    static let experimentID = "exp_01k9w3c2vn0000a7k3d9m2x5q8"
    static func jobID(_ number: Int) -> String { "job_01k9w3c2vn0000a7k3d9m2x5q\(number)" }
    static func evaluationID(_ number: Int) -> String { "eval_01k9w3c2vn0000a7k3d9m2x5q\(number)" }
    static let time = "2026-11-20T08:15:30.250Z"

    static func experiment(_ state: String = "succeeded", jobs: [JobSummary]? = nil) -> ExperimentView {
        ExperimentView(
            id: experimentID, name: "toy", project: "default", state: state, tags: [:], createdAt: time,
            finishedAt: state == "running" ? nil : time,
            jobs: jobs ?? [summary(1, "data", "prepare"), summary(2, "sft", "train", state), summary(3, "after", "evaluate", state)])
    }

    static func summary(_ number: Int, _ name: String, _ kind: String, _ state: String = "succeeded") -> JobSummary {
        JobSummary(id: jobID(number), name: name, kind: kind, state: state)
    }

    static func job(
        _ number: Int, _ name: String, state: String = "succeeded", reason: String? = nil, message: String? = nil, evaluation: Int? = nil
    ) -> JobView {
        var outputs: JSONObject = ["model": ["type": "checkpoint", "id": "ckpt_1", "path": "/m"]]
        if let evaluation { outputs["evaluation"] = ["type": "evaluation", "id": .string(evaluationID(evaluation))] }
        return JobView(
            id: jobID(number), experimentID: experimentID, experiment: "toy", name: name, kind: "train", engine: "trl", state: state,
            reason: reason,
            message: message, priority: 50, resources: ResourcesView(gpus: 1, cpus: 2, memoryBytes: 1 << 30), needs: [],
            outputs: .object(outputs), summary: ["steps": 20], createdAt: time, startedAt: time,
            finishedAt: time,
            attempts: [
                AttemptView(
                    id: "att_1", number: 1, state: state, exitCode: 0, cause: reason, gpus: ["GPU-1"], startedAt: time, finishedAt: time)
            ])
    }

    static func evaluation(_ number: Int, accuracy: Double, compare: CompareView? = nil, gate: GateView? = nil) -> EvaluationView {
        EvaluationView(
            id: evaluationID(number), jobID: jobID(number), model: "/m", createdAt: time,
            benchmarks: [
                BenchmarkView(
                    name: "held-out", dataset: "ds_1", samples: 4, items: 200,
                    metrics: [
                        "accuracy": MetricEstimate(value: MetricValue(accuracy), stderr: 0.01), "no_answer": MetricEstimate(value: 0.005),
                        "avg_tokens": MetricEstimate(value: 4.25),
                    ])
            ], compare: compare, gate: gate)
    }

    /// The text of one server-sent event of the stream.
    static func event(_ seq: Int64, _ type: String, job: String?, _ data: some Encodable) throws -> String {
        let event = StreamEvent(seq: seq, type: type, at: time, experimentID: experimentID, jobID: job, data: try JSONValue(encoding: data))
        return "id: \(seq)\nevent: \(type)\ndata: \(try JSONValue(encoding: event).text())\n\n"
    }
}
