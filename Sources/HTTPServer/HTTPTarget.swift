/// The parts of a request target within its head (RFC 9112 §3.2).
struct HTTPTarget {
    /// The host and port of an absolute target.
    var authority: HTTPHead.Span?
    var path: HTTPHead.Span
    var query: HTTPHead.Span?

    /// Takes the target apart; none when it has none of the forms that this server answers: origin, absolute, asterisk.
    init?(of head: HTTPHead) {
        let target = head.target
        guard target.count > 0 else { return nil }
        var start = target.start
        var authority: HTTPHead.Span?
        let first = head.bytes[start]
        if first == UInt8(ascii: "*") {
            // Asterisk form, for OPTIONS alone (RFC 9112 §3.2.4).
            guard target.count == 1, head.method == .options else { return nil }
        } else if first != UInt8(ascii: "/") {
            // Absolute form (RFC 9112 §3.2.2). The scheme is compared without regard to case (RFC 3986 §3.1).
            guard let prefix = Self.schemeCount(in: head) else { return nil }
            let host = start + prefix
            start = Self.firstIndex(in: head.bytes, host..<target.end) { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? target.end
            guard start > host else { return nil }
            authority = HTTPHead.Span(start: host, count: start - host)
        }
        let mark = Self.firstIndex(in: head.bytes, start..<target.end) { $0 == UInt8(ascii: "?") }
        self.authority = authority
        path = HTTPHead.Span(start: start, count: (mark ?? target.end) - start)
        query = mark.map { HTTPHead.Span(start: $0 + 1, count: target.end - $0 - 1) }
        guard Self.isDecodable(head, path: path, query: query) else { return nil }
    }

    private static func schemeCount(in head: HTTPHead) -> Int? {
        for scheme: StaticString in ["http://", "https://"] {
            let count = scheme.utf8CodeUnitCount
            guard head.target.count > count else { continue }
            if head.matches(HTTPHead.Span(start: head.target.start, count: count), lowercase: scheme) { return count }
        }
        return nil
    }

    private static func isDecodable(_ head: HTTPHead, path: HTTPHead.Span, query: HTTPHead.Span?) -> Bool {
        // A fragment is never sent (RFC 9112 §3.2.1). llhttp has refused bytes outside ASCII.
        let hasSpecial = firstIndex(in: head.bytes, head.target.range) { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "#") }
        guard hasSpecial != nil else { return true }
        guard !head.bytes[head.target.range].contains(UInt8(ascii: "#")) else { return false }
        guard PercentCoding.decode(head.bytes[path.range]) != nil else { return false }
        guard let query else { return true }
        return head.bytes[query.range].split(whereSeparator: { $0 == UInt8(ascii: "&") || $0 == UInt8(ascii: "=") }).allSatisfy {
            PercentCoding.decode($0) != nil
        }
    }

    @inline(__always)
    private static func firstIndex(in bytes: [UInt8], _ range: Range<Int>, where isWanted: (UInt8) -> Bool) -> Int? {
        bytes.withUnsafeBufferPointer { bytes in
            for index in range where isWanted(bytes[index]) { return index }
            return nil
        }
    }
}
