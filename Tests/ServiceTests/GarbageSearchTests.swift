import APITypes
import Domain
import Foundation
import Glibc
import Testing

@testable import Service

/// What retention finds, and what is taken into use before it goes.
@Suite struct GarbageSearchTests {
    /// When the node of a file was changed last, in seconds since 1970.
    private static func changeTime(_ path: String) throws -> Int {
        var status = stat()
        try #require(stat(path, &status) == 0)
        return status.st_ctim.tv_sec
    }

    @Test func aContentThatIsTakenIntoUseAgainIsNoLongerOld() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/anneal-garbage-" + UUID().uuidString
        try Folders.create(folder)
        defer { try? Folders.remove(folder) }  // A leftover of a test does no harm.
        var configuration = ServiceConfiguration(
            dataDirectory: folder, shimPath: "", workerPath: "", pythonPath: nil, trainerDirectory: nil, workerURL: "", version: "test")
        configuration.artifactRetention.leftovers = .seconds(60)
        let content = configuration.datasetsDirectory + "/ab/abc.jsonl"
        let source = folder + "/source"
        try Folders.write(Array("{}\n".utf8), to: source)
        try Folders.adopt(source, as: content)
        let birth = try Self.changeTime(content)
        // A minute and a moment later.
        let later = Timestamp(milliseconds: Int64(birth + 61) * 1000)
        let search = GarbageSearch(configuration: configuration, facts: GarbageSearch.Facts(), now: later)
        let found = try search.items()
        #expect(found.map(\.path) == [content] && found.allSatisfy { search.isStillOld($0) })
        // The same content comes once more while the list is being worked off; its node's time counts whole seconds.
        try Folders.write(Array("{}\n".utf8), to: folder + "/again")
        repeat { try Folders.adopt(folder + "/again", as: content) } while try Self.changeTime(content) == birth
        #expect(found.allSatisfy { !search.isStillOld($0) })
        #expect(try search.items().isEmpty)
    }
}
