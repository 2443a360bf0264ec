import CResources
import Crypto

/// One numbered change of the schema.
struct Migration: Sendable {
    var version: Int
    var name: String
    var sql: String

    /// SHA-256 of the SQL text in hexadecimal; recorded when the migration is applied.
    var checksum: String { SHA256.hash(data: Array(sql.utf8)).hexadecimal }

    /// The migrations that this program carries, in order.
    static let embedded: [Migration] = (0..<cresources_migration_count).map { index in
        let entry = cresources_migrations[index]
        let bytes = UnsafeBufferPointer(start: entry.bytes, count: entry.length)
        return Migration(version: Int(entry.version), name: String(cString: entry.name), sql: String(decoding: bytes, as: UTF8.self))
    }
}

extension Sequence<UInt8> {
    /// Two lower-case hexadecimal digits a byte.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
