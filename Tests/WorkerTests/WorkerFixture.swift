import Foundation
import JSON
import Testing

/// A folder with everything that a worker needs, and the worker as a real process.
final class WorkerFixture {
    struct Ending {
        var exitCode: Int32
        var output: String
        var outputs: JSONValue?

        var reason: String? { outputs?["error"]?["reason"]?.string }
        var message: String { outputs?["error"]?["message"]?.string ?? "" }
    }

    let folder: String
    private var attempt = 0

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("worker-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder + "/outputs", withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }  // A folder left behind harms no test.

    var outputFolder: String { folder + "/outputs" }

    func write(_ name: String, _ content: String) throws -> String {
        let path = folder + "/" + name
        try Data(content.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// Writes a shell script that can be run.
    func program(_ name: String, _ script: String) throws -> String {
        let path = try write(name, "#!/bin/sh\n" + script + "\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return path
    }

    func text(_ path: String) throws -> String { String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self) }

    func lines(_ path: String) throws -> [String] { try text(path).split(separator: "\n").map(String.init) }

    /// The metrics of the latest attempt.
    func metrics() throws -> [JSONValue] { try lines("\(folder)/attempt-\(attempt)/metrics.jsonl").map { try JSONParser.parse($0) } }

    /// Starts a new attempt of a job with this spec.
    func start(
        kind: String, spec: JSONValue, inputs: JSONValue = [:], environment: [String: String] = [:], launcher: [String] = [],
        servers: JSONValue = [:], reuse: JSONValue = .null
    ) throws -> Process {
        attempt += 1
        let attemptFolder = "\(folder)/attempt-\(attempt)"
        try FileManager.default.createDirectory(atPath: attemptFolder, withIntermediateDirectories: true)
        let job: JSONValue = [
            "version": 1, "kind": .string(kind), "spec": spec, "inputs": inputs, "gpus": [], "servers": servers, "reuse": reuse,
        ]
        let specPath = try write("attempt-\(attempt)/job.json", job.text())
        let process = Process()
        let command = launcher + [try Self.workerPath()]
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        var variables = ProcessInfo.processInfo.environment
        variables.merge([
            "ANNEAL_ATTEMPT_DIR": attemptFolder, "ANNEAL_SPEC": specPath, "ANNEAL_OUTPUT_DIR": outputFolder,
            "ANNEAL_METRICS": attemptFolder + "/metrics.jsonl", "ANNEAL_OUTPUTS": attemptFolder + "/outputs.json",
        ]) { $1 }
        variables.merge(environment) { $1 }
        process.environment = variables
        FileManager.default.createFile(atPath: attemptFolder + "/stdout.log", contents: nil)
        // As the supervisor opens it: others may append to the same file.
        let descriptor = open(attemptFolder + "/stdout.log", O_WRONLY | O_APPEND | O_CLOEXEC)
        let log = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        process.standardOutput = log
        process.standardError = log
        try process.run()
        return process
    }

    /// Waits for the end of the process and reads what it left.
    func finish(_ process: Process) throws -> Ending {
        process.waitUntilExit()
        let attemptFolder = "\(folder)/attempt-\(attempt)"
        let outputs =
            FileManager.default.fileExists(atPath: attemptFolder + "/outputs.json")
            ? try JSONParser.parse(text(attemptFolder + "/outputs.json")) : nil
        let code = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        return Ending(exitCode: code, output: try text(attemptFolder + "/stdout.log"), outputs: outputs)
    }

    func run(
        kind: String, spec: JSONValue, inputs: JSONValue = [:], environment: [String: String] = [:], launcher: [String] = [],
        servers: JSONValue = [:], reuse: JSONValue = .null
    ) throws -> Ending {
        try finish(
            start(kind: kind, spec: spec, inputs: inputs, environment: environment, launcher: launcher, servers: servers, reuse: reuse))
    }

    /// The program lies beside the program of the tests.
    private static func workerPath() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        for program in [own, CommandLine.arguments[0]] {
            let path = URL(fileURLWithPath: program).deletingLastPathComponent().appendingPathComponent("anneal-worker").path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw CocoaError(.fileNoSuchFile)
    }

    static let sourceFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path

    /// The Python that has transformers.
    static let python = ProcessInfo.processInfo.environment["ANNEAL_PYTHON"]
}

/// The server in Python, as a child of the test.
final class FakeServer {
    let process = Process()
    let port: Int
    private let output = Pipe()
    private var buffer: [UInt8] = []

    var url: String { "http://127.0.0.1:\(port)" }

    init(mode: String) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", WorkerFixture.sourceFolder + "/fake_server.py", "--mode", mode]
        process.standardOutput = output
        try process.run()
        let first = Self.line(from: output.fileHandleForReading, &buffer) ?? ""
        port = try #require(Int(first.dropFirst("port ".count)))
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// The next request that came in; waits for it.
    func nextRequest() throws -> JSONValue { try JSONParser.parse(try #require(Self.line(from: output.fileHandleForReading, &buffer))) }

    /// Ends the server and gives the requests that were not taken yet.
    func remainingRequests() throws -> [JSONValue] {
        kill(process.processIdentifier, SIGKILL)
        var requests: [JSONValue] = []
        while let line = Self.line(from: output.fileHandleForReading, &buffer) { requests.append(try JSONParser.parse(line)) }
        return requests
    }

    private static func line(from file: FileHandle, _ buffer: inout [UInt8]) -> String? {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeFirst(end + 1)
                return line
            }
            let data = file.availableData
            if data.isEmpty { return nil }
            buffer.append(contentsOf: data)
        }
    }
}
