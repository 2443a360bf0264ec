/// A key as it was pressed on a terminal.
public enum Key: Sendable, Equatable {
    case character(Character)
    case enter, escape, backspace
    case up, down, left, right
    case pageUp, pageDown, home, end
    /// Control-L, by which users ask for the screen to be drawn anew.
    case redraw
}

/// Reads keys from the bytes that a terminal sends (ECMA-48 control sequences and UTF-8), however they are cut.
public struct KeyParser: Sendable {
    /// A longer sequence is no key of any terminal.
    private static let sequenceBytesMax = 32

    private var pending: [UInt8] = []

    public init() {}

    /// Takes the next bytes and returns the keys that they complete.
    public mutating func keys(in bytes: some Sequence<UInt8>) -> [Key] {
        pending += bytes
        var keys: [Key] = []
        while let (key, length) = first() {
            pending.removeFirst(length)
            if let key { keys.append(key) }
        }
        return keys
    }

    /// What an unfinished sequence means once nothing has followed it: a lone escape is the Escape key.
    public mutating func flush() -> [Key] {
        defer { pending = [] }
        return pending == [0x1B] ? [.escape] : []
    }

    /// The first key and its bytes; `nil` for the key where the bytes mean none, and for both where more must come.
    private func first() -> (key: Key?, length: Int)? {
        guard let byte = pending.first else { return nil }
        switch byte {
        case 0x1B: return sequence()
        case 0x0A, 0x0D: return (.enter, 1)
        case 0x08, 0x7F: return (.backspace, 1)
        case 0x0C: return (.redraw, 1)
        case ..<0x20: return (nil, 1)
        case ..<0x80: return (.character(Character(Unicode.Scalar(byte))), 1)
        default: return character(byte)
        }
    }

    private func sequence() -> (key: Key?, length: Int)? {
        guard pending.count > 1 else { return nil }
        switch pending[1] {
        case UInt8(ascii: "["):
            guard let end = pending.dropFirst(2).firstIndex(where: { (0x40...0x7E).contains($0) }) else {
                return pending.count > Self.sequenceBytesMax ? (nil, pending.count) : nil
            }
            return (Self.key(parameters: pending[2..<end], final: pending[end]), end + 1)
        case UInt8(ascii: "O"):
            // The form of the arrows in the application mode of the keypad.
            guard pending.count > 2 else { return nil }
            return (Self.key(parameters: [], final: pending[2]), 3)
        default: return (.escape, 1)
        }
    }

    private static func key(parameters: ArraySlice<UInt8>, final: UInt8) -> Key? {
        switch final {
        case UInt8(ascii: "A"): return .up
        case UInt8(ascii: "B"): return .down
        case UInt8(ascii: "C"): return .right
        case UInt8(ascii: "D"): return .left
        case UInt8(ascii: "H"): return .home
        case UInt8(ascii: "F"): return .end
        case UInt8(ascii: "~"):
            // A modifier may follow after a semicolon.
            switch String(decoding: parameters.prefix { $0 != UInt8(ascii: ";") }, as: UTF8.self) {
            case "1", "7": return .home
            case "4", "8": return .end
            case "5": return .pageUp
            case "6": return .pageDown
            default: return nil
            }
        default: return nil
        }
    }

    private func character(_ lead: UInt8) -> (key: Key?, length: Int)? {
        let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
        guard lead >= 0xC2, lead < 0xF5 else { return (nil, 1) }
        guard pending.count >= length else { return nil }
        guard let text = String(validating: pending[..<length], as: UTF8.self), let character = text.first else { return (nil, 1) }
        return (.character(character), length)
    }
}
