/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), and the mask that TFRecord files put over it.
enum Checksum {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
    }

    static func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var value = UInt32.max
        table.withUnsafeBufferPointer { table in
            for byte in bytes { value = (value >> 8) ^ table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] }
        }
        return ~value
    }

    /// A checksum of bytes that hold checksums would be weak (tensorflow/tsl, lib/hash/crc32c.h).
    static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let value = crc32c(bytes)
        return ((value >> 15) | (value << 17)) &+ 0xA282_EAD8
    }
}
