import Glibc

/// Numbers with a fixed number of decimals, rounded as C and Python round them.
enum DecimalText {
    static func fixed(_ value: Double, decimals: Int) -> String {
        guard value.isFinite else { return "\(value)" }
        // The longest finite number has 309 digits before its point.
        var buffer = [CChar](repeating: 0, count: 340 + decimals)
        let count = withVaList([Int32(decimals), value]) { vsnprintf(&buffer, buffer.count, "%.*f", $0) }
        return String(decoding: buffer.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
