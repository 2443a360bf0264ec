import JSON

/// Collects what is wrong with one document. Each mistake is kept once, however many members of a matrix share it.
final class Diagnostics {
    private struct Key: Hashable {
        var pointer: JSONPointer
        var detail: String
    }

    private let document: SpecDocument
    private var errors: [SpecError] = []
    private var seen: Set<Key> = []
    private(set) var count = 0

    init(document: SpecDocument) { self.document = document }

    /// Notes a mistake.
    ///
    /// - Parameter atKey: the key is wrong, not its value.
    func add(_ code: SpecError.Code, at pointer: JSONPointer, _ detail: String, atKey: Bool = false) {
        let detail = Self.cut(detail)
        guard seen.insert(Key(pointer: pointer, detail: detail)).inserted else { return }
        count += 1
        guard errors.count < SpecLimits.errorsMax else { return }
        let position = document.position(of: pointer, atKey: atKey)
        let source = document.override(at: pointer).map { " (set by --set \($0))" } ?? ""
        errors.append(SpecError(pointer: pointer, line: position?.line, column: position?.column, detail: detail + source, code: code))
    }

    private static func cut(_ detail: String) -> String {
        guard detail.utf8.count > SpecLimits.detailBytesMax else { return detail }
        var cut = ""
        var bytes = 0
        for character in detail {
            bytes += character.utf8.count
            if bytes > SpecLimits.detailBytesMax - "…".utf8.count { break }
            cut.append(character)
        }
        return cut + "…"
    }

    /// The mistakes in the order of the document's lines; `nil` where there are none.
    var result: SpecErrors? {
        guard count > 0 else { return nil }
        let sorted = errors.enumerated().sorted { left, right in
            (left.element.line ?? .max, left.element.column ?? .max, left.offset) < (
                right.element.line ?? .max, right.element.column ?? .max, right.offset
            )
        }
        return SpecErrors(sorted.map(\.element), leftOut: count - errors.count)
    }
}
