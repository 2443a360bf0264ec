import JSON

/// The value of a metric: a number, or one of the texts `"NaN"`, `"Infinity"` and `"-Infinity"`, for which JSON has no number.
public struct MetricValue: Codable, Sendable, Equatable, ExpressibleByFloatLiteral {
    public var number: Double

    public init(_ number: Double) { self.number = number }
    public init(floatLiteral number: Double) { self.number = number }

    /// Reads the text forms; `nil` for any other text.
    public init?(text: String) {
        switch text {
        case "NaN": number = .nan
        case "Infinity": number = .infinity
        case "-Infinity": number = -.infinity
        default: return nil
        }
    }

    /// Values that are not numbers are equal to themselves here, so that shapes can be compared.
    public static func == (left: MetricValue, right: MetricValue) -> Bool {
        left.number == right.number || (left.number.isNaN && right.number.isNaN)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let value = try container.decode(JSONValue.self)
        if let number = value.double {
            self.init(number)
        } else if let special = value.string.flatMap(MetricValue.init(text:)) {
            self = special
        } else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(json)
    }

    /// The JSON form.
    public var json: JSONValue {
        if number.isFinite { return .double(number) }
        return .string(number.isNaN ? "NaN" : number > 0 ? "Infinity" : "-Infinity")
    }
}
