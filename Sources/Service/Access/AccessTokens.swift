import Crypto
import Domain
import EventLoop
import Store

/// The tokens that are in force, kept in memory: a request costs no look at the database, and no write.
@LoopActor
final class AccessTokens {
    private struct Live {
        var record: TokenRecord
        /// When it was last shown, where that has not been written down.
        var unsavedUse: Timestamp?
    }

    /// Characters of a digest by which tokens are looked up; the whole digests are then compared in constant time.
    private static let keyLength = 16

    private var live: [Substring: [Live]] = [:]

    /// How many there are, expired ones included.
    var count: Int { live.values.reduce(0) { $0 + $1.count } }

    func add(_ record: TokenRecord) {
        guard record.revokedAt == nil else { return }
        live[record.hash.prefix(Self.keyLength), default: []].append(Live(record: record))
    }

    func remove(id: String) {
        for key in live.keys { live[key]?.removeAll { $0.record.id == id } }
        live = live.filter { !$0.value.isEmpty }
    }

    /// The record of a token; `nil` where it is not known, was revoked or has expired.
    func find(_ token: String, at moment: Timestamp) -> TokenRecord? {
        let hash = TokenHash.of(token)
        let key = hash.prefix(Self.keyLength)
        guard let index = live[key]?.firstIndex(where: { ConstantTime.areEqual($0.record.hash, hash) }),
            let record = live[key]?[index].record, record.expiresAt.map({ moment < $0 }) ?? true
        else { return nil }
        live[key]?[index].unsavedUse = moment
        return record
    }

    /// Tokens that have expired.
    func expired(at moment: Timestamp) -> [String] {
        live.values.joined().filter { $0.record.expiresAt.map { $0 <= moment } ?? false }.map(\.record.id)
    }

    /// When each was last shown, where that is not known in the database; each is told once.
    func takeUnsavedUses() -> [(id: String, at: Timestamp)] {
        var uses: [(id: String, at: Timestamp)] = []
        for key in live.keys {
            for index in live[key]?.indices ?? 0..<0 {
                guard let entry = live[key]?[index], let moment = entry.unsavedUse else { continue }
                uses.append((entry.record.id, moment))
                live[key]?[index].unsavedUse = nil
            }
        }
        return uses
    }
}

/// Comparisons whose time does not depend on where two texts differ.
public enum ConstantTime {
    public static func areEqual(_ one: String, _ other: String) -> Bool {
        guard one.utf8.count == other.utf8.count else { return false }
        return zip(one.utf8, other.utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
