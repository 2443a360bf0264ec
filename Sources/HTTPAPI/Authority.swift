/// A host with its port, as `Host` and `Origin` name it, in one form for all spellings.
struct Authority: Sendable, Hashable {
    /// In lower case, without the dot at the end that stands for the root; IPv6 in brackets and in its shortest form.
    var host: String
    var port: Int?

    /// `nil` where the text is none: a user, a path or a port that is no number is no part of it (RFC 3986 §3.2).
    init?(_ text: String) {
        let isBracketed = text.hasPrefix("[")
        guard let end = isBracketed ? text.firstIndex(of: "]").map(text.index(after:)) : text.firstIndex(of: ":") ?? text.endIndex else {
            return nil
        }
        let rest = text[end...]
        if !rest.isEmpty {
            let digits = rest.dropFirst()
            guard rest.hasPrefix(":"), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.utf8.count <= 5 else { return nil }
            if !digits.isEmpty {
                guard let number = Int(digits), (1...65535).contains(number) else { return nil }
                port = number
            }
        }
        guard let host = Self.canonical(host: text[..<end]) else { return nil }
        self.host = host
    }

    /// A host of the configuration, where IPv6 may stand without brackets.
    static func host(configured text: String) -> String? {
        if IPAddress(text) != nil, text.contains(":") { return canonical(host: "[\(text)]"[...]) }
        return Authority(text)?.host
    }

    private static func canonical(host: Substring) -> String? {
        if host.hasPrefix("[") {
            guard let address = IPAddress(host.dropFirst().dropLast()) else { return nil }
            return address.bytes.count == 4 ? address.description : "[\(address)]"
        }
        var name = host.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        guard !name.isEmpty, name.utf8.allSatisfy(isNameByte) else { return nil }
        return name
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x2E || byte == 0x5F
    }
}
