import Foundation
import Testing

@testable import Service

/// What is read of an attempt's folder at its end.
@Suite struct ClosingFilesTests {
    private func folder(_ files: [String: String]) throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/closing-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in files { try text.write(toFile: path + "/" + name, atomically: false, encoding: .utf8) }
        return path
    }

    @Test func theEndOfALongLogIsReadUpToItsLimit() throws {
        for (extra, kept) in [(0, ServiceLimits.logTailBytesMax), (1, ServiceLimits.logTailBytesMax)] {
            let path = try folder(["stderr.log": String(repeating: "x", count: ServiceLimits.logTailBytesMax + extra)])
            defer { try? FileManager.default.removeItem(atPath: path) }  // A leftover of a test does no harm.
            #expect(try ClosingFiles.read(path, isFailure: true).stderrTail.utf8.count == kept)
        }
    }

    @Test func aSuccessNeedsNoLogsAndAFaultyReportIsTold() throws {
        let path = try folder(["stderr.log": "noise", "outputs.json": "{"])
        defer { try? FileManager.default.removeItem(atPath: path) }  // A leftover of a test does no harm.
        let files = try ClosingFiles.read(path, isFailure: false)
        #expect(files.stderrTail.isEmpty && files.fault?.contains("not JSON") == true)
        #expect(try ClosingFiles.read(path + "/none", isFailure: true).report.outputs.isEmpty)
    }
}
