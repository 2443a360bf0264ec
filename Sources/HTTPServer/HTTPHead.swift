import CLLHTTP

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

    private(set) var bytes: [UInt8] = []
    private(set) var target = Span()
    private(set) var fields: [Field] = []
    /// llhttp's number of the method.
    private(set) var methodNumber: UInt8 = 0
    private(set) var minorVersion = 1

    init() { bytes.reserveCapacity(512) }

    /// Begins with nothing.
    func clear() {
        bytes.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
        target = Span()
    }

    /// Adds bytes that came.
    func append(_ more: UnsafeRawBufferPointer) { bytes.append(contentsOf: more) }

    /// Notes the places of the parts, when all bytes have come.
    func complete(target: Span, fields: UnsafeBufferPointer<Field>, methodNumber: UInt8, minorVersion: Int) {
        self.target = target
        self.fields.append(contentsOf: fields)
        self.methodNumber = methodNumber
        self.minorVersion = minorVersion
    }

    var method: HTTPMethod {
        HTTPMethod.known.indices.contains(Int(methodNumber)) ? HTTPMethod.known[Int(methodNumber)] : HTTPMethod(rawValue: "")
    }
    /// Whether an answer has no body for this reason.
    var isHeadMethod: Bool { methodNumber == UInt8(HTTP_HEAD.rawValue) }

    func text(_ span: Span) -> String {
        bytes.withUnsafeBufferPointer { String(decoding: UnsafeBufferPointer(rebasing: $0[span.range]), as: UTF8.self) }
    }

    /// The place of the value of the first field with this name.
    func firstValue(_ name: String) -> Span? {
        var name = name
        return name.withUTF8 { name in
            bytes.withUnsafeBufferPointer { bytes in
                for field in fields where bytes.isName(field.name, name) { return field.value }
                return nil
            }
        }
    }

    /// The places of the values of the fields with this name, in their order.
    func allValues(_ name: String) -> [Span] {
        var name = name
        return name.withUTF8 { name in
            bytes.withUnsafeBufferPointer { bytes in fields.filter { bytes.isName($0.name, name) }.map { $0.value } }
        }
    }
}

extension UInt8 {
    /// An ASCII letter in lower case; any other byte as it is.
    @inline(__always)
    var lowercased: UInt8 { self &- 65 < 26 ? self | 0x20 : self }
}

extension UnsafeBufferPointer<UInt8> {
    /// Whether a part equals `text`, letters compared without regard to case; `text` is lowercase ASCII.
    func matches(_ span: HTTPHead.Span, lowercase text: StaticString) -> Bool {
        guard span.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<span.count where self[span.start + index].lowercased != text.utf8Start[index] { return false }
        return true
    }

    /// Whether a part equals `name`, letters compared without regard to case.
    func isName(_ span: HTTPHead.Span, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard span.count == name.count else { return false }
        for index in 0..<name.count where self[span.start + index].lowercased != name[index].lowercased { return false }
        return true
    }

    /// The first place in a range with one of two bytes.
    func firstIndex(in range: Range<Int>, of one: UInt8, or other: UInt8) -> Int? {
        for index in range where self[index] == one || self[index] == other { return index }
        return nil
    }
}
