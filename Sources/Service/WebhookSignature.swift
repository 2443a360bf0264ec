import Crypto
import FoundationEssentials

/// Signatures of Standard Webhooks (github.com/standard-webhooks, spec/standard-webhooks.md): HMAC-SHA256 over identifier, time and body.
public enum WebhookSignature {
    private static let prefix = "whsec_"

    /// A new secret.
    public static func makeSecret() -> String {
        prefix + SymmetricKey(size: .init(bitCount: 192)).withUnsafeBytes { Data($0).base64EncodedString() }
    }

    /// The bytes of a secret; `nil` where it is none.
    static func key(_ secret: String) -> SymmetricKey? {
        guard secret.hasPrefix(prefix), let bytes = Data(base64Encoded: String(secret.dropFirst(prefix.count))),
            (24...64).contains(bytes.count)
        else { return nil }
        return SymmetricKey(data: bytes)
    }

    /// The value of `webhook-signature`.
    static func sign(id: String, seconds: Int64, body: [UInt8], key: SymmetricKey) -> String {
        let code = HMAC<SHA256>.authenticationCode(for: Array("\(id).\(seconds).".utf8) + body, using: key)
        return "v1," + Data(code).base64EncodedString()
    }
}
