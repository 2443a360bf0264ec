import Archive
import FoundationEssentials
import Testing

@testable import Service

/// The bounds of archives: each at its limit and one past it.
struct ArchiveIntakeTests {
    private static let record = Array(
        #"""
        {"format":1,"anneal_version":"1","experiment":{"id":"exp_1","name":"x"},"data_directory":"/d","exported_at":"2026-01-01T00:00:00Z"}
        """#.utf8)

    /// Takes an archive of the record and these files; throws what the intake throws.
    private func take(_ files: [(name: String, bytes: Int)], record: [UInt8] = Self.record, _ limits: ImportLimits) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/intake-" + UUID().uuidString
        defer { #expect(throws: Never.self) { try Folders.remove(folder) } }
        var intake = try ArchiveIntake(folder: folder, limits: limits)
        defer { intake.abandon() }
        for (name, content) in [(ExportRecord.name, record)] + files.map({ ($0.name, [UInt8](repeating: 1, count: $0.bytes)) }) {
            let size = Int64(content.count)
            try intake.take(TarHeader(name: name, size: size).blocks + content + TarHeader.filling(after: size))
        }
    }

    private func isRefused(_ files: [(name: String, bytes: Int)], record: [UInt8] = Self.record, _ limits: ImportLimits) throws -> Bool {
        do {
            try take(files, record: record, limits)
            return false
        } catch let error as TarError where error.isTooLarge {
            return true
        }
    }

    @Test func filesMax() throws {
        var limits = ImportLimits.standard
        limits.filesMax = 3
        #expect(try !isRefused([("jobs/a/1", 1), ("jobs/a/2", 1)], limits))
        #expect(try isRefused([("jobs/a/1", 1), ("jobs/a/2", 1), ("jobs/a/3", 1)], limits))
    }

    @Test func bytesMax() throws {
        var limits = ImportLimits.standard
        limits.bytesMax = Int64(Self.record.count) + 20
        #expect(try !isRefused([("jobs/a/1", 10), ("jobs/a/2", 10)], limits))
        #expect(try isRefused([("jobs/a/1", 10), ("jobs/a/2", 11)], limits))
    }

    @Test func rowsBytesMax() throws {
        var limits = ImportLimits.standard
        limits.rowsBytesMax = 10
        #expect(try !isRefused([(ExportRecord.databaseName, 10)], limits))
        #expect(try isRefused([(ExportRecord.databaseName, 11)], limits))
    }

    @Test func manifestBytesMax() throws {
        var limits = ImportLimits.standard
        limits.manifestBytesMax = 10
        #expect(try !isRefused([(ExportRecord.manifestName, 10)], limits))
        #expect(try isRefused([(ExportRecord.manifestName, 11)], limits))
    }

    @Test func recordBytesMax() throws {
        let most = Int(ImportLimits.standard.recordBytesMax)
        let blanks = { (count: Int) in Self.record + [UInt8](repeating: 0x20, count: count - Self.record.count) }
        #expect(try !isRefused([], record: blanks(most), .standard))
        #expect(try isRefused([], record: blanks(most + 1), .standard))
    }

    @Test func pathBytesMax() throws {
        let name = { (count: Int) in "jobs/a/" + (0..<count).map { $0 % 100 == 99 ? "/" : "x" }.joined().dropLast(7) }
        #expect(try !isRefused([(name(ImportLimits.standard.pathBytesMax), 1)], .standard))
        #expect(try isRefused([(name(ImportLimits.standard.pathBytesMax + 1), 1)], .standard))
    }

    @Test func aFileThatIsToBeAFolderTooIsRefused() {
        #expect(throws: TarError("'jobs/a/x/y' lies below a file of the archive")) {
            try take([("jobs/a/x", 1), ("jobs/a/x/y", 1)], .standard)
        }
        #expect(throws: TarError("the archive holds 'jobs/a/x' more than once")) {
            try take([("jobs/a/x/y", 1), ("jobs/a/x", 1)], .standard)
        }
    }
}
