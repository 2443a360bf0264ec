import Foundation
import JSON
import Testing

/// The asynchronous server in Python, as a child of the test.
final class MockServer {
    private let process = Process()
    private let output = Pipe()
    let port: Int

    var url: String { "http://127.0.0.1:\(port)" }

    init(_ arguments: String...) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-B", WorkerFixture.sourceFolder + "/mock_server.py"] + arguments
        process.standardOutput = output
        try process.run()
        var line: [UInt8] = []
        while line.last != 0x0A {
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { break }
            line.append(contentsOf: data)
        }
        port = try #require(Int(String(decoding: line.dropFirst("port ".utf8.count).dropLast(), as: UTF8.self)))
    }

    deinit { stop() }

    /// Kills the server.
    func stop() {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// What it was asked.
    func stats() throws -> JSONValue {
        let curl = Process()
        let answer = Pipe()
        curl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        curl.arguments = ["curl", "--silent", "--noproxy", "*", url + "/stats"]
        curl.standardOutput = answer
        try curl.run()
        let data = answer.fileHandleForReading.readDataToEndOfFile()
        curl.waitUntilExit()
        return try JSONParser.parse(data)
    }
}
