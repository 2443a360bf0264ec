import Domain
import JSON

/// Reads spans of time and sizes of memory as people write them.
public enum Quantity {
    /// Reads a duration: a number of seconds, or text such as `90s`, `30m`, `1h30m`, `0.5d`, `500ms`.
    ///
    /// - Returns: `nil` for anything else, for negative spans and for spans beyond a hundred years.
    public static func duration(_ value: JSONValue) -> Duration? {
        let seconds: Double?
        if case .string(let text) = value { seconds = self.seconds(text) } else { seconds = value.double }
        guard let seconds, seconds.isFinite, seconds >= 0, seconds <= 100 * 365 * 86_400 else { return nil }
        return .milliseconds(Int64((seconds * 1000).rounded()))
    }

    private static let unitSeconds: [String: Double] = ["ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400]

    private static func seconds(_ text: String) -> Double? {
        var rest = text[...]
        var total = 0.0
        repeat {
            guard let number = takeNumber(&rest) else { return nil }
            let unit = String(rest.prefix { $0.isLetter })
            rest = rest.dropFirst(unit.count)
            guard let factor = unitSeconds[unit] else { return nil }
            total += number * factor
        } while !rest.isEmpty
        return total
    }

    private static let unitBytes: [String: Double] = [
        "": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
        "KiB": 0x1p10, "MiB": 0x1p20, "GiB": 0x1p30, "TiB": 0x1p40,
        "K": 0x1p10, "M": 0x1p20, "G": 0x1p30, "T": 0x1p40, "Ki": 0x1p10, "Mi": 0x1p20, "Gi": 0x1p30, "Ti": 0x1p40,
    ]

    /// Reads a size in bytes: a whole number, or text such as `16GiB`, `1.5TiB`, `500MB`.
    ///
    /// A bare `G` is a `GiB`, as Slurm and Docker read it.
    public static func bytes(_ value: JSONValue) -> Int64? {
        if case .int(let count) = value { return count >= 0 ? count : nil }
        // JSON does not tell 16.0 from 16.
        if case .double(let number) = value { return number >= 0 && number < 0x1p62 ? Int64(exactly: number) : nil }
        guard case .string(let text) = value else { return nil }
        var rest = text[...]
        guard let number = takeNumber(&rest) else { return nil }
        let unit = rest.trimmingSpaces()
        guard let factor = unitBytes[unit], number * factor < 0x1p62 else { return nil }
        return Int64((number * factor).rounded())
    }

    private static func takeNumber(_ text: inout Substring) -> Double? {
        let digits = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        guard let first = digits.first, first != ".", digits.last != "." else { return nil }
        text = text.dropFirst(digits.count)
        return Double(digits)
    }
}
