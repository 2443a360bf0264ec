import JSON

/// Finds the positions of all values in a text that is known to be valid JSON.
struct JSONSource {
    private let bytes: [UInt8]
    private var offset = 0
    private var line: Int32 = 1
    private var column: Int32 = 1

    /// The positions of the document in `bytes`, which `JSONParser` has accepted.
    static func positions(in bytes: [UInt8]) -> SourceNode {
        var scanner = JSONSource(bytes: bytes)
        scanner.skipWhitespace()
        return scanner.value()
    }

    /// The line and column of a byte.
    static func position(of offset: Int, in bytes: [UInt8]) -> SourcePosition {
        var scanner = JSONSource(bytes: bytes)
        while scanner.offset < min(offset, bytes.count) { scanner.advance() }
        return scanner.position
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var position: SourcePosition { SourcePosition(line: line, column: column) }
    private var current: UInt8 { offset < bytes.count ? bytes[offset] : 0 }

    private mutating func advance() {
        let byte = bytes[offset]
        offset += 1
        if byte == UInt8(ascii: "\n") {
            line += 1
            column = 1
        } else if byte & 0xC0 != 0x80 {
            // Continuation bytes of UTF-8 do not count: columns are in Unicode scalars.
            column += 1
        }
    }

    private mutating func skipWhitespace() {
        while true {
            switch current {
            case 0x20, 0x09, 0x0A, 0x0D: advance()
            default: return
            }
        }
    }

    private mutating func value() -> SourceNode {
        var node = SourceNode(position: position)
        switch current {
        case UInt8(ascii: "{"):
            container { scanner in
                node.keys.append(scanner.position)
                scanner.skipString()
                scanner.skipWhitespace()
                scanner.advance()
                scanner.skipWhitespace()
                node.children.append(scanner.value())
            }
        case UInt8(ascii: "["):
            container { scanner in node.children.append(scanner.value()) }
        case UInt8(ascii: "\""):
            skipString()
        default:
            skipLiteral()
        }
        return node
    }

    /// Reads the elements between an opening and a closing bracket.
    private mutating func container(_ element: (inout JSONSource) -> Void) {
        advance()
        skipWhitespace()
        while offset < bytes.count, current != UInt8(ascii: "}"), current != UInt8(ascii: "]") {
            element(&self)
            skipWhitespace()
            if current == UInt8(ascii: ",") { advance(); skipWhitespace() }
        }
        if offset < bytes.count { advance() }
    }

    private mutating func skipLiteral() {
        while offset < bytes.count {
            switch current {
            case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), 0x20, 0x09, 0x0A, 0x0D: return
            default: advance()
            }
        }
    }

    private mutating func skipString() {
        advance()
        while offset < bytes.count, current != UInt8(ascii: "\"") {
            if current == UInt8(ascii: "\\") { advance() }
            if offset < bytes.count { advance() }
        }
        if offset < bytes.count { advance() }
    }
}
