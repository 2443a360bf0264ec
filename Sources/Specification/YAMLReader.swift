import JSON
import Yams

/// Reads one YAML document into JSON values with their positions.
///
/// Refused: tags, several documents, keys that are no scalars, repeated keys, merge keys, more nesting or values than
/// `SpecLimits` allows. Aliases are expanded, and counted at each use.
struct YAMLReader {
    private var valuesLeft = SpecLimits.valuesMax
    private let dialect: Dialect

    /// Whose rules a document follows.
    enum Dialect {
        /// YAML 1.2 without merge keys: specs.
        case core
        /// What NeMo RL's programs read: YAML 1.1, with merge keys.
        case nemoRL
    }

    /// The document in `text`, or the first thing that is wrong with it.
    ///
    static func read(_ text: String, _ dialect: Dialect = .core) -> Result<SourceMap, SpecError> {
        do throws(SpecError) {
            if let problem = YAMLAliasCheck.problem(in: text) { throw problem }
            guard let node = try compose(text) else { throw syntax(nil, "the document is empty") }
            var reader = YAMLReader(dialect: dialect)
            let (value, source) = try reader.convert(node, depth: 0)
            return .success(SourceMap(value: value, root: source))
        } catch {
            return .failure(error)
        }
    }

    /// Yams' tree of the one document in `text`. Nothing is resolved by Yams: its rules are YAML 1.1's and slow.
    static func compose(_ text: String) throws(SpecError) -> Node? {
        do {
            return try Parser(yaml: text, resolver: .basic, constructor: .default, encoding: .utf8).singleRoot()
        } catch let error as YamlError {
            throw YAMLProblem.specError(for: error, in: text)
        } catch {
            throw syntax(nil, "the YAML cannot be read: \(error)")
        }
    }

    static func syntax(_ mark: Mark?, _ detail: String, code: SpecError.Code = .syntax) -> SpecError {
        SpecError(pointer: JSONPointer(), line: mark?.line, column: mark?.column, detail: detail, code: code)
    }

    private mutating func convert(_ node: Node, depth: Int) throws(SpecError) -> (JSONValue, SourceNode) {
        let position = SourcePosition(line: Int32(clamping: node.mark?.line ?? 1), column: Int32(clamping: node.mark?.column ?? 1))
        valuesLeft -= 1
        guard valuesLeft >= 0 else {
            throw Self.syntax(node.mark, "the document has more than \(SpecLimits.valuesMax) values, aliases expanded", code: .tooLarge)
        }
        guard depth <= SpecLimits.depthMax else {
            throw Self.syntax(node.mark, "more than \(SpecLimits.depthMax) levels of nesting", code: .tooLarge)
        }
        switch node {
        case .scalar(let scalar):
            return (try value(of: scalar), SourceNode(position: position))
        case .sequence(let sequence):
            try Self.refuseTag(sequence.tag, sequence.mark)
            var elements: [JSONValue] = []
            var source = SourceNode(position: position)
            for element in sequence {
                let (value, child) = try convert(element, depth: depth + 1)
                elements.append(value)
                source.children.append(child)
            }
            return (.array(elements), source)
        case .mapping(let mapping):
            return try convert(mapping, position: position, depth: depth)
        case .alias(let alias):
            throw Self.syntax(alias.mark, "an alias that stands for nothing")
        }
    }

    private mutating func convert(_ mapping: Node.Mapping, position: SourcePosition, depth: Int) throws(SpecError) -> (
        JSONValue, SourceNode
    ) {
        try Self.refuseTag(mapping.tag, mapping.mark)
        var members = JSONObject(minimumCapacity: mapping.count)
        var source = SourceNode(position: position)
        var merged: [Node] = []
        for (key, child) in mapping {
            guard case .scalar(let scalar) = key else { throw Self.syntax(key.mark, "a key must be a plain string") }
            if scalar.string == "<<", scalar.style == .plain {
                if dialect == .nemoRL { merged.append(child); continue }
                throw Self.syntax(key.mark, "merge keys ('<<') are not part of YAML 1.2; write the keys out, or use 'matrix'")
            }
            guard scalar.string.utf8.count <= SpecLimits.keyBytesMax else {
                throw Self.syntax(key.mark, "a key of more than \(SpecLimits.keyBytesMax) bytes", code: .tooLarge)
            }
            let (value, node) = try convert(child, depth: depth + 1)
            guard members.updateValue(value, forKey: scalar.string) == nil else {
                throw Self.syntax(key.mark, "the key '\(scalar.string)' stands twice in one mapping", code: .duplicateKey)
            }
            let mark = key.mark.map { SourcePosition(line: Int32(clamping: $0.line), column: Int32(clamping: $0.column)) }
            source.keys.append(mark ?? position)
            source.children.append(node)
        }
        for node in merged { try merge(node, into: &members, &source, depth: depth) }
        return (.object(members), source)
    }

    /// Adds the keys of a mapping, or of several in a list, that are not there yet.
    private mutating func merge(_ node: Node, into members: inout JSONObject, _ source: inout SourceNode, depth: Int) throws(SpecError) {
        if case .sequence(let several) = node {
            for one in several { try merge(one, into: &members, &source, depth: depth) }
            return
        }
        let (value, found) = try convert(node, depth: depth + 1)
        guard case .object(let further) = value else { throw Self.syntax(node.mark, "'<<' takes a mapping, or a list of mappings") }
        for (index, (key, member)) in further.enumerated() where members[key] == nil {
            members[key] = member
            source.keys.append(found.keys[index])
            source.children.append(found.children[index])
        }
    }

    private func value(of scalar: Node.Scalar) throws(SpecError) -> JSONValue {
        // Yams gives every quoted scalar the tag of a string.
        if scalar.style == .plain || scalar.tag.rawValue != "tag:yaml.org,2002:str" { try Self.refuseTag(scalar.tag, scalar.mark) }
        guard scalar.string.utf8.count <= SpecLimits.stringBytesMax else {
            throw Self.syntax(scalar.mark, "a string of more than \(SpecLimits.stringBytesMax) bytes", code: .tooLarge)
        }
        guard scalar.style == .plain else { return .string(scalar.string) }
        return dialect == .core ? YAMLScalar.resolve(scalar.string) : NemoRLScalar.resolve(scalar.string)
    }

    private static func refuseTag(_ tag: Tag, _ mark: Mark?) throws(SpecError) {
        guard tag.rawValue.isEmpty else {
            throw syntax(mark, "YAML tags such as '\(tag.rawValue)' are not allowed; quote a value to make it a string")
        }
    }
}
