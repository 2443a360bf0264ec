/// A short run of 64-bit integers, coded as small as their regularity allows.
///
/// Of the numbers themselves, their differences and the differences of those, what spreads least is taken; from it the least is
/// subtracted and the rest packed in so many bits each, with the few that do not fit kept apart (patched frame of reference:
/// Zukowski et al., Super-Scalar RAM-CPU Cache Compression, ICDE 2006). A regular series of steps takes no bits at all.
enum IntegerBlock {
    /// Numbers that one block may hold; the places of those kept apart take one byte.
    static let lengthMax = 256
    private static let differencesMax = 2

    static func encode(_ numbers: [Int64], into writer: inout ByteWriter) {
        var best: Packing?
        var rest = numbers
        var heads: [Int64] = []
        for order in 0...differencesMax where numbers.count > order {
            if order > 0 {
                heads.append(rest[0])
                rest = zip(rest.dropFirst(), rest).map { $0 &- $1 }
            }
            let packing = Packing(rest, heads: heads)
            if best.map({ packing.bits < $0.bits }) ?? true { best = packing }
        }
        best?.write(to: &writer)
    }

    /// - Parameter count: how many numbers were coded; at least 1.
    static func decode(_ reader: inout ByteReader, count: Int, into numbers: inout [Int64]) throws(CurveCodingError) {
        let order = Int(try reader.byte())
        guard order <= differencesMax, order < count else { throw CurveCodingError.malformed }
        var heads: [Int64] = []
        for _ in 0..<order { heads.append(try reader.signed()) }
        let start = numbers.count
        for head in heads { numbers.append(head) }
        try Packing.read(&reader, count: count - order, into: &numbers)
        // heads[k] is the first of the k-th differences; undo them from the innermost outwards.
        for level in stride(from: order, to: 0, by: -1) {
            var running = heads[level - 1]
            numbers[start + level - 1] = running
            for index in (start + level)..<numbers.count {
                running &+= numbers[index]
                numbers[index] = running
            }
        }
    }
}

/// Numbers less their least, packed in as many bits as most of them need.
private struct Packing {
    let numbers: [Int64]
    let heads: [Int64]
    let base: Int64
    let width: Int
    let bits: Int

    init(_ numbers: [Int64], heads: [Int64]) {
        self.numbers = numbers
        self.heads = heads
        base = numbers.min() ?? 0
        var lengths = [Int](repeating: 0, count: 65)
        for number in numbers { lengths[64 - UInt64(bitPattern: number &- base).leadingZeroBitCount] += 1 }
        // An exception costs its place and what of it does not fit, in whole bytes.
        var (bestWidth, bestBits) = (64, Int.max)
        for width in 0...64 {
            var bits = width * numbers.count
            for length in (width + 1)..<65 where width < 64 && lengths[length] > 0 {
                bits += lengths[length] * (8 + 8 * ((length - width + 6) / 7))
            }
            if bits < bestBits { (bestWidth, bestBits) = (width, bits) }
        }
        width = bestWidth
        bits = bestBits + heads.count * 32
    }

    func write(to writer: inout ByteWriter) {
        writer.byte(UInt8(heads.count))
        for head in heads { writer.signed(head) }
        writer.signed(base)
        let offsets = numbers.map { UInt64(bitPattern: $0 &- base) }
        let exceptions = width == 64 ? [] : offsets.indices.filter { offsets[$0] >> UInt64(width) != 0 }
        writer.byte(UInt8(width))
        writer.unsigned(UInt64(exceptions.count))
        var packed = [UInt8](repeating: 0, count: (offsets.count * width + 7) / 8)
        if width > 0 {
            let mask: UInt64 = width == 64 ? .max : (1 << UInt64(width)) - 1
            var place = 0
            for offset in offsets {
                var value = offset & mask
                var left = width
                while left > 0 {
                    let shift = place & 7
                    packed[place >> 3] |= UInt8(truncatingIfNeeded: value << UInt64(shift))
                    let taken = min(8 - shift, left)
                    value >>= UInt64(taken)
                    place += taken
                    left -= taken
                }
            }
        }
        writer.append(packed)
        for index in exceptions {
            writer.byte(UInt8(index))
            writer.unsigned(offsets[index] >> UInt64(width))
        }
    }

    static func read(_ reader: inout ByteReader, count: Int, into numbers: inout [Int64]) throws(CurveCodingError) {
        let base = try reader.signed()
        let width = Int(try reader.byte())
        guard width <= 64 else { throw CurveCodingError.malformed }
        let exceptions = try reader.count(max: count)
        let start = numbers.count
        if width == 0 {
            numbers.append(contentsOf: repeatElement(base, count: count))
        } else {
            let (offset, bytes) = try reader.take((count * width + 7) / 8)
            unpack(bytes, at: offset, width: width, count: count, base: base, into: &numbers)
        }
        for _ in 0..<exceptions {
            let index = Int(try reader.byte())
            let high = try reader.unsigned()
            guard index < count, width < 64 else { throw CurveCodingError.malformed }
            numbers[start + index] = numbers[start + index] &+ Int64(bitPattern: high << UInt64(width))
        }
    }

    private static func unpack(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, width: Int, count: Int, base: Int64, into numbers: inout [Int64]
    ) {
        let mask: UInt64 = width == 64 ? .max : (1 << UInt64(width)) - 1
        var place = offset * 8
        for _ in 0..<count {
            let (byte, shift) = (place >> 3, UInt64(place & 7))
            var value: UInt64
            if byte + 8 <= bytes.count {
                value = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: byte, as: UInt64.self)) >> shift
                // A number of more than 57 bits may reach into a ninth byte.
                if shift > 0, Int(shift) + width > 64 { value |= UInt64(bytes[byte + 8]) << (64 - shift) }
            } else {
                value = 0
                for (index, next) in (byte..<bytes.count).enumerated() {
                    let position = index * 8 - Int(shift)
                    value |= position >= 0 ? UInt64(bytes[next]) << UInt64(position) : UInt64(bytes[next]) >> shift
                }
            }
            numbers.append(base &+ Int64(bitPattern: value & mask))
            place += width
        }
    }
}
