import Glibc

/// A short run of doubles, coded by what they are: short decimals, single-precision numbers, or any.
///
/// Trainers print a loss rounded to a few digits or read it from a 32-bit tensor; both leave most of a double's bits empty
/// (the idea of ALP: Afroozeh, Kuffo and Boncz, SIGMOD 2024). Every value comes back exactly; NaN comes back as the one NaN.
enum ValueBlock {
    private enum Mode {
        /// 0 to 9: integers divided by that power of ten.
        static let decimalsMax: UInt8 = 9
        static let single: UInt8 = 32
        static let double: UInt8 = 64
    }

    private static let powers: [Double] = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]

    static func encode(_ values: [Double], into writer: inout ByteWriter) {
        if let (digits, integers) = decimals(values) {
            writer.byte(digits)
            IntegerBlock.encode(integers, into: &writer)
        } else if values.allSatisfy({ $0.isNaN || Double(Float($0)).bitPattern == $0.bitPattern }) {
            writer.byte(Mode.single)
            IntegerBlock.encode(values.map { Int64(ordered(Float($0).isNaN ? Float.nan : Float($0))) }, into: &writer)
        } else {
            writer.byte(Mode.double)
            IntegerBlock.encode(values.map { ordered($0.isNaN ? Double.nan : $0) }, into: &writer)
        }
    }

    static func decode(_ reader: inout ByteReader, count: Int, into values: inout [Double]) throws(CurveCodingError) {
        let mode = try reader.byte()
        var integers: [Int64] = []
        integers.reserveCapacity(count)
        try IntegerBlock.decode(&reader, count: count, into: &integers)
        switch mode {
        case 0...Mode.decimalsMax:
            let power = powers[Int(mode)]
            for integer in integers { values.append(Double(integer) / power) }
        case Mode.single:
            for integer in integers {
                let bits = Int32(truncatingIfNeeded: integer)
                values.append(Double(Float(bitPattern: UInt32(bitPattern: bits < 0 ? bits ^ .max : bits))))
            }
        case Mode.double:
            for bits in integers { values.append(Double(bitPattern: UInt64(bitPattern: bits < 0 ? bits ^ .max : bits))) }
        default: throw CurveCodingError.malformed
        }
    }

    /// The values as integers over one power of ten, where that gives every one of them back exactly.
    private static func decimals(_ values: [Double]) -> (UInt8, [Int64])? {
        var digits = 0
        for value in values {
            guard value.isFinite, abs(value) < 1e15, !(value == 0 && value.sign == .minus) else { return nil }
            while (value * powers[digits]).rounded() / powers[digits] != value {
                digits += 1
                guard digits < powers.count else { return nil }
            }
        }
        let power = powers[digits]
        var integers: [Int64] = []
        integers.reserveCapacity(values.count)
        for value in values {
            let scaled = (value * power).rounded()
            // Beyond 2^53 the quotient is no longer the nearest double; the check above was made with fewer digits.
            guard abs(scaled) < 9_007_199_254_740_992, scaled / power == value else { return nil }
            integers.append(Int64(scaled))
        }
        return (UInt8(digits), integers)
    }

    /// The bits of a number as an integer of the same order, so that near numbers give near integers.
    private static func ordered(_ value: Double) -> Int64 {
        let bits = Int64(bitPattern: value.bitPattern)
        return bits < 0 ? bits ^ .max : bits
    }

    private static func ordered(_ value: Float) -> Int32 {
        let bits = Int32(bitPattern: value.bitPattern)
        return bits < 0 ? bits ^ .max : bits
    }
}
