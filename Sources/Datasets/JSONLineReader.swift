import Glibc

/// Reads a file line by line in big chunks; no line is copied unless it straddles two chunks.
public struct JSONLineReader {
    /// Bytes of the longest line that is read; a longer one is reported and passed over.
    public static let lineBytesMax = 64 << 20
    /// Bytes asked of one `read(2)`.
    public static let chunkBytes = 1 << 20

    /// One line, valid only during the call that receives it.
    public struct Line {
        /// Counted from 1.
        public var number: Int
        /// Bytes of the file before the line.
        public var offset: Int
        /// Without its line feed and a carriage return before it; empty for a line that is too long.
        public var bytes: UnsafeBufferPointer<UInt8>
        /// True where the line has more than `lineBytesMax` bytes.
        public var isTooLong: Bool
        /// False for a last line without a line feed.
        public var isTerminated: Bool

        /// True where nothing but white space stands on the line.
        public var isBlank: Bool { bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }
    }

    private let path: String
    private let lineBytesMax: Int
    private let chunkBytes: Int

    public init(path: String, lineBytesMax: Int = JSONLineReader.lineBytesMax, chunkBytes: Int = JSONLineReader.chunkBytes) {
        self.path = path
        self.lineBytesMax = lineBytesMax
        self.chunkBytes = chunkBytes
    }

    /// Calls `onChunk` with all bytes in order and `onLine` with each line. Errors of the file are `FileError`.
    public func read(onChunk: (UnsafeRawBufferPointer) -> Void = { _ in }, onLine: (Line) throws -> Void) throws {
        let file = try FileReader(path: path)
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkBytes, alignment: 16)
        defer { chunk.deallocate() }
        var assembly = LineAssembly(lineBytesMax: lineBytesMax)
        while true {
            let count = try file.read(into: chunk)
            let filled = UnsafeRawBufferPointer(rebasing: chunk[..<count])
            if count > 0 {
                onChunk(filled)
                try assembly.feed(filled.assumingMemoryBound(to: UInt8.self), onLine)
            }
            if count < chunkBytes { break }
        }
        try assembly.finish(onLine)
    }
}

/// Cuts chunks into lines and keeps the start of a line that goes on in the next chunk.
private struct LineAssembly {
    let lineBytesMax: Int
    private var held: [UInt8] = []
    private var number = 0
    private var offset = 0
    /// Bytes of the line so far, also where they are not kept.
    private var heldCount = 0
    private var isOverlong = false

    init(lineBytesMax: Int) { self.lineBytesMax = lineBytesMax }

    mutating func feed(_ chunk: UnsafeBufferPointer<UInt8>, _ onLine: (JSONLineReader.Line) throws -> Void) throws {
        var start = 0
        while start < chunk.count, let base = chunk.baseAddress {
            guard let found = memchr(base + start, 0x0A, chunk.count - start) else { break }
            let end = UnsafeRawPointer(base).distance(to: UnsafeRawPointer(found))
            let piece = UnsafeBufferPointer(rebasing: chunk[start..<end])
            start = end + 1
            if heldCount == 0 {
                try emit(piece, length: piece.count, isTerminated: true, onLine)
            } else {
                hold(piece)
                try emitHeld(isTerminated: true, onLine)
            }
        }
        hold(UnsafeBufferPointer(rebasing: chunk[start...]))
    }

    mutating func finish(_ onLine: (JSONLineReader.Line) throws -> Void) throws {
        if heldCount > 0 { try emitHeld(isTerminated: false, onLine) }
    }

    private mutating func hold(_ piece: UnsafeBufferPointer<UInt8>) {
        heldCount += piece.count
        if isOverlong { return }
        if held.count + piece.count > lineBytesMax {
            isOverlong = true
            held = []
        } else {
            held.append(contentsOf: piece)
        }
    }

    private mutating func emitHeld(isTerminated: Bool, _ onLine: (JSONLineReader.Line) throws -> Void) throws {
        let line = held
        held.removeAll(keepingCapacity: true)
        let length = heldCount
        heldCount = 0
        try line.withUnsafeBufferPointer { try emit($0, length: length, isTerminated: isTerminated, onLine) }
        isOverlong = false
    }

    private mutating func emit(
        _ bytes: UnsafeBufferPointer<UInt8>, length: Int, isTerminated: Bool, _ onLine: (JSONLineReader.Line) throws -> Void
    ) throws {
        number += 1
        let start = offset
        offset += length + 1
        let isTooLong = isOverlong || bytes.count > lineBytesMax
        var end = isTooLong ? 0 : bytes.count
        if end > 0, bytes[end - 1] == 0x0D { end -= 1 }
        try onLine(
            JSONLineReader.Line(
                number: number, offset: start, bytes: UnsafeBufferPointer(rebasing: bytes[..<end]), isTooLong: isTooLong,
                isTerminated: isTerminated))
    }
}
