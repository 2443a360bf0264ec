/// The bytes of one request's head, as they came, with the places of its parts.
///
/// Strings are made from it only when somebody asks for them.
///
/// Safe although unchecked: the parser alone writes to it, and only while nobody else holds a reference (it asks
/// `isKnownUniquelyReferenced` before it uses a head again); from the moment a request is handed out it is constant.
final class HTTPHead: @unchecked Sendable {
    /// A part of `bytes`.
    struct Span {
        var start = 0
        var count = 0

        var end: Int { start + count }
        var range: Range<Int> { start..<(start + count) }
    }

    struct Field {
        var name = Span()
        var value = Span()
    }

    var bytes: [UInt8] = []
    var target = Span()
    var fields: [Field] = []
    var method = HTTPMethod.get
    var minorVersion = 1

    init() {
        bytes.reserveCapacity(512)
        fields.reserveCapacity(16)
    }

    func clear() {
        bytes.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
        target = Span()
    }

    func text(_ span: Span) -> String { String(decoding: bytes[span.range], as: UTF8.self) }

    /// Whether a part of the head equals `text`, letters compared without regard to case; `text` is lowercase ASCII.
    func matches(_ span: Span, lowercase text: StaticString) -> Bool {
        guard span.count == text.utf8CodeUnitCount else { return false }
        return bytes.withUnsafeBufferPointer { bytes in
            for index in 0..<span.count where bytes[span.start + index].lowercased != text.utf8Start[index] { return false }
            return true
        }
    }

    /// The places of the values of the fields with this name, in their order.
    func firstValue(_ name: String) -> Span? {
        var name = name
        return name.withUTF8 { name in
            for field in fields where isNamed(field, name) { return field.value }
            return nil
        }
    }

    func allValues(_ name: String) -> [Span] {
        var name = name
        return name.withUTF8 { name in fields.filter { isNamed($0, name) }.map(\.value) }
    }

    private func isNamed(_ field: Field, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard field.name.count == name.count else { return false }
        return bytes.withUnsafeBufferPointer { bytes in
            for index in 0..<name.count where bytes[field.name.start + index].lowercased != name[index].lowercased { return false }
            return true
        }
    }
}

extension UInt8 {
    /// An ASCII letter in lower case; any other byte as it is.
    var lowercased: UInt8 { self &- 65 < 26 ? self | 0x20 : self }
}
