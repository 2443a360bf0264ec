import Glibc

/// Numbers as people read them.
public enum NumberText {
    /// Below this, what is left of the decimal point is written out, and whole numbers exactly.
    private static let longMax = 1e9

    /// `value` in at most `digits` significant digits, without trailing zeros, such as `0.8125`, `12`, `3e-06`; counts and other numbers
    /// of more digits keep those before the point, such as `85290`.
    public static func significant(_ value: Double, digits: Int = 4) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "∞" : "-∞" }
        let size = abs(value)
        if size < longMax, size >= 1, size == size.rounded() || size >= pow(10, Double(digits - 1)) { return fixed(value, decimals: 0) }
        return formatted("%.*g", value, precision: digits)
    }

    /// `value` with exactly `decimals` digits after the point.
    public static func fixed(_ value: Double, decimals: Int) -> String {
        guard value.isFinite else { return significant(value) }
        return formatted("%.*f", value, precision: decimals)
    }

    /// A share from 0 to 1 as a percentage with one decimal.
    public static func percent(_ share: Double) -> String { fixed(share * 100, decimals: 1) + " %" }

    /// A count of bytes in binary units, such as `1.5 GiB`.
    public static func bytes(_ count: Int64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var size = Double(count)
        var unit = 0
        while abs(size) >= 1024, unit < units.count - 1 {
            size /= 1024
            unit += 1
        }
        return unit == 0 ? "\(count) B" : "\(fixed(size, decimals: abs(size) < 10 ? 1 : 0)) \(units[unit])"
    }

    private static func formatted(_ format: String, _ value: Double, precision: Int) -> String {
        // The longest finite double in fixed notation has 309 digits before the point.
        var buffer = [CChar](repeating: 0, count: 512)
        let length = withVaList([Int32(precision), value]) { vsnprintf(&buffer, buffer.count, format, $0) }
        return String(decoding: buffer.prefix(max(0, min(Int(length), buffer.count - 1))).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
