import JSON
import Synchronization

/// Hides the values of secrets in text: each of their bytes becomes a `*`, so that offsets into a file stay true.
public struct SecretMask: Sendable {
    /// Shorter values are not hidden: they would be found everywhere.
    public static let bytesMin = 6

    /// The longest come first, so that a value within another does not hide that one's parts alone.
    private let values: [[UInt8]]

    /// Hides each value, and each line of a value that has several.
    public init(values: some Sequence<String>) {
        var parts: Set<[UInt8]> = []
        for value in values {
            for line in value.utf8.split(separator: UInt8(ascii: "\n")) + [value.utf8[...]] where line.count >= Self.bytesMin {
                parts.insert(Array(line))
            }
        }
        self.values = parts.sorted { $0.count > $1.count }
    }

    /// Hides the values also where they stand as texts of a JSON document, in which some of their characters are written otherwise.
    public init(inJSON values: some Sequence<String>) {
        self.init(
            values: values.flatMap { value in
                [value, String(decoding: JSONWriter().bytes(of: .string(value)).dropFirst().dropLast(), as: UTF8.self)]
            })
    }

    /// True where there is nothing to hide.
    public var isEmpty: Bool { values.isEmpty }

    /// How many bytes on either side of a piece of text decide what of it is hidden.
    public var contextBytes: Int { max(0, (values.first?.count ?? 1) - 1) }

    /// Hides what stands in `bytes`, and at their end also what may be the beginning of a value that goes on behind them.
    public func hide(in bytes: inout [UInt8]) {
        for value in values {
            var start = 0
            while let found = Self.first(value[0], in: bytes, from: start) {
                let length = min(value.count, bytes.count - found)
                let matches = length >= Self.bytesMin && bytes[found..<found + length].elementsEqual(value[..<length])
                if matches { for index in found..<found + length { bytes[index] = UInt8(ascii: "*") } }
                start = matches ? found + length : found + 1
            }
        }
    }

    /// The text with what is to be hidden in it replaced.
    public func hiding(_ text: String) -> String {
        guard !isEmpty else { return text }
        var bytes = Array(text.utf8)
        hide(in: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func first(_ byte: UInt8, in bytes: [UInt8], from start: Int) -> Int? {
        guard start < bytes.count else { return nil }
        return bytes[start...].firstIndex(of: byte)
    }
}

/// The values of secrets that were looked up since the daemon began, in its memory alone.
final class SeenSecrets: Sendable {
    private let values = Mutex<Set<String>>([])

    var all: Set<String> { values.withLock { $0 } }

    func add(_ new: [String]) { values.withLock { $0.formUnion(new) } }
}
