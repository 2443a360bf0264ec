import Foundation
import Glibc
import Testing

/// A folder of its own, removed after the test.
func withFolder(isolation: isolated (any Actor)? = #isolation, _ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.path + "/anneal-telemetry-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer {
        do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record("\(folder) is left: \(error)") }
    }
    try await body(folder)
}

/// A file that is appended to as a worker does it: each piece by one write(2).
struct GrowingFile {
    let path: String

    func append(_ text: String) throws { try append(Array(text.utf8)) }

    func append(_ bytes: [UInt8]) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try #require(write(descriptor, bytes, bytes.count) == bytes.count)
    }

    /// Puts other content in place by a rename, so that the file is another one.
    func replace(with text: String) throws {
        let other = GrowingFile(path: path + ".new")
        try other.append(text)
        try #require(rename(other.path, path) == 0)
    }
}
