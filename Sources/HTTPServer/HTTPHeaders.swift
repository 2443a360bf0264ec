/// Header fields in their order. Names are compared without regard to case, and a name may stand more than once.
public struct HTTPHeaders: Sendable, ExpressibleByDictionaryLiteral, Sequence {
    /// One field.
    public typealias Element = (name: String, value: String)

    private enum Storage {
        /// Fields of a request, still as bytes.
        case wire(HTTPHead)
        /// Without labels, so that a literal's array is taken as it is.
        case list([(String, String)])
    }

    private var storage: Storage

    public init() { storage = .list([]) }
    public init(_ fields: [Element]) { storage = .list(fields.map { ($0.name, $0.value) }) }
    public init(dictionaryLiteral elements: (String, String)...) { storage = .list(elements) }
    init(head: HTTPHead) { storage = .wire(head) }

    /// All fields.
    public var fields: [Element] {
        switch storage {
        case .list(let fields): fields.map { (name: $0.0, value: $0.1) }
        case .wire(let head): head.fields.map { (name: head.text($0.name), value: head.text($0.value)) }
        }
    }

    /// Calls `body` for each field, without building a list.
    func forEachField(_ body: (_ name: String, _ value: String) -> Void) {
        switch storage {
        case .list(let fields): for (name, value) in fields { body(name, value) }
        case .wire(let head): for field in head.fields { body(head.text(field.name), head.text(field.value)) }
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
            case .list(let fields): fields.first { Self.isSame($0.0, name) }?.1
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
        case .list(let fields): fields.filter { Self.isSame($0.0, name) }.map { $0.1 }
        case .wire(let head): head.allValues(name).map { head.text($0) }
        }
    }

    /// Adds a field after the others.
    public mutating func add(_ name: String, _ value: String) {
        var list = takeList()
        list.append((name, value))
        storage = .list(list)
    }

    /// Replaces all fields of the name by one.
    public mutating func set(_ name: String, _ value: String) { self[name] = value }

    /// Removes all fields of the name.
    public mutating func remove(_ name: String) {
        storage = .list(takeList().filter { !Self.isSame($0.0, name) })
    }

    /// The fields as a list that nobody else holds, so that changing it copies nothing.
    private mutating func takeList() -> [(String, String)] {
        defer { storage = .list([]) }
        if case .list(let fields) = storage { return fields }
        return fields.map { ($0.name, $0.value) }
    }

    public func makeIterator() -> IndexingIterator<[Element]> { fields.makeIterator() }

    static func isSame(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && zip(left.utf8, right.utf8).allSatisfy { $0.lowercased == $1.lowercased }
    }
}
