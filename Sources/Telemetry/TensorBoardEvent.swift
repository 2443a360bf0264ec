/// The scalars of one `Event` message (tensorboard/compat/proto: event.proto, summary.proto, tensor.proto).
enum TensorBoardEvent {
    /// Reads an event; what is no scalar is left out without being counted.
    static func parse(_ bytes: ArraySlice<UInt8>, receivedAt seconds: Double) -> (points: [FollowedPoint], dropped: Int) {
        var (time, step, summary) = (seconds, Int64(0), ArraySlice<UInt8>())
        var reader = WireReader(bytes)
        while let field = reader.next() {
            switch (field.number, field.value) {
            case (1, .fixed64(let bits)):
                let wall = Double(bitPattern: bits)
                if (0..<1e11).contains(wall) { time = wall }
            case (2, .varint(let value)): step = Int64(bitPattern: value)
            case (5, .bytes(let data)): summary = data
            default: break
            }
        }
        guard !reader.isBroken else { return ([], 1) }
        guard !summary.isEmpty else { return ([], 0) }
        guard (0...Int64(TelemetryLimits.stepMax)).contains(step) else { return ([], 1) }
        var points: [FollowedPoint] = []
        var dropped = 0
        var values = WireReader(summary)
        while let field = values.next() {
            guard field.number == 1, case .bytes(let data) = field.value, let (tag, value) = scalar(data) else { continue }
            guard MetricLine.isKey(tag), points.count < TelemetryLimits.keysPerLineMax else {
                dropped += 1
                continue
            }
            points.append(FollowedPoint(key: tag, step: Int(step), seconds: time, value: value))
        }
        return (points, dropped + (values.isBroken ? 1 : 0))
    }

    /// The tag and the number of a `Summary.Value`: `simple_value`, or a tensor of one element as TensorFlow 2 writes it.
    private static func scalar(_ bytes: ArraySlice<UInt8>) -> (String, Double)? {
        var tag: String?
        var value: Double?
        var reader = WireReader(bytes)
        while let field = reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let text)): tag = String(validating: text, as: UTF8.self)
            case (2, .fixed32(let bits)): value = Double(Float(bitPattern: bits))
            case (8, .bytes(let tensor)): value = self.tensor(tensor)
            default: break
            }
        }
        return tag.flatMap { tag in value.map { (tag, $0) } }
    }

    private static func tensor(_ bytes: ArraySlice<UInt8>) -> Double? {
        var type: UInt64 = 0
        var value: Double?
        var content = ArraySlice<UInt8>()
        var reader = WireReader(bytes)
        while let field = reader.next() {
            switch (field.number, field.value) {
            case (1, .varint(let code)): type = code
            case (4, .bytes(let data)): content = data
            case (5, .bytes(let data)) where data.count == 4:
                value = Double(Float(bitPattern: UInt32(truncatingIfNeeded: data.littleEndianNumber)))
            case (5, .fixed32(let bits)): value = Double(Float(bitPattern: bits))
            case (6, .bytes(let data)) where data.count == 8: value = Double(bitPattern: data.littleEndianNumber)
            case (6, .fixed64(let bits)): value = Double(bitPattern: bits)
            default: break
            }
        }
        switch (type, content.count) {
        case (1, 4): return Double(Float(bitPattern: UInt32(truncatingIfNeeded: content.littleEndianNumber)))
        case (2, 8): return Double(bitPattern: content.littleEndianNumber)
        default: return value
        }
    }
}

/// Reads the fields of a protocol buffer (protobuf.dev, Encoding).
private struct WireReader {
    enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes(ArraySlice<UInt8>)
    }

    private var rest: ArraySlice<UInt8>
    private(set) var isBroken = false

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next field; `nil` at the end and where the message is broken.
    mutating func next() -> (number: UInt64, value: Value)? {
        guard !rest.isEmpty, !isBroken else { return nil }
        guard let key = varint(), let value = value(wireType: key & 7) else {
            isBroken = true
            return nil
        }
        return (key >> 3, value)
    }

    private mutating func value(wireType: UInt64) -> Value? {
        switch wireType {
        case 0: varint().map(Value.varint)
        case 1: take(8).map { .fixed64($0.littleEndianNumber) }
        case 2: varint().flatMap { $0 <= UInt64(rest.count) ? take(Int($0)) : nil }.map(Value.bytes)
        case 5: take(4).map { .fixed32(UInt32(truncatingIfNeeded: $0.littleEndianNumber)) }
        default: nil
        }
    }

    private mutating func varint() -> UInt64? {
        var (value, shift) = (UInt64(0), UInt64(0))
        while let byte = rest.popFirst(), shift < 64 {
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }
}

extension ArraySlice<UInt8> {
    /// At most eight bytes as a number, the least significant first.
    var littleEndianNumber: UInt64 { reversed().reduce(0) { $0 << 8 | UInt64($1) } }
}
