/// Which positions of a segment are there: the p-th is bit p % 8 (1 << (p % 8)) of byte p / 8.
struct PositionBits {
    /// Positions of a segment.
    static let width = 32_768

    private(set) var bytes: [UInt8]

    /// - Parameter bytes: as in the database, where zero bytes at the end are left out.
    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    func contains(_ position: Int) -> Bool {
        let byte = position / 8
        return byte < bytes.count && bytes[byte] & (1 << (position % 8)) != 0
    }

    /// Adds positions, a byte at a time. Returns how many of them are new.
    mutating func insert(_ range: ClosedRange<Int>) -> Int {
        let (first, last) = (range.lowerBound / 8, range.upperBound / 8)
        if last >= bytes.count { bytes += Array(repeating: 0, count: last + 1 - bytes.count) }
        var fresh = 0
        for byte in first...last {
            var mask: UInt8 = 0xFF
            if byte == first { mask &= 0xFF << (range.lowerBound % 8) }
            if byte == last { mask &= 0xFF >> (7 - range.upperBound % 8) }
            fresh += (mask & ~bytes[byte]).nonzeroBitCount
            bytes[byte] |= mask
        }
        return fresh
    }

    /// The first positions that are missing, as ranges, of the first `count`.
    func gaps(below count: Int, max: Int) -> [ClosedRange<Int>] {
        var gaps: [ClosedRange<Int>] = []
        var start: Int?
        for position in 0..<count {
            if !contains(position) {
                start = start ?? position
            } else if let from = start {
                gaps.append(from...(position - 1))
                start = nil
                if gaps.count == max { return gaps }
            }
        }
        if let start { gaps.append(start...(count - 1)) }
        return gaps
    }
}
