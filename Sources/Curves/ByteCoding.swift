/// Appends numbers to bytes: LEB128 for small ones, zigzag for those with a sign, little-endian for the rest.
public struct ByteWriter: Sendable {
    /// What was written.
    public private(set) var bytes: [UInt8] = []

    /// An empty writer.
    public init() {}

    /// Appends one byte.
    public mutating func byte(_ value: UInt8) { bytes.append(value) }

    /// Appends 1 to 10 bytes, seven bits in each (LEB128).
    public mutating func unsigned(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Appends a number near zero in few bytes, whatever its sign.
    public mutating func signed(_ value: Int64) { unsigned(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    /// Appends the eight bytes of a double.
    public mutating func real(_ value: Double) { word(value.bitPattern) }

    /// Appends eight bytes, the least significant first.
    public mutating func word(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }

    mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
}

/// Reads what a `ByteWriter` wrote.
public struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    /// A reader over bytes that outlive it.
    public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// True where nothing is left.
    public var isAtEnd: Bool { place >= bytes.count }

    /// The next byte.
    public mutating func byte() throws(CurveCodingError) -> UInt8 {
        guard place < bytes.count else { throw CurveCodingError.truncated }
        defer { place += 1 }
        return bytes[place]
    }

    /// The next LEB128 number.
    public mutating func unsigned() throws(CurveCodingError) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 64 else { throw CurveCodingError.malformed }
            result |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return result }
            shift += 7
        }
    }

    /// The next zigzag number.
    public mutating func signed() throws(CurveCodingError) -> Int64 {
        let raw = try unsigned()
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    /// A count of things that need at least a bit each, so that a broken length cannot ask for all memory.
    public mutating func count(max: Int) throws(CurveCodingError) -> Int {
        let raw = try unsigned()
        guard raw <= UInt64(max) else { throw CurveCodingError.malformed }
        return Int(raw)
    }

    /// The next double.
    public mutating func real() throws(CurveCodingError) -> Double { Double(bitPattern: try word()) }

    /// The next eight bytes.
    public mutating func word() throws(CurveCodingError) -> UInt64 {
        guard place + 8 <= bytes.count else { throw CurveCodingError.truncated }
        defer { place += 8 }
        return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
    }

    /// The next `length` bytes, and those after them for readers of whole words.
    mutating func take(_ length: Int) throws(CurveCodingError) -> (start: Int, base: UnsafeRawBufferPointer) {
        guard length >= 0, place + length <= bytes.count else { throw CurveCodingError.truncated }
        defer { place += length }
        return (place, bytes)
    }
}

/// Why coded points could not be read: the database or the file was damaged.
public enum CurveCodingError: Error, Sendable, Equatable {
    /// It ends before it should.
    case truncated
    /// A length or a mode that no writer writes.
    case malformed
}
