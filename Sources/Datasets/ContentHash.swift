import Crypto

/// SHA-256 in lower-case hexadecimal.
public enum ContentHash {
    private static let chunkBytes = 1 << 20

    /// The SHA-256 of a text, in hexadecimal.
    public static func sha256(of bytes: [UInt8]) -> String { SHA256.hash(data: bytes).hexadecimal }

    /// The first 128 bits of the SHA-256 of `bytes`.
    static func digest(of bytes: [UInt8]) -> TextDigest {
        SHA256.hash(data: bytes).withUnsafeBytes { hash in
            TextDigest(
                high: UInt64(bigEndian: hash.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: hash.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    /// The hash of a file's content, in constant memory.
    public static func sha256(ofFile path: String) throws(FileError) -> String {
        let file = try FileReader(path: path)
        var hash = SHA256()
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkBytes, alignment: 16)
        defer { chunk.deallocate() }
        while true {
            let count = try file.read(into: chunk)
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: chunk[..<count]))
            if count < chunkBytes { return hash.finalize().hexadecimal }
        }
    }
}

extension Sequence where Element == UInt8 {
    /// Two lower-case hexadecimal digits a byte.
    var hexadecimal: String {
        var digits: [UInt8] = []
        let alphabet = Array("0123456789abcdef".utf8)
        for byte in self {
            digits.append(alphabet[Int(byte >> 4)])
            digits.append(alphabet[Int(byte & 15)])
        }
        return String(decoding: digits, as: UTF8.self)
    }
}
