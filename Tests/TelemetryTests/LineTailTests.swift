import Foundation
import Testing

@testable import Telemetry

@Suite struct LineTailTests {
    private func texts(_ piece: LineTail.Piece) -> [String] { piece.lines.map { String(decoding: $0, as: UTF8.self) } }

    @Test func aLineIsReadOnceAndOnlyWhenItIsWhole() async throws {
        let text = "{\"a\":1}\n\n{\"b\":\"ü\"}\n"
        let bytes = Array(text.utf8)
        try await withFolder { folder in
            for cut in 0...bytes.count {
                let file = GrowingFile(path: folder + "/m-\(cut)")
                var tail = LineTail(path: file.path)
                try file.append(Array(bytes[..<cut]))
                var lines = texts(try tail.read())
                try file.append(Array(bytes[cut...]))
                lines += texts(try tail.read())
                #expect(lines == ["{\"a\":1}", "{\"b\":\"ü\"}"], "cut at \(cut)")
                #expect(tail.offset == Int64(bytes.count))
                #expect(try tail.read().lines.isEmpty)
            }
        }
    }

    @Test func aFileThatIsNotThereHasNoLinesYet() async throws {
        try await withFolder { folder in
            var tail = LineTail(path: folder + "/later")
            #expect(try tail.read().lines.isEmpty)
            try GrowingFile(path: tail.path).append("one\n")
            #expect(texts(try tail.read()) == ["one"])
            var folderTail = LineTail(path: folder)
            #expect(throws: TailError.self) { try folderTail.read() }
        }
    }

    @Test func aRememberedPlaceIsTakenUpAgain() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/m")
            try file.append("one\ntwo\nthr")
            var first = LineTail(path: file.path)
            #expect(texts(try first.read()) == ["one", "two"])
            try file.append("ee\n")
            var second = LineTail(path: file.path, inode: first.inode, offset: first.offset)
            #expect(texts(try second.read()) == ["three"])
        }
    }

    @Test func aFileThatWasReplacedOrCutShortIsReadFromItsStart() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/m")
            var tail = LineTail(path: file.path)
            try file.append("one\ntwo\n")
            _ = try tail.read()
            try file.replace(with: "three\nfour\nfive\n")
            #expect(texts(try tail.read()) == ["three", "four", "five"])
            try #require(truncate(file.path, 0) == 0)
            try file.append("six\n")
            #expect(texts(try tail.read()) == ["six"])
        }
    }

    @Test func aLineAtTheLimitIsReadAndOnePastItIsSkippedAndCounted() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/m")
            var tail = LineTail(path: file.path)
            let longest = [UInt8](repeating: UInt8(ascii: "x"), count: TelemetryLimits.lineBytesMax)
            try file.append(longest + Array("\nshort\n".utf8))
            var lines: [Int] = []
            var piece = try tail.read()
            lines += piece.lines.map(\.count)
            while piece.hasMore {
                piece = try tail.read()
                lines += piece.lines.map(\.count)
            }
            #expect(lines == [TelemetryLimits.lineBytesMax, 5])
            // Too long, and its end is not written yet: it waits.
            try file.append(longest + longest + longest)
            piece = try tail.read()
            #expect(piece.lines.isEmpty && piece.skipped == 0 && !piece.hasMore)
            try file.append("\nafter\n")
            piece = try tail.read()
            #expect(piece.lines.isEmpty && piece.skipped == 1 && piece.hasMore)
            #expect(texts(try tail.read()) == ["after"])
            // One byte past the limit.
            try file.append(longest + Array("x\nlast\n".utf8))
            var skipped = 0
            var found: [String] = []
            repeat {
                piece = try tail.read()
                skipped += piece.skipped
                found += texts(piece)
            } while piece.hasMore
            #expect(skipped == 1 && found == ["last"])
        }
    }

    @Test func aLongFileIsReadPieceByPiece() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/m")
            let expected = (0..<60_000).map { "{\"step\":\($0)}" }
            try file.append(expected.joined(separator: "\n") + "\n")
            var tail = LineTail(path: file.path)
            var lines: [String] = []
            var pieces = 0
            var piece: LineTail.Piece
            repeat {
                piece = try tail.read()
                #expect(piece.lines.reduce(0) { $0 + $1.count } <= TelemetryLimits.readBytesMax)
                lines += texts(piece)
                pieces += 1
            } while piece.hasMore
            #expect(lines == expected && pieces > 2)
        }
    }
}
