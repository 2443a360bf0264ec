import Crypto

/// Tokens are kept as their SHA-256 only.
enum TokenHash {
    static func of(_ token: String) -> String { SHA256.hash(data: Array(token.utf8)).hexadecimal }

    /// A new token: 192 random bits in hexadecimal.
    static func makeToken() -> String {
        var random = SystemRandomNumberGenerator()
        return "ann_"
            + (0..<3).map { _ in
                let digits = String(UInt64.random(in: 0...UInt64.max, using: &random), radix: 16)
                return String(repeating: "0", count: 16 - digits.utf8.count) + digits
            }.joined()
    }
}

extension Digest {
    /// The digest in lower-case hexadecimal.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
