import JSON

/// A spec as it was written: its values, and where each of them stands in the text.
public struct SpecDocument: Sendable {
    /// The language of a document's text.
    public enum Format: Sendable {
        case json
        case yaml
        /// JSON where the text is JSON, else YAML.
        case auto
    }

    /// The document, with overrides applied.
    public internal(set) var value: JSONValue
    private let source: SourceMap
    /// Places that an override has set, with its text.
    var overridden: [JSONPointer: String] = [:]

    init(source: SourceMap) {
        self.value = source.value
        self.source = source
    }

    /// Wraps a value that has no text, such as a spec read back from the store; its errors carry no lines.
    public init(value: JSONValue) {
        self.value = value
        self.source = SourceMap(value: .null, root: SourceNode(position: SourcePosition(line: 0, column: 0)))
    }

    /// Reads the text of a spec: one JSON or YAML document whose root is a mapping.
    public static func parse(_ bytes: [UInt8], format: Format = .auto) -> Result<SpecDocument, SpecErrors> {
        guard bytes.count <= SpecLimits.documentBytesMax else {
            let detail = "the document has \(bytes.count) bytes; at most \(SpecLimits.documentBytesMax) are allowed"
            return .failure(SpecErrors([SpecError(pointer: JSONPointer(), detail: detail, code: .tooLarge)]))
        }
        let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        let read =
            switch format {
            case .json: readJSON(text)
            case .yaml: readYAML(text)
            case .auto: readEither(text)
            }
        switch read {
        case .failure(let error):
            return .failure(SpecErrors([error]))
        case .success(let source):
            guard case .object = source.value else {
                let detail = "a spec is a mapping with 'name' and 'jobs'; this is \(source.value.nounPhrase)"
                return .failure(SpecErrors([SpecError(pointer: JSONPointer(), line: 1, detail: detail, code: .wrongType)]))
            }
            return .success(SpecDocument(source: source))
        }
    }

    private static func readEither(_ bytes: [UInt8]) -> Result<SourceMap, SpecError> {
        let start = bytes.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
        guard start.first == UInt8(ascii: "{") else { return readYAML(bytes) }
        let json = readJSON(bytes)
        guard case .failure(let error) = json, error.code == .syntax else { return json }
        // A YAML flow mapping starts like a JSON object; text that opens with a quoted key was most likely meant to be JSON.
        let yaml = readYAML(bytes)
        guard case .failure = yaml else { return yaml }
        let second = start.dropFirst().first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        return second == UInt8(ascii: "\"") ? json : yaml
    }

    private static func readYAML(_ bytes: [UInt8]) -> Result<SourceMap, SpecError> {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return .failure(SpecError(pointer: JSONPointer(), detail: "the document is not UTF-8", code: .syntax))
        }
        return YAMLReader.read(text)
    }

    private static func readJSON(_ bytes: [UInt8]) -> Result<SourceMap, SpecError> {
        var options = JSONParser.Options()
        options.rejectsDuplicateKeys = true
        options.depthMax = SpecLimits.depthMax
        do {
            let value = try JSONParser.parse(bytes, options: options)
            let source = SourceMap(value: value, root: JSONSource.positions(in: bytes))
            if let problem = sizeProblem(in: source) { return .failure(problem) }
            return .success(source)
        } catch {
            let position = JSONSource.position(of: error.offset, in: bytes)
            let isDuplicate = error.message.hasSuffix("stands twice")
            return .failure(
                SpecError(
                    pointer: JSONPointer(), line: Int(position.line), column: Int(position.column),
                    detail: isDuplicate ? error.message : "not valid JSON: \(error.message)", code: isDuplicate ? .duplicateKey : .syntax))
        }
    }

    private static func sizeProblem(in source: SourceMap) -> SpecError? {
        var count = 0
        /// The way from below to a string that is too long, or to an object with such a key; `nil` where there is none.
        func longString(in value: JSONValue) -> [String]? {
            count += 1
            switch value {
            case .string(let text):
                return text.utf8.count > SpecLimits.stringBytesMax ? [] : nil
            case .array(let elements):
                for (index, element) in elements.enumerated() { if let path = longString(in: element) { return path + [String(index)] } }
            case .object(let members):
                for (key, member) in members {
                    if key.utf8.count > SpecLimits.keyBytesMax { return [] }
                    if let path = longString(in: member) { return path + [key] }
                }
            default: break
            }
            return nil
        }
        if let path = longString(in: source.value) {
            let pointer = JSONPointer(path.reversed())
            let line = Int(source.position(of: pointer, atKey: true).line)
            let isKey = source.value[pointer]?.isContainer == true
            let detail =
                isKey ? "a key of more than \(SpecLimits.keyBytesMax) bytes" : "a string of more than \(SpecLimits.stringBytesMax) bytes"
            return SpecError(pointer: pointer, line: line, detail: detail, code: .tooLarge)
        }
        guard count > SpecLimits.valuesMax else { return nil }
        return SpecError(pointer: JSONPointer(), detail: "the document has more than \(SpecLimits.valuesMax) values", code: .tooLarge)
    }

    /// The line and column of the value at `pointer`, or of what is nearest around it.
    ///
    /// - Parameter atKey: the place of its key instead of its value.
    /// - Returns: `nil` for a place that an override has set, and for a document without text.
    public func position(of pointer: JSONPointer, atKey: Bool = false) -> (line: Int, column: Int)? {
        if override(at: pointer) != nil { return nil }
        let position = source.position(of: pointer, atKey: atKey)
        return position.line > 0 ? (Int(position.line), Int(position.column)) : nil
    }

    /// The override that has set the value at `pointer`.
    func override(at pointer: JSONPointer) -> String? {
        guard !overridden.isEmpty else { return nil }
        for count in stride(from: pointer.tokens.count, through: 1, by: -1) {
            if let text = overridden[JSONPointer(Array(pointer.tokens.prefix(count)))] { return text }
        }
        return nil
    }
}

extension JSONValue {
    /// What the value is, for a sentence: "a string", "an integer".
    var nounPhrase: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .int, .bigInteger: "an integer"
        case .double: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "a mapping"
        }
    }
}
