import Archive
import Testing

/// Keeps what comes out of an archive.
private struct Members: TarSink {
    var files: [String: [UInt8]] = [:]
    var announced: [String: Int64] = [:]
    private var name = ""

    mutating func begin(_ name: String, size: Int64) {
        self.name = name
        announced[name] = size
        files[name] = []
    }
    mutating func content(_ bytes: UnsafeRawBufferPointer) { files[name, default: []] += bytes }
    mutating func end() { announced[name] = announced[name].map { $0 == Int64(files[name]?.count ?? 0) ? $0 : -1 } }
}

struct TarTests {
    private static let long = (1...30).map { "folder-\($0)" }.joined(separator: "/") + "/ひらがな.txt"

    private static func archive(_ files: [(String, [UInt8])]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (name, content) in files {
            let size = Int64(content.count)
            bytes += TarHeader(name: name, size: size).blocks + content + TarHeader.filling(after: size)
        }
        return bytes + TarHeader.ending(after: Int64(bytes.count))
    }

    private func read(_ bytes: [UInt8], pieces: Int = 4096) throws -> Members {
        var (reader, members) = (TarReader(), Members())
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            try reader.take(Array(bytes[start..<min(bytes.count, start + pieces)]), into: &members)
        }
        try reader.finish()
        return members
    }

    @Test(arguments: [1, 7, 511, 512, 513, 1 << 20])
    func whatIsWrittenIsRead(pieces: Int) throws {
        let files: [(String, [UInt8])] = [
            ("empty", []), ("a/b.txt", Array("hello".utf8)), (Self.long, Array(repeating: 7, count: 512)),
            (String(repeating: "x", count: 100), [1]), (String(repeating: "y", count: 101), [2]),
        ]
        let bytes = Self.archive(files)
        #expect(bytes.count % TarHeader.recordBytes == 0)
        let members = try read(bytes, pieces: pieces)
        #expect(members.files == Dictionary(uniqueKeysWithValues: files))
        #expect(members.announced["a/b.txt"] == 5)
    }

    @Test func membersBeyondEightGibibytesHaveTheirSize() throws {
        for size in [TarHeader.memberBytesMax, TarHeader.memberBytesMax + 1] {
            var (reader, members) = (TarReader(), Members())
            try reader.take(TarHeader(name: "big", size: size).blocks, into: &members)
            #expect(members.announced["big"] == size)
        }
    }

    @Test func whatIsCutOffOrDamagedIsRefused() throws {
        let whole = Self.archive([("a", Array(repeating: 1, count: 700))])
        for length in [0, 100, 512, 900, 1536, 2048] {
            #expect(throws: TarError.self) { try read(Array(whole[..<length])) }
        }
        var wrong = whole
        wrong[3] = 0x41
        #expect(throws: TarError.self) { try read(wrong) }
        #expect(throws: TarError.self) { try read(whole + Array("more".utf8)) }
        #expect(throws: TarError.self) { try read(Array(repeating: 0x20, count: 2048)) }
    }

    /// A header of another type, with its sum put right.
    private func header(_ type: String, size: Int64 = 0) -> [UInt8] {
        var block = TarHeader(name: "other", size: size).blocks
        let change = Int(type.utf8.first ?? 0) - Int(block[156])
        block[156] = type.utf8.first ?? 0
        let sum = Int(String(decoding: block[148..<154], as: UTF8.self), radix: 8) ?? 0
        let octal = String(sum + change, radix: 8)
        block.replaceSubrange(148..<154, with: (String(repeating: "0", count: 6 - octal.utf8.count) + octal).utf8)
        return block
    }

    @Test(arguments: ["1", "2", "3", "4", "6", "7"])
    func linksAndDevicesAreRefused(type: String) {
        #expect(throws: TarError.self) { try read(header(type) + TarHeader.ending(after: 512)) }
    }

    @Test func foldersAreLeftOut() throws {
        #expect(try read(header("5") + TarHeader.ending(after: 512)).files.isEmpty)
    }

    @Test func extendedHeadersHaveALimit() throws {
        let limit = TarReader.extensionBytesMax
        for (size, isTaken) in [(limit, true), (limit + 1, false)] {
            var (reader, members) = (TarReader(), Members())
            do {
                try reader.take(header("L", size: size), into: &members)
                #expect(isTaken)
            } catch let error as TarError {
                #expect(!isTaken && error.isTooLarge)
            }
        }
    }
}
