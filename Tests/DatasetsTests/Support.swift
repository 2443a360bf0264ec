import Foundation
import Testing

@testable import Datasets

/// A folder that lives as long as this object.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("datasets-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }  // A folder left behind harms no test.

    func file(_ name: String, _ content: String) throws -> String { try file(name, Array(content.utf8)) }

    func file(_ name: String, _ content: [UInt8]) throws -> String {
        let url = URL(fileURLWithPath: path).appendingPathComponent(name)
        try Data(content).write(to: url)
        return url.path
    }

    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path).appendingPathComponent(name))) }

    func lines(_ name: String) throws -> [String] {
        String(decoding: try bytes(name), as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

/// The reference in Python, which needs no packages.
enum Reference {
    static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("reference_seed.py").path

    @discardableResult
    static func run(_ arguments: String...) throws -> String { try run(arguments) }

    @discardableResult
    static func run(_ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", script] + arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: data, as: UTF8.self)
    }
}

/// Real data beside the repository.
enum SharedData {
    static let folder = URL(fileURLWithPath: FileManager.default.currentDirectoryPath + "/../shared/data").standardizedFileURL.path

    /// JCommonsenseQA's training questions; absent on machines that have not fetched them.
    static let questions = candidates("jcommonsenseqa/train-v1.3.json").first { FileManager.default.fileExists(atPath: $0) }

    private static func candidates(_ name: String) -> [String] {
        // The source file's own place leads to the repository also where the tests are built elsewhere.
        let repository = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("../../../shared/data/" + name).standardizedFileURL.path
        return [folder + "/" + name, repository]
    }
}
