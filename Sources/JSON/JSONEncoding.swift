import OrderedCollections

/// A map with text keys that keep their order, as the members of a JSON object do.
public typealias OrderedMap<Value> = OrderedDictionary<String, Value>

extension JSONValue {
    /// The JSON form of `value`.
    ///
    /// Members keep the order in which the value encodes them: for synthesized code, that of its `CodingKeys`. A dictionary's keys
    /// are sorted, those of an `OrderedMap` keep their order. An optional that is `nil` is left out unless it is encoded as null.
    /// A nested `JSONValue` passes through unchanged.
    ///
    /// Throws only what a hand-written `encode(to:)` throws.
    public init(encoding value: some Encodable) throws {
        self = try BridgeEncoder.json(of: value, at: [])
    }
}

extension JSONValue: Encodable {
    /// Encodes through `JSONValue(encoding:)`; other encoders have no form for every JSON value and are refused.
    public func encode(to encoder: any Encoder) throws {
        guard let encoder = encoder as? BridgeEncoder else {
            let context = EncodingError.Context(
                codingPath: encoder.codingPath, debugDescription: "JSONValue is encoded by JSONValue(encoding:)")
            throw EncodingError.invalidValue(self, context)
        }
        encoder.node.content = .value(self)
    }
}

/// The place of one value while it is being encoded.
private final class EncodingNode {
    enum Content {
        case none
        case value(JSONValue)
        case array([JSONValue])
        case object(JSONObject)
    }

    var content = Content.none
    /// Nested containers, which may still grow; each has a null at its place until this node is resolved.
    var nested: [(place: Place, node: EncodingNode)] = []

    enum Place {
        case index(Int)
        case key(String)
    }

    func set(_ value: JSONValue, forKey key: String) {
        guard case .object(var members) = content else { content = .object([key: value]); return }
        // Emptied first, so that the dictionary is changed in place rather than copied.
        content = .none
        members[key] = value
        content = .object(members)
    }

    func append(_ value: JSONValue) {
        guard case .array(var elements) = content else { content = .array([value]); return }
        content = .none
        elements.append(value)
        content = .array(elements)
    }

    var count: Int { if case .array(let elements) = content { elements.count } else { 0 } }

    func nest(forKey key: String) -> EncodingNode {
        let node = EncodingNode()
        set(.null, forKey: key)
        nested.append((.key(key), node))
        return node
    }

    func nestAtEnd() -> EncodingNode {
        let node = EncodingNode()
        nested.append((.index(count), node))
        append(.null)
        return node
    }

    func becomeObject() { if case .object = content {} else { content = .object([:]) } }
    func becomeArray() { if case .array = content {} else { content = .array([]) } }

    func resolved() -> JSONValue {
        switch content {
        case .none:
            return .object([:])
        case .value(let value):
            return value
        case .array(var elements):
            for case (.index(let index), let node) in nested { elements[index] = node.resolved() }
            return .array(elements)
        case .object(var members):
            for case (.key(let key), let node) in nested { members[key] = node.resolved() }
            return .object(members)
        }
    }
}

/// Maps with text keys, which become objects whatever their own `Encodable` conformance does.
private protocol TextKeyedEncodable {
    func members(at path: [any CodingKey]) throws -> JSONObject
}

extension Dictionary: TextKeyedEncodable where Key == String, Value: Encodable {
    fileprivate func members(at path: [any CodingKey]) throws -> JSONObject {
        var members = JSONObject(minimumCapacity: count)
        for (key, value) in sorted(by: { $0.key < $1.key }) {
            members[key] = try BridgeEncoder.json(of: value, at: path + [BridgeKey(stringValue: key)])
        }
        return members
    }
}

extension OrderedDictionary: TextKeyedEncodable where Key == String, Value: Encodable {
    fileprivate func members(at path: [any CodingKey]) throws -> JSONObject {
        var members = JSONObject(minimumCapacity: count)
        for (key, value) in self { members[key] = try BridgeEncoder.json(of: value, at: path + [BridgeKey(stringValue: key)]) }
        return members
    }
}

private struct BridgeEncoder: Encoder {
    let node: EncodingNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    static func json<Value: Encodable>(of value: Value, at path: [any CodingKey]) throws -> JSONValue {
        if let value = value as? JSONValue { return value }
        if let map = value as? any TextKeyedEncodable { return .object(try map.members(at: path)) }
        let node = EncodingNode()
        try value.encode(to: BridgeEncoder(node: node, codingPath: path))
        return node.resolved()
    }

    static func json(of integer: some BinaryInteger) -> JSONValue {
        Int64(exactly: integer).map(JSONValue.int) ?? .bigInteger(String(integer))
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.becomeObject()
        return KeyedEncodingContainer(KeyedBridge<Key>(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.becomeArray()
        return UnkeyedBridge(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { SingleValueBridge(node: node, codingPath: codingPath) }
}

/// A coding key for places that have none of their own.
struct BridgeKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = String(intValue)
        self.intValue = intValue
    }

    static var superclass: BridgeKey { BridgeKey(stringValue: "super") }
}

private struct KeyedBridge<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: EncodingNode
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { node.set(.null, forKey: key.stringValue) }
    func encode(_ value: Bool, forKey key: Key) { node.set(.bool(value), forKey: key.stringValue) }
    func encode(_ value: String, forKey key: Key) { node.set(.string(value), forKey: key.stringValue) }
    func encode(_ value: Double, forKey key: Key) { node.set(.double(value), forKey: key.stringValue) }
    func encode(_ value: Float, forKey key: Key) { node.set(.double(Double(value)), forKey: key.stringValue) }
    func encode(_ value: Int, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }
    func encode(_ value: Int8, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }
    func encode(_ value: Int16, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }
    func encode(_ value: Int32, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }
    func encode(_ value: Int64, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }
    func encode(_ value: UInt, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }
    func encode(_ value: UInt8, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }
    func encode(_ value: UInt16, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }
    func encode(_ value: UInt32, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }
    func encode(_ value: UInt64, forKey key: Key) { node.set(BridgeEncoder.json(of: value), forKey: key.stringValue) }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        node.set(try BridgeEncoder.json(of: value, at: codingPath + [key]), forKey: key.stringValue)
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
        BridgeEncoder(node: node.nest(forKey: key.stringValue), codingPath: codingPath + [key]).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        BridgeEncoder(node: node.nest(forKey: key.stringValue), codingPath: codingPath + [key]).unkeyedContainer()
    }

    func superEncoder() -> any Encoder {
        let key = BridgeKey.superclass
        return BridgeEncoder(node: node.nest(forKey: key.stringValue), codingPath: codingPath + [key])
    }

    func superEncoder(forKey key: Key) -> any Encoder {
        BridgeEncoder(node: node.nest(forKey: key.stringValue), codingPath: codingPath + [key])
    }
}

private struct UnkeyedBridge: UnkeyedEncodingContainer {
    let node: EncodingNode
    let codingPath: [any CodingKey]
    var count: Int { node.count }
    private var nextPath: [any CodingKey] { codingPath + [BridgeKey(intValue: count)] }

    func encodeNil() { node.append(.null) }
    func encode(_ value: Bool) { node.append(.bool(value)) }
    func encode(_ value: String) { node.append(.string(value)) }
    func encode(_ value: Double) { node.append(.double(value)) }
    func encode(_ value: Float) { node.append(.double(Double(value))) }
    func encode(_ value: Int) { node.append(BridgeEncoder.json(of: value)) }
    func encode(_ value: Int8) { node.append(BridgeEncoder.json(of: value)) }
    func encode(_ value: Int16) { node.append(BridgeEncoder.json(of: value)) }
    func encode(_ value: Int32) { node.append(BridgeEncoder.json(of: value)) }
    func encode(_ value: Int64) { node.append(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt) { node.append(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt8) { node.append(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt16) { node.append(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt32) { node.append(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt64) { node.append(BridgeEncoder.json(of: value)) }
    func encode<Value: Encodable>(_ value: Value) throws { node.append(try BridgeEncoder.json(of: value, at: nextPath)) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        let path = nextPath
        return BridgeEncoder(node: node.nestAtEnd(), codingPath: path).container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        let path = nextPath
        return BridgeEncoder(node: node.nestAtEnd(), codingPath: path).unkeyedContainer()
    }

    func superEncoder() -> any Encoder {
        let path = nextPath
        return BridgeEncoder(node: node.nestAtEnd(), codingPath: path)
    }
}

private struct SingleValueBridge: SingleValueEncodingContainer {
    let node: EncodingNode
    let codingPath: [any CodingKey]

    func encodeNil() { node.content = .value(.null) }
    func encode(_ value: Bool) { node.content = .value(.bool(value)) }
    func encode(_ value: String) { node.content = .value(.string(value)) }
    func encode(_ value: Double) { node.content = .value(.double(value)) }
    func encode(_ value: Float) { node.content = .value(.double(Double(value))) }
    func encode(_ value: Int) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode(_ value: Int8) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode(_ value: Int16) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode(_ value: Int32) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode(_ value: Int64) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt8) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt16) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt32) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode(_ value: UInt64) { node.content = .value(BridgeEncoder.json(of: value)) }
    func encode<Value: Encodable>(_ value: Value) throws { node.content = .value(try BridgeEncoder.json(of: value, at: codingPath)) }
}
