import JSON

/// A place in a text: line and column from 1, columns in Unicode scalars.
struct SourcePosition: Sendable, Hashable {
    var line: Int32
    var column: Int32
}

/// The positions of a value and of all values in it; children stand in the order of the value's own members or elements.
struct SourceNode: Sendable {
    var position: SourcePosition
    /// The places of the keys, for an object.
    var keys: [SourcePosition] = []
    var children: [SourceNode] = []
}

/// Finds the line of a place in a document.
struct SourceMap: Sendable {
    /// The document as it was read, before overrides.
    var value: JSONValue
    var root: SourceNode

    /// The position of the value at `pointer`, or of the nearest place around it that exists.
    ///
    /// A container is found at its key, since a block mapping itself starts only on the line below.
    func position(of pointer: JSONPointer, atKey: Bool) -> SourcePosition {
        var node = root
        var current = value
        var position = root.position
        for (depth, token) in pointer.tokens.enumerated() {
            guard let step = Self.step(into: current, token: token), step.index < node.children.count else { return position }
            let key = step.index < node.keys.count ? node.keys[step.index] : nil
            node = node.children[step.index]
            current = step.value
            let isLast = depth == pointer.tokens.count - 1
            let wantsKey = (isLast && atKey) || current.isContainer
            position = wantsKey ? key ?? node.position : node.position
        }
        return position
    }

    private static func step(into value: JSONValue, token: String) -> (index: Int, value: JSONValue)? {
        switch value {
        case .object(let members):
            guard let index = members.index(forKey: token) else { return nil }
            return (index, members.elements[index].value)
        case .array(let elements):
            guard let index = Int(token), elements.indices.contains(index) else { return nil }
            return (index, elements[index])
        default:
            return nil
        }
    }
}

extension JSONValue {
    var isContainer: Bool {
        switch self {
        case .array, .object: true
        default: false
        }
    }
}
