import Datasets

/// Gives every sample a key of its own.
struct SampleKeys {
    /// Bytes of the longest key; with its ending a file's name must not have more than ustar allows.
    static let keyBytesMax = TarWriter.nameBytesMax - 10

    let rule: WebDatasetOptions.Keys
    private var used: Set<String> = []
    /// The number that the next sample with this key gets.
    private var counts: [String: Int] = [:]

    init(rule: WebDatasetOptions.Keys) { self.rule = rule }

    /// The key of the next record in the file's order; `nil`, and an issue, where it cannot have one.
    mutating func key(for identifier: String?, line: Int, issues: inout DatasetIssueLog) -> String? {
        func fault(_ detail: String) -> String? {
            issues.add(DatasetIssue(line: line, pointer: "/id", detail: detail))
            return nil
        }
        switch rule {
        case .identifier:
            guard let identifier else { return fault("is missing, so that the sample has no key") }
            guard identifier.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: ".") && $0 != UInt8(ascii: "/") && $0 != 0x7F }) else {
                return fault("'\(identifier)' is no key: a key has no dot, slash, white space or control character")
            }
            guard identifier.utf8.count <= Self.keyBytesMax else { return fault("is longer than \(Self.keyBytesMax) bytes") }
            guard used.insert(identifier).inserted else { return fault("'\(identifier)' is the key of an earlier sample already") }
            return identifier
        case .unique:
            let base = identifier.map(Self.plain) ?? "record-\(line)"
            var key = base
            while used.contains(key) {
                let number = counts[base, default: 1] + 1
                counts[base] = number
                key = "\(base)-\(number)"
            }
            guard key.utf8.count <= Self.keyBytesMax else { return fault("is longer than \(Self.keyBytesMax) bytes") }
            used.insert(key)
            return key
        }
    }

    private static func plain(_ identifier: String) -> String {
        let characters = identifier.unicodeScalars.map { scalar in
            let isPlain = ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "-"
            return isPlain ? Character(scalar) : "_"
        }
        return String(characters)
    }
}
