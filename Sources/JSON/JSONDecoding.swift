import OrderedCollections

/// Why a JSON value is not of the wanted type, and where in it.
public struct JSONDecodingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The place of the fault, from the root of the decoded value.
    public var pointer: JSONPointer
    /// What is wrong there, such as `is missing` or `expected an integer, found a string`.
    public var message: String

    public init(pointer: JSONPointer, message: String) {
        self.pointer = pointer
        self.message = message
    }

    public var description: String { pointer.tokens.isEmpty ? message : "\(pointer): \(message)" }
}

extension Decodable {
    /// Reads the type from its JSON form. Members that the type does not know are passed over.
    public init(decoding value: JSONValue) throws(JSONDecodingError) {
        do {
            self = try BridgeDecoder(value: value, codingPath: []).decoded(Self.self)
        } catch let error as JSONDecodingError {
            throw error
        } catch let error as DecodingError {
            throw JSONDecodingError(error)
        } catch {
            throw JSONDecodingError(pointer: JSONPointer(), message: "\(error)")
        }
    }
}

extension JSONDecodingError {
    /// The form of an error that the standard library's own `Decodable` conformances throw.
    fileprivate init(_ error: DecodingError) {
        let context: DecodingError.Context
        var path: [any CodingKey]
        switch error {
        case .typeMismatch(_, let found), .valueNotFound(_, let found), .dataCorrupted(let found):
            context = found
            path = found.codingPath
        case .keyNotFound(let key, let found):
            context = found
            path = found.codingPath + [key]
        @unknown default:
            self.init(pointer: JSONPointer(), message: "\(error)")
            return
        }
        self.init(pointer: JSONPointer(path: path), message: context.debugDescription)
    }
}

extension JSONPointer {
    fileprivate init(path: [any CodingKey]) { self.init(path.map { key in key.intValue.map(String.init) ?? key.stringValue }) }
}

extension JSONValue: Decodable {
    /// Decodes through `init(decoding:)`; other decoders are refused.
    public init(from decoder: any Decoder) throws {
        guard let decoder = decoder as? BridgeDecoder else {
            let context = DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "JSONValue is decoded by init(decoding:)")
            throw DecodingError.dataCorrupted(context)
        }
        self = decoder.value
    }
}

/// Maps with text keys, which are read from objects whatever their own `Decodable` conformance does.
private protocol TextKeyedDecodable {
    static func decoded(_ members: JSONObject, at path: [any CodingKey]) throws -> Self
}

extension OrderedDictionary: TextKeyedDecodable where Key == String, Value: Decodable {
    fileprivate static func decoded(_ members: JSONObject, at path: [any CodingKey]) throws -> Self {
        var map = Self(minimumCapacity: members.count)
        for (key, value) in members {
            map[key] = try BridgeDecoder(value: value, codingPath: path + [BridgeKey(stringValue: key)]).decoded(Value.self)
        }
        return map
    }
}

private struct BridgeDecoder: Decoder {
    let value: JSONValue
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func failure(_ message: String) -> JSONDecodingError { JSONDecodingError(pointer: JSONPointer(path: codingPath), message: message) }

    func mismatch(_ expected: String) -> JSONDecodingError {
        let article = value.typeName.first.map { "aio".contains($0) } == true ? "an" : "a"
        return failure("expected \(expected), found \(value.isNull ? "null" : "\(article) \(value.typeName)")")
    }

    func decoded<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if let value = value as? Value { return value }
        if let type = type as? any TextKeyedDecodable.Type {
            let map = try type.decoded(try members(), at: codingPath)
            // The cast back from the existential cannot fail: `type` is `Value.self`.
            if let map = map as? Value { return map }
        }
        return try Value(from: self)
    }

    func members() throws(JSONDecodingError) -> JSONObject {
        guard case .object(let members) = value else { throw mismatch("an object") }
        return members
    }

    func bool() throws(JSONDecodingError) -> Bool {
        guard case .bool(let flag) = value else { throw mismatch("a boolean") }
        return flag
    }

    func string() throws(JSONDecodingError) -> String {
        guard case .string(let text) = value else { throw mismatch("a string") }
        return text
    }

    func integer<Value: FixedWidthInteger>(_ type: Value.Type) throws(JSONDecodingError) -> Value {
        let exact: Value?
        switch value {
        case .int(let number): exact = Value(exactly: number)
        case .double(let number): exact = Value(exactly: number)
        case .bigInteger(let digits): exact = Value(digits)
        default: throw mismatch("an integer")
        }
        guard let exact else { throw failure("the number \(value) is not a whole number from \(Value.min) to \(Value.max)") }
        return exact
    }

    /// A number, or the text that `JSONWriter` writes for a number that JSON has no form for.
    func double() throws(JSONDecodingError) -> Double {
        switch value {
        case .string("NaN"): return .nan
        case .string("Infinity"): return .infinity
        case .string("-Infinity"): return -.infinity
        default:
            guard let number = value.double else { throw mismatch("a number") }
            return number
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(KeyedReader<Key>(members: try members(), codingPath: codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let elements) = value else { throw mismatch("an array") }
        return UnkeyedReader(elements: elements, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { SingleValueReader(decoder: self) }
}

private struct KeyedReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let members: JSONObject
    let codingPath: [any CodingKey]

    var allKeys: [Key] { members.keys.compactMap(Key.init(stringValue:)) }
    func contains(_ key: Key) -> Bool { members[key.stringValue] != nil }

    private func decoder(_ key: any CodingKey) throws(JSONDecodingError) -> BridgeDecoder {
        guard let value = members[key.stringValue] else {
            throw JSONDecodingError(pointer: JSONPointer(path: codingPath + [key]), message: "is missing")
        }
        return BridgeDecoder(value: value, codingPath: codingPath + [key])
    }

    func decodeNil(forKey key: Key) throws -> Bool { try decoder(key).value.isNull }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try decoder(key).bool() }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try decoder(key).string() }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try decoder(key).double() }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { Float(try decoder(key).double()) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try decoder(key).integer(type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try decoder(key).integer(type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try decoder(key).integer(type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try decoder(key).integer(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try decoder(key).integer(type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try decoder(key).integer(type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try decoder(key).integer(type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try decoder(key).integer(type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try decoder(key).integer(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try decoder(key).integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try decoder(key).decoded(type) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try decoder(key).unkeyedContainer() }
    func superDecoder() throws -> any Decoder { try decoder(BridgeKey.superclass) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
}

private struct UnkeyedReader: UnkeyedDecodingContainer {
    let elements: [JSONValue]
    let codingPath: [any CodingKey]
    private(set) var currentIndex = 0

    init(elements: [JSONValue], codingPath: [any CodingKey]) {
        self.elements = elements
        self.codingPath = codingPath
    }

    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    /// Reads the current element by `body`, and only then moves on, as the protocol asks for failed reads.
    private mutating func next<Value>(_ body: (BridgeDecoder) throws -> Value) throws -> Value {
        let path = codingPath + [BridgeKey(intValue: currentIndex)]
        guard !isAtEnd else { throw JSONDecodingError(pointer: JSONPointer(path: path), message: "is missing") }
        let value = try body(BridgeDecoder(value: elements[currentIndex], codingPath: path))
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, elements[currentIndex].isNull else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool { try next { try $0.bool() } }
    mutating func decode(_ type: String.Type) throws -> String { try next { try $0.string() } }
    mutating func decode(_ type: Double.Type) throws -> Double { try next { try $0.double() } }
    mutating func decode(_ type: Float.Type) throws -> Float { try next { Float(try $0.double()) } }
    mutating func decode(_ type: Int.Type) throws -> Int { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try next { try $0.integer(type) } }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next { try $0.decoded(type) } }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
        try next { try $0.container(keyedBy: type) }
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next { try $0.unkeyedContainer() } }
    mutating func superDecoder() throws -> any Decoder { try next { $0 } }
}

private struct SingleValueReader: SingleValueDecodingContainer {
    let decoder: BridgeDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }

    func decodeNil() -> Bool { decoder.value.isNull }
    func decode(_ type: Bool.Type) throws -> Bool { try decoder.bool() }
    func decode(_ type: String.Type) throws -> String { try decoder.string() }
    func decode(_ type: Double.Type) throws -> Double { try decoder.double() }
    func decode(_ type: Float.Type) throws -> Float { Float(try decoder.double()) }
    func decode(_ type: Int.Type) throws -> Int { try decoder.integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try decoder.integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try decoder.integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try decoder.integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try decoder.integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try decoder.integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try decoder.integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try decoder.integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try decoder.integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try decoder.integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try decoder.decoded(type) }
}
