/// The parts of a request target within its head (RFC 9112 §3.2).
struct HTTPTarget {
    /// The host and port of an absolute target.
    var authority: HTTPHead.Span?
    var path: HTTPHead.Span
    var query: HTTPHead.Span?

    /// Takes the target apart; none when it has none of the forms that this server answers: origin, absolute, asterisk.
    init?(of target: HTTPHead.Span, in bytes: UnsafeBufferPointer<UInt8>, isOptions: Bool) {
        guard target.count > 0 else { return nil }
        var start = target.start
        let first = bytes[start]
        if first == UInt8(ascii: "*") {
            // Asterisk form, for OPTIONS alone (RFC 9112 §3.2.4).
            guard target.count == 1, isOptions else { return nil }
        } else if first != UInt8(ascii: "/") {
            // Absolute form (RFC 9112 §3.2.2).
            guard let prefix = Self.schemeCount(target, in: bytes) else { return nil }
            let host = start + prefix
            start = bytes.firstIndex(in: host..<target.end, of: UInt8(ascii: "/"), or: UInt8(ascii: "?")) ?? target.end
            guard start > host else { return nil }
            authority = HTTPHead.Span(start: host, count: start - host)
        }
        let mark = bytes.firstIndex(in: start..<target.end, of: UInt8(ascii: "?"), or: UInt8(ascii: "?"))
        path = HTTPHead.Span(start: start, count: (mark ?? target.end) - start)
        query = mark.map { HTTPHead.Span(start: $0 + 1, count: target.end - $0 - 1) }
        // llhttp has refused bytes outside ASCII, so only these two need a look.
        if bytes.firstIndex(in: target.range, of: UInt8(ascii: "%"), or: UInt8(ascii: "#")) != nil {
            guard isDecodable(target, in: bytes) else { return nil }
        }
    }

    /// The count of the bytes before the host. The scheme is compared without regard to case (RFC 3986 §3.1).
    private static func schemeCount(_ target: HTTPHead.Span, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        for scheme: StaticString in ["http://", "https://"] {
            let count = scheme.utf8CodeUnitCount
            guard target.count > count else { continue }
            if bytes.matches(HTTPHead.Span(start: target.start, count: count), lowercase: scheme) { return count }
        }
        return nil
    }

    private func isDecodable(_ target: HTTPHead.Span, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        // A fragment is never sent (RFC 9112 §3.2.1).
        guard !bytes[target.range].contains(UInt8(ascii: "#")) else { return false }
        guard PercentCoding.decode(ArraySlice(bytes[path.range])) != nil else { return false }
        guard let query else { return true }
        return bytes[query.range].split(whereSeparator: { $0 == UInt8(ascii: "&") || $0 == UInt8(ascii: "=") }).allSatisfy {
            PercentCoding.decode(ArraySlice($0)) != nil
        }
    }
}
