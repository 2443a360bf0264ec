/// Why an archive cannot be read.
public struct TarError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
    /// Whether a limit was passed, and not a rule broken.
    public var isTooLarge: Bool

    public init(_ description: String, isTooLarge: Bool = false) { (self.description, self.isTooLarge) = (description, isTooLarge) }
}

/// What comes out of an archive, in its order.
public protocol TarSink {
    /// A file begins; `size` bytes of content follow.
    mutating func begin(_ name: String, size: Int64) throws
    mutating func content(_ bytes: UnsafeRawBufferPointer) throws
    /// The file that began last is whole.
    mutating func end() throws
}

/// Reads a tar archive as its bytes come in, in pieces of any size: files and folders of ustar, with the extended headers of pax and the
/// long names of GNU tar. Whatever else an archive may hold, such as links and devices, is refused.
public struct TarReader: Sendable {
    /// Bytes of an extended header: of a name, in practice.
    public static let extensionBytesMax: Int64 = 64 * 1024

    private enum Part: Sendable {
        case header, file, extended(Kind), filling, ended
    }
    private enum Kind: Sendable { case pax, longName, ignored }

    private var part = Part.header
    private var block: [UInt8] = []
    private var extended: [UInt8] = []
    /// Bytes that are left of the content, and of the filling after it.
    private var left: Int64 = 0
    private var filling = 0
    private var emptyBlocks = 0
    private var nextName: String?
    private var nextSize: Int64?

    public init() {}

    /// Takes the next bytes of the archive. After it has thrown it is of no more use.
    public mutating func take(_ bytes: [UInt8], into sink: inout some TarSink) throws {
        try bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty { try step(&rest, &sink) }
        }
    }

    /// Throws where the archive has not come to its end.
    public func finish() throws(TarError) {
        guard case .ended = part else { throw TarError("the archive is cut off: its end is missing") }
    }

    private mutating func step(_ rest: inout Slice<UnsafeRawBufferPointer>, _ sink: inout some TarSink) throws {
        switch part {
        case .header:
            let count = min(TarHeader.blockBytes - block.count, rest.count)
            block += rest.prefix(count)
            rest = rest.dropFirst(count)
            guard block.count == TarHeader.blockBytes else { return }
            let header = block
            block.removeAll(keepingCapacity: true)
            try take(header: header, &sink)
        case .file:
            let count = Int(min(left, Int64(rest.count)))
            try sink.content(UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
            rest = rest.dropFirst(count)
            left -= Int64(count)
            if left == 0 {
                try sink.end()
                part = .filling
            }
        case .extended(let kind):
            let count = Int(min(left, Int64(rest.count)))
            if kind != .ignored { extended += rest.prefix(count) }
            rest = rest.dropFirst(count)
            left -= Int64(count)
            if left == 0 {
                try take(extension: kind)
                part = .filling
            }
        case .filling:
            let count = min(filling, rest.count)
            rest = rest.dropFirst(count)
            filling -= count
        case .ended:
            guard rest.allSatisfy({ $0 == 0 }) else { throw TarError("something follows the end of the archive") }
            rest = rest.dropFirst(rest.count)
        }
        if case .filling = part, filling == 0 { part = .header }
    }

    private mutating func take(header: [UInt8], _ sink: inout some TarSink) throws {
        if header.allSatisfy({ $0 == 0 }) {
            emptyBlocks += 1
            if emptyBlocks == 2 { part = .ended }
            return
        }
        guard emptyBlocks == 0 else { throw TarError("a block of zeros stands within the archive") }
        guard header[257..<262].elementsEqual("ustar".utf8), try Self.number(header, 148, 8) == Self.sum(of: header) else {
            throw TarError("this is no tar archive, or it is damaged: the sum of a header is wrong")
        }
        let type = header[156]
        let isFile = type == UInt8(ascii: "0") || type == 0
        let size = try isFile ? nextSize ?? Self.number(header, 124, 12) : Self.number(header, 124, 12)
        let name = try nextName ?? Self.name(of: header)
        left = size
        filling = TarHeader.filling(after: size).count
        switch type {
        case UInt8(ascii: "0"), 0:
            (nextName, nextSize) = (nil, nil)
            try sink.begin(name, size: size)
            part = size == 0 ? .filling : .file
            if size == 0 { try sink.end() }
        case UInt8(ascii: "5"):
            (nextName, nextSize) = (nil, nil)
            guard size == 0 else { throw TarError("the folder '\(name)' has a content") }
        case UInt8(ascii: "x"): try begin(.pax, of: size)
        case UInt8(ascii: "L"): try begin(.longName, of: size)
        case UInt8(ascii: "g"): try begin(.ignored, of: size)
        case UInt8(ascii: "1"), UInt8(ascii: "2"): throw TarError("'\(name)' is a link; only files and folders are taken")
        default: throw TarError("'\(name)' is neither a file nor a folder")
        }
    }

    private mutating func begin(_ kind: Kind, of size: Int64) throws {
        guard size <= Self.extensionBytesMax else {
            throw TarError("an extended header is larger than \(Self.extensionBytesMax) bytes", isTooLarge: true)
        }
        extended.removeAll(keepingCapacity: true)
        part = size == 0 ? .filling : .extended(kind)
    }

    private mutating func take(extension kind: Kind) throws {
        switch kind {
        case .ignored: return
        case .longName: nextName = try Self.text(extended.prefix { $0 != 0 })
        case .pax:
            var rest = extended[...]
            while let blank = rest.firstIndex(of: UInt8(ascii: " ")) {
                guard let length = Int(String(decoding: rest[..<blank], as: UTF8.self)), length > blank - rest.startIndex + 1,
                    length <= rest.count
                else { throw TarError("an extended header is damaged") }
                let entry = rest[(blank + 1)..<(rest.startIndex + length - 1)]
                rest = rest[(rest.startIndex + length)...]
                guard let sign = entry.firstIndex(of: UInt8(ascii: "=")) else { throw TarError("an extended header is damaged") }
                let value = try Self.text(entry[(sign + 1)...])
                switch String(decoding: entry[..<sign], as: UTF8.self) {
                case "path": nextName = value
                case "size":
                    guard let size = Int64(value), size >= 0 else { throw TarError("an extended header has no sound size") }
                    nextSize = size
                default: break
                }
            }
        }
    }

    private static func name(of header: [UInt8]) throws -> String {
        let name = try text(header[0..<100].prefix { $0 != 0 })
        // GNU's own format has other fields where ustar has the first part of a long name.
        guard header[262] == 0 else { return name }
        let prefix = try text(header[345..<500].prefix { $0 != 0 })
        return prefix.isEmpty ? name : prefix + "/" + name
    }

    private static func text(_ bytes: some Collection<UInt8>) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw TarError("a name in the archive is no UTF-8") }
        return text
    }

    /// An octal number, or one in base 256, which GNU tar writes where the digits do not suffice.
    private static func number(_ header: [UInt8], _ place: Int, _ count: Int) throws -> Int64 {
        let field = header[place..<place + count]
        if let first = field.first, first & 0x80 != 0 {
            guard first == 0x80, field.dropFirst().dropLast(8).allSatisfy({ $0 == 0 }) else { throw TarError("a number is too large") }
            let number = field.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard let number = Int64(exactly: number) else { throw TarError("a number is too large") }
            return number
        }
        let digits = String(decoding: field.filter { $0 != 0x20 && $0 != 0 }, as: UTF8.self)
        guard let number = digits.isEmpty ? 0 : Int64(digits, radix: 8), number >= 0 else { throw TarError("a header is damaged") }
        return number
    }

    private static func sum(of header: [UInt8]) -> Int64 {
        header.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 0x20 : Int64($1.element)) }
    }
}
