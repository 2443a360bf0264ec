import JSON
import Yams

/// Refuses aliases that would make the YAML composer itself slow.
///
/// The composer shares the nodes behind aliases, so that even a deep tree of them costs no memory. It hashes mapping keys, though, and
/// the hash of a key that contains aliases of aliases takes time exponential in their depth. Such keys are errors here in
/// any case, but the composer would never get to the point of saying so. A document that has both anchors and aliases is therefore
/// composed once with each alias replaced by a marked scalar, and refused where a key is no plain scalar.
enum YAMLAliasCheck {
    /// A private-use character that stands in front of an alias's name in the replaced text.
    private static let marker = "\u{F8FF}"

    /// What is wrong with the keys of `text`; `nil` where it is safe to compose.
    static func problem(in text: String) -> SpecError? {
        guard let replaced = withoutAliases(text) else { return nil }
        do throws(SpecError) {
            guard let node = try YAMLReader.compose(replaced) else { return nil }
            return badKey(in: node, depth: 0)
        } catch {
            // A syntax error. The document itself has it too, at the same line and, but for the marks, the same column.
            return error
        }
    }

    /// The text with a marked scalar in place of each alias; `nil` where it has no anchor or no alias.
    ///
    /// Only the bytes tell here, not YAML's tokens: text inside strings is changed as well, which is harmless for looking at keys.
    private static func withoutAliases(_ text: String) -> String? {
        guard text.utf8.contains(UInt8(ascii: "&")), text.utf8.contains(UInt8(ascii: "*")) else { return nil }
        let bytes = Array(text.utf8)
        var replaced: [UInt8] = []
        replaced.reserveCapacity(bytes.count + 64)
        var (index, hasAlias, hasAnchor) = (0, false, false)
        while index < bytes.count {
            let isNamed = index + 1 < bytes.count && isNameByte(bytes[index + 1])
            if bytes[index] == UInt8(ascii: "&"), isNamed { hasAnchor = true }
            guard bytes[index] == UInt8(ascii: "*"), isNamed else {
                replaced.append(bytes[index])
                index += 1
                continue
            }
            hasAlias = true
            replaced.append(contentsOf: marker.utf8)
            index += 1
            while index < bytes.count, isNameByte(bytes[index]) { replaced.append(bytes[index]); index += 1 }
            // Ends the scalar where the alias would have ended, as in `{*a:1}`.
            replaced.append(UInt8(ascii: " "))
        }
        return hasAlias && hasAnchor ? String(decoding: replaced, as: UTF8.self) : nil
    }

    /// What libyaml takes into the name of an anchor.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func badKey(in node: Node, depth: Int) -> SpecError? {
        guard depth <= SpecLimits.depthMax else {
            return YAMLReader.syntax(node.mark, "more than \(SpecLimits.depthMax) levels of nesting", code: .tooLarge)
        }
        switch node {
        case .scalar, .alias: return nil
        case .sequence(let sequence):
            for element in sequence { if let problem = badKey(in: element, depth: depth + 1) { return problem } }
        case .mapping(let mapping):
            for (key, value) in mapping {
                guard case .scalar(let scalar) = key else { return YAMLReader.syntax(key.mark, "a key must be a plain string") }
                if scalar.string.hasPrefix(marker) { return YAMLReader.syntax(key.mark, "an alias cannot be a key") }
                if let problem = badKey(in: value, depth: depth + 1) { return problem }
            }
        }
        return nil
    }
}
