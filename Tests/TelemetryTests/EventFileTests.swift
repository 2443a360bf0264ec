import Foundation
import Testing

@testable import Telemetry

/// Event files of TensorBoard, as they are written, torn and damaged.
@Suite struct EventFileTests {
    // MARK: What a writer writes

    private static func varint(_ value: UInt64) -> [UInt8] {
        var (rest, bytes) = (value, [UInt8]())
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    private static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

    private static func field(_ number: UInt64, _ data: [UInt8]) -> [UInt8] { varint(number << 3 | 2) + varint(UInt64(data.count)) + data }

    private static func simple(_ value: Float) -> [UInt8] { varint(2 << 3 | 5) + little(value.bitPattern) }

    private static func event(_ tag: String, _ value: [UInt8], step: Int64, time: Double = 100) -> [UInt8] {
        varint(1 << 3 | 1) + little(time.bitPattern) + varint(2 << 3) + varint(UInt64(bitPattern: step))
            + field(5, field(1, field(1, Array(tag.utf8)) + value))
    }

    private static func record(_ data: [UInt8]) -> [UInt8] {
        let length = little(UInt64(data.count))
        return length + little(Checksum.masked(length)) + data + little(Checksum.masked(data))
    }

    private static func scalar(_ step: Int64, _ value: Float = 1.5) -> [UInt8] { record(event("train/loss", simple(value), step: step)) }

    private static func read(_ tail: inout EventFileTail) throws -> PointPiece {
        var all = PointPiece()
        repeat {
            let piece = try tail.readPoints(receivedAt: 5)
            all.points += piece.points
            all.dropped += piece.dropped
            all.hasMore = piece.hasMore
        } while all.hasMore
        return all
    }

    // MARK: Checksums

    @Test func theChecksumIsThatOfTheRFC() {
        // RFC 3720, appendix B.4.
        #expect(Checksum.crc32c([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(Checksum.crc32c([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(Checksum.crc32c(0..<32) == 0x46DD_794E)
        #expect(Checksum.crc32c("123456789".utf8) == 0xE306_9283)
    }

    // MARK: Records

    @Test func aTornRecordWaitsForItsEnd() throws {
        try withEventFile { file, path throws in
            var tail = EventFileTail(path: path)
            let whole = Self.scalar(7)
            try file.append(Self.scalar(6))
            for byte in whole.dropLast() {
                try file.append([byte])
                let found = try Self.read(&tail)
                #expect(found.dropped == 0 && found.points.allSatisfy { $0.step == 6 })
            }
            try file.append([whole[whole.count - 1]])
            #expect(try Self.read(&tail).points == [FollowedPoint(key: "train/loss", step: 7, seconds: 100, value: 1.5)])
            // A later follower goes on where this one was.
            try file.append(Self.scalar(8))
            var next = EventFileTail(path: path, inode: tail.inode, offset: tail.offset)
            #expect(try Self.read(&next).points.map(\.step) == [8])
        }
    }

    @Test func damagedDataCostsItsRecordAlone() throws {
        try withEventFile { file, path throws in
            var bad = Self.scalar(2)
            bad[20] ^= 1
            try file.append(Self.scalar(1) + bad + Self.scalar(3))
            var tail = EventFileTail(path: path)
            let found = try Self.read(&tail)
            #expect(found.points.map(\.step) == [1, 3] && found.dropped == 1)
        }
    }

    @Test func afterADamagedLengthTheNextSoundRecordIsFound() throws {
        try withEventFile { file, path throws in
            var bad = Self.scalar(2)
            bad[3] ^= 0x40
            try file.append(Self.scalar(1) + bad + Self.scalar(3) + [9, 9, 9])
            var tail = EventFileTail(path: path)
            let found = try Self.read(&tail)
            #expect(found.points.map(\.step) == [1, 3] && found.dropped == 1)
        }
    }

    @Test func aRecordMayBeLargerThanOneRead() throws {
        try withEventFile { file, path throws in
            let large = Self.record(Self.event("text", Self.field(8, [UInt8](repeating: 0, count: TelemetryLimits.readBytesMax)), step: 2))
            try file.append(Self.scalar(1) + large + Self.scalar(3))
            var tail = EventFileTail(path: path)
            #expect(try Self.read(&tail).points.map(\.step) == [1, 3])
        }
    }

    @Test func aLengthBeyondTheBoundIsDamage() throws {
        try withEventFile { file, path throws in
            for (bytes, dropped) in [(TelemetryLimits.recordBytesMax, 0), (TelemetryLimits.recordBytesMax + 1, 1)] {
                try file.replace(with: "")
                let length = Self.little(UInt64(bytes))
                try file.append(length + Self.little(Checksum.masked(length)) + Self.scalar(1))
                var tail = EventFileTail(path: path)
                // Within the bound it is a record whose end is still to come.
                let found = try Self.read(&tail)
                #expect(found.dropped == dropped && found.points.count == dropped)
            }
        }
    }

    @Test func aFileWrittenAnewIsReadFromItsBeginning() throws {
        try withEventFile { file, path throws in
            try file.append(Self.scalar(1) + Self.scalar(2))
            var tail = EventFileTail(path: path)
            _ = try Self.read(&tail)
            try file.replace(with: "")
            try file.append(Self.scalar(5))
            #expect(try Self.read(&tail).points.map(\.step) == [5])
        }
    }

    // MARK: Events

    @Test func numbersComeAsWritersKeepThem() {
        let double = Self.varint(1 << 3) + [2] + Self.field(4, Self.little((0.1).bitPattern))
        let float = Self.varint(1 << 3) + [1] + Self.field(5, Self.little(Float(2.5).bitPattern))
        for (value, expected) in [
            (Self.simple(1.25), 1.25), (Self.simple(.infinity), .infinity), (Self.field(8, double), 0.1), (Self.field(8, float), 2.5),
        ] {
            let found = TensorBoardEvent.parse(Self.event("a/b", value, step: 3)[...], receivedAt: 5)
            #expect(found.points == [FollowedPoint(key: "a/b", step: 3, seconds: 100, value: expected)] && found.dropped == 0)
        }
        let found = TensorBoardEvent.parse(Self.event("a", Self.simple(.nan), step: 3, time: -.infinity)[...], receivedAt: 5)
        #expect(found.points.count == 1 && found.points[0].value.isNaN && found.points[0].seconds == 5)
    }

    @Test func whatCannotBeTakenIsCounted() {
        func taken(_ event: [UInt8]) -> [Int] {
            let found = TensorBoardEvent.parse(event[...], receivedAt: 5)
            return [found.points.count, found.dropped]
        }
        let value = Self.simple(1)
        #expect(taken(Self.event("k", value, step: Int64(TelemetryLimits.stepMax))) == [1, 0])
        #expect(taken(Self.event("k", value, step: Int64(TelemetryLimits.stepMax) + 1)) == [0, 1])
        #expect(taken(Self.event("k", value, step: -1)) == [0, 1])
        #expect(taken(Self.event(String(repeating: "k", count: TelemetryLimits.keyBytesMax), value, step: 1)) == [1, 0])
        #expect(taken(Self.event(String(repeating: "k", count: TelemetryLimits.keyBytesMax + 1), value, step: 1)) == [0, 1])
        let many = (0...TelemetryLimits.keysPerLineMax).flatMap { Self.field(1, Self.field(1, Array("k\($0)".utf8)) + value) }
        #expect(taken(Self.field(5, many)) == [TelemetryLimits.keysPerLineMax, 1])
        #expect(taken([0xFF]) == [0, 1])
        // An image or a text is no scalar, and nothing is missing.
        #expect(taken(Self.event("image", Self.field(4, [1, 2, 3]), step: 1)) == [0, 0])
    }

    @Test func noBytesBreakTheReader() throws {
        var random = SystemRandomNumberGenerator()
        try withEventFile { file, path throws in
            for _ in 0..<200 {
                var bytes = (0..<6).flatMap { Self.scalar(Int64($0)) }
                for _ in 0..<Int.random(in: 1...20, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                try file.replace(with: "")
                try file.append(bytes)
                var tail = EventFileTail(path: path)
                #expect(try Self.read(&tail).points.count <= 6)
            }
        }
    }

    // MARK: Finding

    @Test func filesAreFoundAtAnyDepthUpToTheBounds() async throws {
        try await withFolder { folder in
            let deepest = folder + String(repeating: "/d", count: TelemetryLimits.eventFolderDepthMax)
            try FileManager.default.createDirectory(atPath: deepest + "/d", withIntermediateDirectories: true)
            for path in [folder + "/events.out.tfevents.1", deepest + "/events.out.tfevents.2", deepest + "/d/events.out.tfevents.3"] {
                try GrowingFile(path: path).append([1])
            }
            try GrowingFile(path: folder + "/model.bin").append([1])
            try FileManager.default.createSymbolicLink(atPath: folder + "/link.tfevents", withDestinationPath: "/etc/passwd")
            let expected = [deepest + "/events.out.tfevents.2", folder + "/events.out.tfevents.1"].sorted()
            #expect(EventFileFinder.find(below: folder).map(\.path) == expected)
            #expect(EventFileFinder.find(below: folder + "/none").isEmpty)
        }
    }

    @Test func equalTagsOfFilesThatBelongTogetherStayApart() async throws {
        try await withFolder { folder in
            let places = ["runs/a/", "runs/a/loss_one/", "runs/b/", "keras/train/", "keras/validation/"]
            for place in places {
                try FileManager.default.createDirectory(atPath: folder + "/" + place, withIntermediateDirectories: true)
                try GrowingFile(path: folder + "/" + place + "tfevents.1").append([1])
            }
            let found = EventFileFinder.find(below: folder)
            let prefixes = Dictionary(uniqueKeysWithValues: found.map { ($0.path.dropFirst(folder.count + 1).dropLast(10), $0.prefix) })
            // Starts of one training lie beside one another, and their curves are one.
            #expect(prefixes["runs/a/"] == "" && prefixes["runs/b/"] == "" && prefixes["runs/a/loss_one/"] == "loss_one/")
            #expect(prefixes["keras/train/"] == "train/" && prefixes["keras/validation/"] == "validation/")
            #expect(EventFileFinder.find(below: folder + "/keras/train").map(\.prefix) == [""])
            let file = GrowingFile(path: folder + "/keras/train/tfevents.1")
            try file.replace(with: "")
            let long = String(repeating: "k", count: TelemetryLimits.keyBytesMax)
            for tag in ["loss", "train/loss", long] { try file.append(Self.record(Self.event(tag, Self.simple(1), step: 1))) }
            var tail = EventFileTail(path: file.path, prefix: "train/")
            let piece = try Self.read(&tail)
            #expect(piece.points.map(\.key) == ["train/loss", "train/loss"] && piece.dropped == 1)
        }
    }

    @Test func soManyFilesAreFollowed() async throws {
        try await withFolder { folder in
            for number in 0..<TelemetryLimits.eventFilesMax { try GrowingFile(path: folder + "/tfevents.\(number)").append([1]) }
            #expect(EventFileFinder.find(below: folder).count == TelemetryLimits.eventFilesMax)
            try GrowingFile(path: folder + "/tfevents.more").append([1])
            #expect(EventFileFinder.find(below: folder).count == TelemetryLimits.eventFilesMax)
        }
    }

    @Test func soManyFoldersAreLookedInto() async throws {
        try await withFolder { folder in
            // The folder itself counts, and each of the others holds a file or lies in one that does.
            func make(_ count: Int, below name: String) throws {
                for number in 0..<count {
                    try FileManager.default.createDirectory(atPath: "\(folder)/\(name)/\(number)", withIntermediateDirectories: true)
                }
            }
            try make(TelemetryLimits.eventFoldersMax - 2, below: "a")
            for number in 0..<TelemetryLimits.eventFilesMax { try GrowingFile(path: folder + "/a/\(number)/tfevents").append([1]) }
            #expect(EventFileFinder.find(below: folder).count == TelemetryLimits.eventFilesMax)
            // As many again, of which half at most can be looked into.
            try make(TelemetryLimits.eventFoldersMax, below: "b")
            #expect(EventFileFinder.find(below: folder + "/b").isEmpty)
            #expect(EventFileFinder.find(below: folder).count <= TelemetryLimits.eventFilesMax)
        }
    }

    private func withEventFile(_ body: (GrowingFile, String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/anneal-telemetry-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer {
            do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record("\(folder) is left: \(error)") }
        }
        let path = folder + "/events.out.tfevents.1.host"
        try body(GrowingFile(path: path), path)
    }
}
