/// Header fields in their order. Names are compared without regard to case, and a name may stand more than once.
public struct HTTPHeaders: Sendable, ExpressibleByDictionaryLiteral, Sequence {
    /// One field.
    public typealias Element = (name: String, value: String)

    private enum Storage {
        /// Fields of a request, still as bytes.
        case wire(HTTPHead)
        case list([Element])
    }

    private var storage: Storage

    public init() { storage = .list([]) }
    public init(_ fields: [Element]) { storage = .list(fields) }
    public init(dictionaryLiteral elements: (String, String)...) { storage = .list(elements.map { (name: $0.0, value: $0.1) }) }
    init(head: HTTPHead) { storage = .wire(head) }

    /// All fields.
    public var fields: [Element] {
        switch storage {
        case .list(let fields): fields
        case .wire(let head): head.fields.map { (name: head.text($0.name), value: head.text($0.value)) }
        }
    }

    /// The number of fields.
    public var count: Int {
        switch storage {
        case .list(let fields): fields.count
        case .wire(let head): head.fields.count
        }
    }

    /// The value of the first field of this name. Setting it replaces all fields of the name; nil removes them.
    public subscript(name: String) -> String? {
        get {
            switch storage {
            case .list(let fields): fields.first { Self.isSame($0.name, name) }?.value
            case .wire(let head): head.firstValue(name).map { head.text($0) }
            }
        }
        set {
            remove(name)
            if let newValue { add(name, newValue) }
        }
    }

    /// The values of all fields of this name.
    public func values(_ name: String) -> [String] {
        switch storage {
        case .list(let fields): fields.filter { Self.isSame($0.name, name) }.map(\.value)
        case .wire(let head): head.allValues(name).map { head.text($0) }
        }
    }

    /// Adds a field after the others.
    public mutating func add(_ name: String, _ value: String) {
        var fields = self.fields
        storage = .list([])
        fields.append((name: name, value: value))
        storage = .list(fields)
    }

    /// Replaces all fields of the name by one.
    public mutating func set(_ name: String, _ value: String) { self[name] = value }

    /// Removes all fields of the name.
    public mutating func remove(_ name: String) {
        storage = .list(fields.filter { !Self.isSame($0.name, name) })
    }

    public func makeIterator() -> IndexingIterator<[Element]> { fields.makeIterator() }

    static func isSame(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && zip(left.utf8, right.utf8).allSatisfy { $0.lowercased == $1.lowercased }
    }
}
